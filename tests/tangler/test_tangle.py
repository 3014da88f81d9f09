"""Joining listings into files a careful person would have written; never losing an edit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from desk import Desk, listing

import tangle


def joined(*codes: str) -> str:
    """The file that these listings of one chapter make, without its first line."""
    chapter = "\n".join(code if code.startswith("```") else listing(code) for code in codes)
    book = tangle.assemble({"book/one.md": chapter})
    assert not book.problems
    return book.source("p/a.py").partition("\n")[2].lstrip("\n")


def fragment(name: str, code: str) -> str:
    return listing(code, f'name="{name}"')


# ------------------------------------------------------------ joining

def test_the_first_line_says_where_it_comes_from(desk):
    desk.write(one=listing("x = 1"), two=listing("y = 2"), three=listing("z = 3", "file=p/b.py"))
    desk.good()
    assert desk.read() == "# Tangled from book/one.md, book/two.md\n\nx = 1\n\ny = 2\n"
    assert desk.read("p/b.py") == "# Tangled from book/three.md\n\nz = 3\n"


def test_two_blank_lines_around_definitions_and_one_elsewhere():
    assert joined("x = 1", "y = 2", "def f():\n    pass", "z = 3") == (
        "x = 1\n\ny = 2\n\n\ndef f():\n    pass\n\n\nz = 3\n")


def test_a_comment_and_a_decorator_belong_to_the_definition():
    assert joined("x = 1", "# about f\n@cache\ndef f():\n    pass", "@cache",
                  "def g():\n    pass") == (
        "x = 1\n\n\n# about f\n@cache\ndef f():\n    pass\n\n\n@cache\ndef g():\n    pass\n")


def test_a_comment_may_be_a_listing_of_its_own():
    assert joined("x = 1", "# about f", "def f():\n    pass") == (
        "x = 1\n\n\n# about f\n\n\ndef f():\n    pass\n")


def test_more_blank_lines_than_needed_are_kept_and_never_doubled():
    assert joined("x = 1\n\n\n", "\ny = 2") == "x = 1\n\n\n\ny = 2\n"
    assert joined("def f():\n    pass\n", "\ndef g():\n    pass") == (
        "def f():\n    pass\n\n\ndef g():\n    pass\n")


def test_a_fragment_stands_where_its_reference_is_indented_as_it_is():
    assert joined("for x in y:\n    <<step>>\nprint(x)",
                  fragment("step", "if x:\n    <<deep>>"), fragment("deep", "x += 1\n\nx += 2"),
                  ) == "for x in y:\n    if x:\n        x += 1\n\n        x += 2\nprint(x)\n"


def test_a_continued_fragment_joins_without_blank_lines_inside_a_block():
    assert joined("for x in y:\n    <<step>>", fragment("step", "a()"),
                  fragment("step", "if b:\n    c()"), fragment("step", "else:\n    d()")) == (
        "for x in y:\n    a()\n    if b:\n        c()\n    else:\n        d()\n")


def test_methods_stand_one_line_apart():
    assert joined("class A:\n    <<methods>>", fragment("methods", "def f(self):\n    pass"),
                  fragment("methods", "def g(self):\n    pass"),
                  ) == ("class A:\n    def f(self):\n        pass\n\n"
                        "    def g(self):\n        pass\n")


def test_a_named_piece_of_a_file_may_be_continued():
    assert joined(listing("x = 1", 'file=p/a.py name="constants"'), "y = 2",
                  fragment("constants", "z = 3")) == "x = 1\n\nz = 3\n\ny = 2\n"


def test_imports_are_gathered_merged_and_sorted_as_the_linter_wants_them(tmp_path):
    code = joined(
        '"""What this is."""\nfrom __future__ import annotations\nimport sys\n\nprint(sys)',
        "import os, sys\nfrom p.b import late\nfrom math import tau, pi\nimport numpy as np\nuse()",
        "from math import (\n    cos,\n    pi as PI,\n)\nfrom .near import x\nimport p.b\nuse()",
        fragment("in the middle", "from p.b import CONSTANT, Class\nfor x in y:\n    pass"),
        "<<in the middle>>")
    assert code.startswith(
        '"""What this is."""\n\nfrom __future__ import annotations\n\nimport os\nimport sys\n'
        "from math import cos, pi, tau\nfrom math import pi as PI\n\nimport numpy as np\n\n"
        "import p.b\nfrom p.b import CONSTANT, Class, late\n\nfrom .near import x\n\nprint(sys)\n")
    (tmp_path / "src/p").mkdir(parents=True)
    (tmp_path / "src/p/__init__.py").touch()
    (tmp_path / "src/p/a.py").write_text(code)
    lint = subprocess.run([sys.executable, "-m", "ruff", "check", "--isolated", "--select", "I",
                           tmp_path / "src"], capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout


def test_an_import_with_a_comment_stays_where_it_stands():
    assert joined("import b\nimport a  # for its effect\nimport c\nx = 1", "import d") == (
        "import b\nimport d\n\nimport a  # for its effect\nimport c\nx = 1\n")


def test_a_long_import_is_folded():
    names = [f"name_number_{i}" for i in range(10)]
    folded = "".join(f"    {name},\n" for name in names)
    assert joined(f"from m import {', '.join(names)}\nx = 1") == (
        f"from m import (\n{folded})\n\nx = 1\n")


def test_only_imports_at_the_head_are_gathered():
    assert joined("x = 1\nimport late", "# why\nimport later") == (
        "x = 1\nimport late\n\n# why\nimport later\n")


def test_the_docstring_comes_before_the_imports():
    assert joined('"""One.\n\nTwo.\n"""\nimport a', "def f():\n    pass") == (
        '"""One.\n\nTwo.\n"""\n\nimport a\n\n\ndef f():\n    pass\n')


def test_chapters_join_in_reading_order(desk):
    desk.write(one=listing("x = 1"), two=listing("y = 2"))
    desk.order("two", "one")
    desk.good()
    assert desk.body() == "y = 2\n\nx = 1\n"


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_listing_may_end_the_chapter(end):
    chapter = "~~~python file=p/a.py\nx = '```'\n~~~" + end
    assert tangle.assemble({"a": chapter}).source("p/a.py").endswith("\n\nx = '```'\n")


def test_fences_nest_and_have_two_kinds():
    assert joined(listing('"""\n```python file=p/b.py\n~~~\n```\n"""', ticks="````")) == (
        '"""\n```python file=p/b.py\n~~~\n```\n"""\n')


def test_line_ends_and_a_byte_order_mark_do_not_reach_src(desk):
    desk.write(one=b"\xef\xbb\xbf" + listing("x = 1").replace("\n", "\r\n").encode())
    desk.good()
    assert desk.src().read_bytes() == b"# Tangled from book/one.md\n\nx = 1\n"


def test_form_feeds_long_lines_and_unicode_are_kept():
    code = f"\x0cx = '{'é' * 100_000}'\nπ = '\u2028\x1c'"
    assert joined(code) == f"{code}\n"


def test_names_may_be_any_text():
    names = ["π ≤ 4", "it's", "a # b", "x" * 300, "if x: y"]
    for name in names:
        quoted = f"'{name}'" if "'" not in name else f'"{name}"'
        assert joined(f"<<{name}>>", listing("x = 1", f"name={quoted}")) == "x = 1\n"


# ------------------------------------------------------------ writing

def test_only_what_changed_is_written(desk):
    desk.write(one=listing("x = 1"), two=listing("y = 1", "file=p/b.py"))
    assert desk.good().out == "wrote src/p/a.py\nwrote src/p/b.py\n"
    then = desk.src().stat().st_mtime_ns
    assert desk.good().out == ""
    desk.write(two=listing("y = 2", "file=p/b.py"))
    assert desk.good().out == "wrote src/p/b.py\n"
    assert desk.src().stat().st_mtime_ns == then
    leftovers = [path for path in (desk.root / "src").rglob("*") if path.suffix == ".tmp"]
    assert not leftovers


def test_a_file_keeps_its_mode(desk):
    desk.write(one=listing("x = 1"))
    desk.good()
    os.chmod(desk.src(), 0o755)
    desk.write(one=listing("x = 2"))
    desk.good()
    assert desk.src().stat().st_mode & 0o777 == 0o755


def test_files_no_listing_makes_any_more_go_with_their_folders_and_no_other_file_does(desk):
    desk.write(one=listing("x = 1") + listing("y = 1", "file=p/deep/b.py"))
    desk.good()
    (desk.root / "src/p/mine.py").write_text("mine = 1\n")
    cache = desk.src("p/deep/__pycache__")
    cache.mkdir()
    (cache / "b.pyc").touch()
    desk.write(one=listing("x = 1"))
    assert desk.good().out == "removed src/p/deep/b.py\n"
    assert not desk.src("p/deep").exists()
    assert desk.read("p/mine.py") == "mine = 1\n"


def test_a_hand_edit_is_never_overwritten(desk):
    desk.write(one="Text.\n" + listing("x = 1\ny = 2"))
    desk.good()
    desk.src().write_text(desk.read().replace("y = 2", "y = 3\nz = 4"))
    before = desk.tree()
    desk.write(one="Text.\n" + listing("x = 5\ny = 2"))
    run = desk.run()
    assert (run.status, run.out.splitlines(), run.err) == (1, [
        "src/p/a.py is not what the chapters say:", "  book/one.md:3", "  - x = 5", "  - y = 2",
        "  + x = 1", "  + y = 3", "  + z = 4"],
        "nothing was written; `tangle.py stitch` carries the edits into the book, "
        "`tangle.py --discard` drops them\n")
    assert desk.src().read_bytes() == before["src/p/a.py"]
    desk.good("--discard")
    assert desk.body() == "x = 5\ny = 2\n"


def test_a_hand_edited_file_is_not_removed_either(desk):
    desk.write(one=listing("x = 1"))
    desk.good()
    desk.src().write_text(desk.read() + "mine = 1\n")
    desk.write(one="Text.\n")
    assert desk.run().status == 1
    assert "mine" in desk.read()
    assert desk.good("--discard").out == "removed src/p/a.py\n"


def test_a_file_that_was_there_before_is_not_taken(desk):
    desk.write(one=listing("x = 1"))
    desk.src().parent.mkdir(parents=True)
    desk.src().write_text("mine = 1\n")
    run = desk.run()
    assert run.status == 1
    assert run.out.startswith("src/p/a.py is not what the chapters say:\n")
    assert desk.read() == "mine = 1\n"


def test_an_edit_that_the_chapters_have_too_is_no_conflict(desk):
    desk.write(one=listing("x = 1"))
    desk.good()
    desk.src().write_text(desk.read().replace("x = 1", "x = 2"))
    desk.write(one=listing("x = 2"))
    assert desk.good().out == ""


@pytest.mark.parametrize("change", [
    lambda path: os.utime(path, (1, 1)),
    lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))],
    ids=["touched", "line ends"])
def test_a_file_of_the_same_text_is_no_conflict(desk, change):
    desk.write(one=listing("x = 1"))
    desk.good()
    change(desk.src())
    assert desk.good("check").out == ""
    desk.write(one=listing("x = 2"))
    desk.good()
    assert desk.body() == "x = 2\n"


def test_a_branch_switch_is_no_conflict(desk):
    desk.write(one=listing("x = 1"))
    desk.good()
    desk.commit()
    desk.git("checkout", "-q", "-b", "other")
    desk.write(one=listing("x = 2"))
    desk.good()
    desk.commit()
    desk.git("checkout", "-q", "main")
    desk.write(one=listing("x = 3"))
    desk.good()
    assert desk.body() == "x = 3\n"


def test_a_fresh_clone_is_no_conflict_and_still_knows_an_edit(desk, tmp_path_factory):
    desk.write(one=listing("x = 1"), two=listing("y = 1", "file=p/b.py"))
    desk.good()
    desk.commit()
    copy = tmp_path_factory.mktemp("copy")
    subprocess.run(["git", "clone", "-q", desk.root, copy / "clone"], check=True)
    clone = Desk(copy / "clone")
    clone.names = desk.names
    clone.write(one=listing("x = 2"), two=listing("y = 2", "file=p/b.py"))
    clone.src("p/b.py").write_text(clone.read("p/b.py") + "mine = 1\n")
    assert clone.run().status == 1
    clone.src("p/b.py").write_text(desk.read("p/b.py"))
    clone.write(two=listing("y = 1", "file=p/b.py"))
    clone.good()
    assert clone.body() == "x = 2\n"
    clone.write(two="Text.\n")
    assert clone.good().out == "removed src/p/b.py\n"


# ------------------------------------------------------------ the other verbs

@pytest.mark.parametrize("kept", ["", "{", "[]", '[{"book/one.md": "x"}]', "\x00"])
def test_a_broken_memory_is_no_memory(desk, kept):
    desk.write(one=listing("x = 1"))
    desk.good()
    (desk.root / ".tangle" / "memory.json").write_text(kept)
    desk.good()
    desk.write(one=listing("x = 2"))
    assert desk.body() == "x = 1\n"
    desk.good()
    assert desk.body() == "x = 2\n"


def test_check_shows_the_drift_and_writes_nothing(desk):
    desk.write(one=listing("x = 1"), two=listing("y = 1", "file=p/b.py"))
    assert desk.run("check").status == 1
    desk.good()
    assert desk.good("check") == (0, "", "")
    desk.src().write_text(desk.read().replace("1", "2"))
    desk.src("p/b.py").unlink()
    desk.src("p/c.py").write_text("")
    before = desk.tree()
    run = desk.run("check")
    assert (run.status, run.out.splitlines()) == (1, [
        "src/p/a.py is not what the chapters say:", "  book/one.md:2", "  - x = 1", "  + x = 2",
        "src/p/b.py is not there", "src/p/c.py is made by no listing"])
    assert run.err == "run `tangle.py` to write src/ from the chapters\n"
    assert desk.tree() == before


WHERE = "Text.\n\n" + listing("import os\n\nfor x in os.environ:\n    <<step>>") + listing(
    "print(x)", "name=step") + "\n" + listing("import os\n\nprint(os)")


@pytest.mark.parametrize(("place", "answer"), [
    ("src/p/a.py:5", "book/one.md:6"),
    ("src/p/a.py:5:9", "book/one.md:6:9"),
    ("p/a.py:6", "book/one.md:10"),
    ("src/p/a.py:6:11", "book/one.md:10:7"),
    ("src/p/a.py:6:2", "book/one.md:10:1"),
    ("src/p/a.py:3", "book/one.md:4"),
    ("book/one.md:4", "src/p/a.py:3"),
    ("book/one.md:14", "src/p/a.py:3"),
    ("book/one.md:10", "src/p/a.py:6"),
    ("book/one.md:10:7", "src/p/a.py:6:11")])
def test_where_goes_both_ways(desk, place, answer):
    desk.write(one=WHERE)
    desk.good()
    assert desk.good("where", place).out == answer + "\n"


@pytest.mark.parametrize(("place", "answer"), [
    ("src/p/a.py:1", "src/p/a.py:1 has no line on the other side"),
    ("src/p/a.py:0", "src/p/a.py:0 has no line on the other side"),
    ("src/p/a.py:99", "src/p/a.py:99 has no line on the other side"),
    ("book/one.md:1", "book/one.md:1 has no line on the other side"),
    ("setup.py:1", "setup.py is neither a chapter nor a tangled file"),
    ("book/one.md", "book/one.md: expected FILE:LINE, such as book/1957-bellman.md:120")])
def test_where_says_why_it_has_no_answer(desk, place, answer):
    desk.write(one=WHERE)
    desk.good()
    assert desk.run("where", place) == (2, "", answer + "\n")


def test_where_takes_a_path_as_the_caller_sees_it(desk, monkeypatch):
    desk.write(one=WHERE)
    desk.good()
    monkeypatch.chdir(desk.src().parent)
    assert desk.good("where", "a.py:6").out == "book/one.md:10\n"
    assert desk.good("where", f"{desk.chapter()}:10").out == "src/p/a.py:6\n"


def test_list_names_every_file_and_its_listings(desk):
    desk.write(one=WHERE, two=listing("y = 1", "file=p/b.py") + listing("z = 1"))
    assert desk.good("list").out == (
        "src/p/a.py (10 lines)\n    book/one.md:3\n    book/one.md:9  step\n    book/one.md:13\n"
        "    book/two.md:4\n"
        "src/p/b.py (3 lines)\n    book/two.md:1\n")


def test_it_runs_as_a_program_and_finds_its_own_book(tmp_path):
    desk = Desk(tmp_path, one=listing("x = 1"))
    program = tmp_path / "tangle.py"
    program.write_bytes(Path(tangle.__file__).read_bytes())
    run = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "wrote src/p/a.py\n")
    assert desk.run("check").status == 0
