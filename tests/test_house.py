"""The rules of the house, read off its files."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tangle

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "policywerk"
MODULES = sorted(PACKAGE.rglob("*.py"))
FLOORS = ("primitives", "building_blocks", "world", "actors")  # each uses those before it
BESIDE = "data"  # statistics of what learners did: on no floor, used by chapters and tests
BOOK = tangle.load(ROOT)
WIDTH = 87  # columns of code that fit a page


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; name the module in full"
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_are_standard_or_from_a_lower_floor(path):
    floor = path.relative_to(PACKAGE).parts[0]
    below = FLOORS[: FLOORS.index(floor) + 1] if floor in FLOORS else (*FLOORS, BESIDE)
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "policywerk":
            assert rest.split(".")[0] in below, f"{path}: {name} is above it"
        else:
            assert top in sys.stdlib_module_names, f"{path}: {name} is not the standard library"


def test_the_package_says_nothing_twice_at_its_doors():
    for path in PACKAGE.rglob("__init__.py"):
        assert not imported(path), f"{path}: re-exports make every chapter depend on everything"


def cells(chapter: str) -> str:
    """The code of a chapter's cells, magic and options left out."""
    found = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", BOOK.texts[chapter], re.S | re.M)
    return "\n".join(re.sub(r"^:.*$", "", cell, flags=re.M) for cell in found)


def test_every_module_is_reached_from_some_chapter():
    reached = set()
    waiting = [name for chapter in BOOK.texts for name in imported_by(cells(chapter))]
    while waiting:
        name = waiting.pop()
        path = ROOT / "src" / f"{name.replace('.', '/')}.py"
        if name not in reached and path.exists():
            reached.add(name)
            waiting += imported(path)
    modules = {
        path.relative_to(ROOT / "src").with_suffix("").as_posix().replace("/", ".")
        for path in MODULES
        if path.name != "__init__.py"
    }
    assert modules - reached == set()


def imported_by(source: str) -> set[str]:
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
    return names | {node.module for node in nodes}


def test_src_is_what_the_chapters_say(capsys):
    assert tangle.main(["check"]) == 0, capsys.readouterr().out


def test_the_places_that_our_pages_ask_for_have_another_side(capsys):
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / name for name in BOOK.texts)]
    places = {(page.name, place) for page in pages
              for place in re.findall(r"where (\S+:\d+)", page.read_text())}
    assert len(places) > 1
    for page, place in places:
        assert tangle.main(["where", place]) == 0, (page, capsys.readouterr().err)


def test_code_fits_the_page():
    wide = []
    for listing in BOOK.listings:
        wide += [
            f"{listing.chapter}:{row}" for row, text in enumerate(listing.lines, listing.line + 1)
            if len(text) > WIDTH
        ]
    for chapter, text in BOOK.texts.items():
        shown = True
        for row, line in enumerate(text.split("\n"), 1):
            if line.startswith("```"):
                shown = line.startswith("```{code-cell}")
            elif re.match(r":tags:.*(hide|remove)-(input|cell)", line):
                shown = False
            elif shown and line.startswith(("    ", "print(", "assert ")) and len(line) > WIDTH:
                wide.append(f"{chapter}:{row}")
    assert wide == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_is_one_idea(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 220, f"{path} has {len(lines)} lines; it is two ideas"
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{path}:{node.lineno}: {node.name} takes {length} lines"


def test_listings_are_short():
    for part in BOOK.listings:
        assert len(part.lines) <= 36, f"{part.chapter}:{part.line}: {len(part.lines)} lines"


def test_a_learner_neither_prints_nor_draws():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}: the package prints nothing"


def test_locks_are_pinned_with_hashes_and_name_no_index():
    for name in ("requirements.lock", "requirements-site.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text and "--index" not in text
        requirements = re.findall(r"^\S.*(?:\n[ \t].*)*", text, re.M)
        assert requirements
        for requirement in requirements:
            assert "==" in requirement and "--hash=sha256:" in requirement, requirement


def test_the_package_installs_alone(tmp_path):
    """A wheel of it holds the package and nothing else, and runs without the book's tools."""
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (copy / name).write_text((ROOT / name).read_text())
    (copy / "src").symlink_to(ROOT / "src")
    subprocess.run([*build, "-w", tmp_path, copy], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert names == {path.relative_to(ROOT / "src").as_posix() for path in MODULES}
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "from policywerk.actors.bellman import value_iteration\n"
        "from policywerk.world.gridworld import GridWorld\n"
        "print(len(list(value_iteration(GridWorld()))))"
    )
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True)
    assert answer.stdout.strip() == b"9", answer.stderr.decode()


def test_each_target_of_make_has_a_program_to_run():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^([a-z-]+):.*## ", makefile, re.M):
        told = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        for line in told.stdout.splitlines():
            words = [word for word in line.split() if not re.match(r"[A-Z]+=", word)]
            assert not words or not words[0].startswith("-"), f"make {target}: {line}"
