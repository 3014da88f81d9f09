"""The woven site: small books are built, and their pages read as a reader would follow them."""

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from sphinx.cmd.build import build_main

import tangle

STATIC = Path(__file__).parents[1] / "book" / "_static"
CONF = f"""\
extensions = ["sphinx_external_toc", "myst_nb", "sphinx_copybutton", "listings"]
html_theme = "sphinx_book_theme"
html_theme_options = {{"navbar_persistent": []}}
html_static_path = [{str(STATIC)!r}]
myst_fence_as_directive = ["python"]
nb_execution_mode = "off"
exclude_patterns = ["_build"]
"""

FIRST = """\
---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# First

```python
print("no listing")
```

```python file=pack/loop.py
import math


def solve(values):
    while True:
        <<sweep every state>>
        <<finish>>
```

```{code-cell} ipython3
1 + 1
```

The blank line before this one is where MyST-NB loses count.

```python name="sweep every state"

for state in values:
    values[state] = math.sqrt(values[state])
```

```python name="sweep every state"
print(values)
```

```python name="finish"
return values
```

```python file=pack/words.py name="words"
def word():
    return "<<not a reference>>"
```
"""

SECOND = """\
# Second

```python file=pack/loop.py
import random


def start(names):
    return {name: random.random() for name in names}
```
"""

INDEX = """\
# Listings

```{listing-index} files
```

```{listing-index} fragments
```
"""

MORE = """
```python file=pack/words.py
def more() -> str:
    return "more"
```
"""

WRONG = """\
# Wrong

```python file=pack/a.py
<<nowhere>>
```

```python nmae="x"
pass
```

````{note}
```python file=pack/b.py
pass
```
````

```{listing-index} chapters
```
"""


class Sources:
    """A book in a folder."""

    def __init__(self, root: Path, conf: str = CONF, **chapters: str):
        self.root = root
        (root / "book").mkdir(parents=True)
        (root / "conf.py").write_text(conf)
        first, *rest = chapters
        toc = ["format: jb-book", f"root: book/{first}", *(["chapters:"] if rest else [])]
        toc += [f"  - file: book/{name}" for name in rest]
        (root / "_toc.yml").write_text("\n".join(toc) + "\n")
        for name, text in chapters.items():
            self.chapter(name).write_text(text)

    def chapter(self, name: str) -> Path:
        return self.root / "book" / f"{name}.md"

    def build(self, builder: str = "html") -> SimpleNamespace:
        told = self.root / "warnings.txt"
        options = ["-q", "-W", "--keep-going", "-n", "-b", builder, "-w", str(told)]
        doctrees = ["-d", str(self.root / "_build" / "doctrees")]
        out = self.root / "_build" / builder
        status = build_main([*options, *doctrees, str(self.root), str(out)])
        return SimpleNamespace(status=status, warnings=told.read_text(), out=out)


def page(out: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((out / f"{name}.html").read_text(), "html.parser")


def listing(soup: BeautifulSoup, anchor: str) -> SimpleNamespace:
    box = soup.find(id=anchor)
    head, foot = box.find(class_="listing-head"), box.find(class_="listing-foot")
    return SimpleNamespace(
        box=box,
        head=" ".join(head.get_text().split()),
        foot=[] if foot is None else [way.get_text() for way in foot(class_="listing-way")],
        links=[a["href"] for a in box("a")],
        code=box.pre.get_text(),
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("weave") / "try"
    return Sources(root, first=FIRST, second=SECOND, listings=INDEX)


@pytest.fixture(scope="module")
def built(sources):
    result = sources.build()
    assert (result.status, result.warnings) == (0, "")
    return result


@pytest.fixture(scope="module")
def first(built):
    return page(built.out, "book/first")


def test_captions_name_the_fragment_and_the_file(first):
    heads = [" ".join(head.get_text().split()) for head in first(class_="listing-head")]
    assert heads == [
        "pack/loop.py begins here",
        "⟨sweep every state⟩ pack/loop.py",
        "⟨sweep every state⟩ continued pack/loop.py",
        "⟨finish⟩ pack/loop.py",
        "⟨words⟩ pack/words.py begins here",
    ]


def test_a_later_chapter_continues_the_file(built):
    part = listing(page(built.out, "book/second"), "listing-pack-loop-py")
    assert part.head == "pack/loop.py continued"
    assert part.foot == ["Continues from First"]
    assert "first.html#listing-pack-loop-py" in part.links


def test_feet_lead_to_the_neighbours(first):
    assert listing(first, "listing-pack-loop-py").foot == ["Continued in Second"]
    sweep = listing(first, "listing-sweep-every-state")
    assert sweep.foot == ["Continued below", "Used in solve"]
    assert sweep.links[-2:] == ["#listing-sweep-every-state-2", "#listing-pack-loop-py"]
    assert listing(first, "listing-sweep-every-state-2").foot == [
        "Continues from above",
        "Used in solve",
    ]
    assert listing(first, "listing-words").foot == []


def test_references_are_links_and_their_text_is_source(first):
    part = listing(first, "listing-pack-loop-py")
    assert [(a["href"], a.get_text()) for a in part.box("a", class_="listing-ref")] == [
        ("#listing-sweep-every-state", "<<sweep every state>>"),
        ("#listing-finish", "<<finish>>"),
    ]


def test_the_text_of_every_listing_is_its_source(sources, built):
    for part in tangle.load(sources.root).listings:
        boxes = page(built.out, part.chapter.removesuffix(".md"))(class_="listing")
        texts = [box.pre.get_text() for box in boxes]
        assert "\n".join(part.lines).strip("\n") + "\n" in texts, part


def test_a_reference_is_a_whole_line(first):
    assert not listing(first, "listing-words").box("a", class_="listing-ref")


def test_a_fence_without_attributes_is_an_ordinary_block(first):
    (block,) = [pre for pre in first("pre") if "no listing" in pre.get_text()]
    assert not block.find_parent(class_="listing")
    assert block.find("span", class_="nb").get_text() == "print"


def test_code_can_be_scrolled_from_the_keyboard(built, first):
    assert all(box.pre["tabindex"] == "0" for box in first(class_="listing"))
    assert page(built.out, "src/pack/loop.py").pre["tabindex"] == "0"


def test_the_index_has_files_and_fragments(built):
    index = page(built.out, "book/listings")
    assert [term.get_text() for term in index("dt")] == ["pack/loop.py", "pack/words.py"]
    assert [p.get_text() for p in index.dd("p")] == [
        "First: solve, ⟨sweep every state⟩, ⟨finish⟩",
        "Second: start",
    ]
    assert [item.get_text().strip() for item in index.find("ul", class_="listing-index")("li")] == [
        "⟨finish⟩ in pack/loop.py, First",
        "⟨sweep every state⟩ in pack/loop.py, First",
        "⟨words⟩ in pack/words.py, First",
    ]


def test_a_files_page_is_the_file(sources, built):
    for file in (book := tangle.load(sources.root)).files:
        code = page(built.out, f"src/{file}").find(class_="listing-source")
        assert [line["id"] for line in code(class_="line")][-1] == f"L{len(book.files[file])}"
        for origin in code(class_="origin"):
            origin.extract()
        assert code.get_text().rstrip("\n") == book.source(file).rstrip("\n")


def test_each_run_of_a_file_leads_to_the_listing_it_comes_from(built):
    source = page(built.out, "src/pack/loop.py")
    found = {}
    for run in source(class_="run"):
        for line in run(class_="line"):
            found[line.get_text().strip()] = run.a["href"]
    chapters = "../../book/"
    assert found["import math"] == f"{chapters}first.html#listing-pack-loop-py"
    assert found["import random"] == f"{chapters}second.html#listing-pack-loop-py"
    assert found["print(values)"] == f"{chapters}first.html#listing-sweep-every-state-2"
    assert found["def start(names):"] == f"{chapters}second.html#listing-pack-loop-py"
    assert source.title.get_text().startswith("pack/loop.py")


def test_a_caption_leads_to_where_the_code_stands_in_its_file(built):
    link = listing(page(built.out, "book/second"), "listing-pack-loop-py").links[0]
    assert link == "../src/pack/loop.py.html#second-listing-pack-loop-py"
    run = page(built.out, "src/pack/loop.py").find(id="second-listing-pack-loop-py")
    assert "def start" in run.get_text(), "not where its import was gathered"


def test_every_link_arrives(built):
    pages = [*built.out.glob("book/*.html"), *built.out.glob("src/**/*.html")]
    soups = {path: BeautifulSoup(path.read_text(), "html.parser") for path in pages}
    count = 0
    for path, soup in soups.items():
        assert len(ids := [tag["id"] for tag in soup(id=True)]) == len(set(ids)), path
        for a in soup.article("a", href=True):
            url = urlsplit(a["href"])
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            assert target.is_file(), (path, a)
            assert not url.fragment or soups[target].find(id=unquote(url.fragment)), (path, a)
            count += 1
    assert count > 40


def test_only_pages_with_something_new_are_written_again(tmp_path):
    conf = CONF.replace("sphinx_book_theme", "basic").replace('{"navbar_persistent": []}', "{}")
    chapters = {"intro": "# Intro\n", "first": FIRST, "second": SECOND, "third": "# Third\n"}
    sources = Sources(tmp_path / "try", conf, **chapters, listings=INDEX)
    sources.build()
    names = [
        "book/first",
        "book/second",
        "book/third",
        "book/listings",
        "src/pack/loop.py",
        "src/pack/words.py",
    ]

    def rebuilt() -> set[str]:
        paths = {name: sources.root / "_build" / "html" / f"{name}.html" for name in names}
        before = {name: path.stat().st_mtime_ns for name, path in paths.items()}
        assert sources.build().status == 0
        return {
            name
            for name, path in paths.items()
            if not path.exists() or path.stat().st_mtime_ns != before[name]
        }

    assert rebuilt() == set()

    sources.chapter("second").write_text(SECOND + MORE)
    assert rebuilt() == {
        "book/first",
        "book/second",
        "book/listings",
        "src/pack/loop.py",
        "src/pack/words.py",
    }
    out = sources.root / "_build" / "html"
    assert listing(page(out, "book/first"), "listing-words").foot == ["File continued in Second"]
    assert "def more() -> str:" in page(out, "src/pack/words.py").get_text()

    sources.chapter("third").write_text("# Third\n\nNew words, no listing.\n")
    assert rebuilt() == {"book/third"}

    sources.chapter("first").write_text(FIRST[: FIRST.index("```python file=pack/words.py")])
    sources.chapter("second").write_text(SECOND)
    rebuilt()
    assert not (out / "src/pack/words.py.html").exists(), "a page whose file is gone"


def test_other_builders_show_plain_listings(sources, built):
    text = sources.build("text")
    assert text.status == 0
    chapter = (text.out / "book/first.txt").read_text()
    assert "        <<sweep every state>>\n" in chapter
    assert "⟨sweep every state⟩ continued" in chapter
    assert sources.build("latex").status == 0
    latex = (sources.root / "_build" / "latex").glob("*.tex")
    assert "sweep every state" in "".join(path.read_text() for path in latex)


def test_a_listing_that_only_one_of_the_two_sees_is_a_warning(tmp_path):
    conf = CONF + 'myst_enable_extensions = ["dollarmath"]\n'
    hidden = "# Hidden\n\n$$\nx\n" + MORE + "$$\n"
    shown = "# Shown\n\n```{include} part.txt\n```\n"
    sources = Sources(tmp_path, conf, hidden=hidden, shown=shown)
    (tmp_path / "book/part.txt").write_text(MORE)
    result = sources.build()
    assert result.status != 0
    told = result.warnings.splitlines()
    assert any("book/hidden.md:6: " in x and "does not show this listing" in x for x in told), told
    assert any("book/shown.md:1: " in x and "does not see the listing with file=pack/words.py" in x
               for x in told), told
    assert len([x for x in told if "listing" in x]) == 2


SAVED = """
def save(app, env, docs):
    path = app.srcdir / "book/first.md"
    path.write_text(path.read_text().replace("print(values)", "print(values, 1)"))


def setup(app):
    app.connect("env-before-read-docs", save)
"""


def test_a_chapter_that_is_saved_during_a_build_is_read_again(tmp_path):
    sources = Sources(tmp_path, CONF, first=FIRST)
    (tmp_path / "conf.py").write_text(CONF + SAVED)
    assert sources.build().status == 0
    (tmp_path / "conf.py").write_text(CONF)
    again = sources.build()
    assert again.status == 0
    code = listing(page(again.out, "book/first"), "listing-sweep-every-state-2").code
    assert "print(values, 1)" in code


def test_mistakes_of_the_book_are_warnings_at_their_place(tmp_path):
    sources = Sources(tmp_path / "try", wrong=WRONG)
    result = sources.build()
    assert result.status != 0
    for row, words in (
        (4, "<<nowhere>> is not defined"),
        (7, "cannot read"),
        (12, "inside no other block"),
        (17, "'chapters' is no index of listings; write {listing-index} files"),
    ):
        told = [line for line in result.warnings.splitlines() if words in line]
        assert told and f"book/wrong.md:{row}: " in told[0], (row, words, result.warnings)
    again = sources.build()
    assert again.status != 0 and "<<nowhere>>" in again.warnings, "told in every build"
