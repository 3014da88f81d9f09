"""What holds for every book."""

import ast
import re
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import markdown_it
from books import IMPORT_LINES, MANY, RANDOMS, SEEDS, book, edited
from desk import Desk, listing
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

import tangle

settings.register_profile("tangler", max_examples=MANY, deadline=None, derandomize=MANY == 40,
                          suppress_health_check=list(HealthCheck))
settings.load_profile("tangler")


BOOKS = RANDOMS.map(book)


def assembled(texts: dict[str, str]) -> tangle.Book:
    return tangle.assemble({f"book/{name}.md": text for name, text in texts.items()})


@given(BOOKS)
def test_tangling_is_idempotent(texts):
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), **texts)
        first = desk.run()
        tree = desk.tree()
        again = desk.run()
        assert first.status == again.status
        assert desk.tree() == tree
        assert again.out == ""


def imported(source: str) -> set[tuple]:
    """Every name that is imported in this source."""
    return {(getattr(node, "module", ""), name.name, name.asname)
            for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names}


@given(BOOKS)
def test_joining_keeps_every_line(texts):
    made = assembled(texts)
    places = Counter((line.chapter, line.row, line.text.strip())
                     for lines in made.files.values() for line in lines)
    wanted, given = set(), set()
    for part in made.listings:
        wanted |= imported("\n".join(text for text in part.lines if text in IMPORT_LINES))
        for row, text in enumerate(part.lines, part.line + 1):
            if text.strip() and text not in IMPORT_LINES and not tangle.REFERENCE.match(text):
                assert places[part.chapter, row, text.strip()] == 1
    for file in made.files:
        given |= imported(made.source(file))
    assert given == wanted


@given(st.permutations(["x = 1", "def f():\n    pass", "y", "# why\nz = 3", "@f\ndef g(): ..."]),
       st.lists(st.sampled_from(["one", "two"]), min_size=5, max_size=5))
def test_any_listing_order_is_kept(codes, homes):
    texts = {"one": "", "two": ""}
    for code, home in zip(codes, homes, strict=True):
        texts[home] += listing(code) + "\n"
    order = [code for name in texts for code, home in zip(codes, homes, strict=True)
             if home == name]
    lines = [line.text for line in assembled(texts).files["p/a.py"][1:] if line.text]
    assert lines == "\n".join(order).split("\n")


@given(st.binary(max_size=300) | st.lists(st.sampled_from([
    b"```python file=p/a.py", b"```", b"~~~", b"````", b"<<a>>", b"    <<a>>", b"```python name=a",
    b"x = 1", b"\xff", b"\x00", b"\t", b":::{note}", b":::", b"> ", b"- ", b"<!--", b"-->",
    b"import os", b"from a import (", b'"""', b"---", b"\\", b"'", b"```python name='", b"\r",
    b"<div>", b"\x0c",
    b"\xef\xbb\xbf", b"class A:", b"if x:", b"else:", b")"]), max_size=20).map(b"\n".join))
def test_no_bytes_end_in_a_traceback(data):
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), one=data)
        run = desk.run()
        assert run.status in (0, 2)
        assert (run.status == 0) == (not run.err)
        assert desk.run("check").status == run.status


MARKDOWN = markdown_it.MarkdownIt("commonmark")
MARKS = [
    *["```python file=p/a.py\nx = 1\n```"] * 12,
    "```python file=p/a.py", "```", "```", "~~~", "~~~~", "````",
    "```text", "~~~python file=p/a.py", "```py file=p/a.py", "``` python file=p/a.py", "```x```",
    "- ```", "- ", "1. ", "12) ", "-", "* x", "2. ```text", "> ", "> ```", "> - ```", "\t", "\t```",
    "\t```python file=p/a.py", "<!--", "-->", "<!-->", "<!-- -->", "<div>", "<b>", "</b>", "<b",
    "<pre>", "</pre>", "<script", "</style>", "<?", "?>", "<!X", ">", "<![CDATA[", "]]>", "<a@b.c>",
    "<https://a.b>", "", "", "", "text", "x = 1", "# a", "===", "---", "[a]: b", "| a |", "+", "*",
    "\u00a0", "\x0c", "\u2028", "<b>\n\u00a0", "\u00a0```",
    "1234567890. ```", "1234567890. ", "[a]:", '"', "\\```", "`", "``", "~~", "`````", "- - ",
    "+\t", "0.", "<div\tx>", "<DIV", "</p >", "<-", "<1>", "```\t", "``` `", "~~~ `", "~~~~~ ```",
    "\u0661. ```"]
INSETS = ["", "", "", "", "", "", "", "", " ", "  ", "   ", "    ", "     ", "      "]


def markdown_text(rng: Random) -> str:
    """Lines that begin or end something in Markdown, or seem to."""
    return "".join(f"{rng.choice(INSETS)}{rng.choice(MARKS)}\n" for _ in range(rng.randint(1, 9)))


@settings(max_examples=25 * MANY)
@given((st.randoms() if MANY == 40 else SEEDS).map(markdown_text))
def test_listings_are_what_markdown_says_they_are(text):
    """Where nothing is wrong, each is a fence of CommonMark's, and no fence is left out."""
    listings, wrong = tangle.find_listings("book/c.md", text)
    event("refused" if wrong else "found" if listings else "nothing there")
    if not wrong:
        fences = [x for x in MARKDOWN.parse(text) if x.type == "fence" and x.level == 0]
        assert [(part.line, part.lines) for part in listings] == [
            (x.map[0] + 1, x.content.split("\n")[:-1]) for x in fences
            if re.match(" *python +file", x.info)]


def prose(book: tangle.Book) -> dict[str, list[str]]:
    """Each chapter without its listings' lines, its line ends as they are."""
    code = {(part.chapter, row) for part in book.listings
            for row, _ in enumerate(part.lines, part.line + 1)}
    return {chapter: [row for i, row in enumerate(tangle.ROW.findall(text), 1)
                      if (chapter, i) not in code] for chapter, text in book.texts.items()}


@given(RANDOMS)
def test_a_stitched_edit_tangles_back_exactly_and_leaves_the_prose_alone(rng):
    base = assembled(book(rng))
    assume(base.files)
    files = [*base.files][:rng.randint(1, 2)]
    now = {file: edited(rng, base.plain[file]) for file in files}
    new, problems = tangle.unpick(base, now)
    event("refused" if problems else "stitched")
    if not problems:
        assert new.plain == base.plain | now
        assert prose(new) == prose(base)


@given(RANDOMS)
def test_edits_of_both_sides_both_stand(rng):
    """What src/ changed, carried into chapters that have more prose now."""
    base = assembled(book(rng))
    assume(base.files)
    file = rng.choice(sorted(base.files))
    now = edited(rng, base.plain[file])
    if tangle.unpick(base, {file: now})[1]:
        return
    rows = {chapter: tangle.ROW.findall(text) for chapter, text in base.texts.items()}
    for chapter, lines in rows.items():  # a paragraph before some listing, and one at the end
        fences = [part.line for part in base.listings if part.chapter == chapter]
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines += ["\n", "The end.\n"]
        if fences:
            at = rng.choice(fences)
            lines[at - 1:at - 1] = ["\n", "New words.\n", "\n"]
    changed = tangle.assemble({chapter: "".join(lines) for chapter, lines in rows.items()})
    goal, met = tangle.merge(base.plain[file], now, changed.plain[file])
    assert (goal, met) == (now, [])
    new, problems = tangle.unpick(changed, {file: goal})
    assert not problems
    assert new.plain[file] == now
    assert prose(new) == prose(changed)


LINES = st.lists(st.sampled_from("abcd"), max_size=8)


@given(LINES, LINES, LINES)
def test_a_merge_loses_no_side(base, ours, theirs):
    merged, met = tangle.merge(base, ours, theirs)
    assert tangle.merge(base, base, theirs) == (theirs, [])
    assert tangle.merge(base, ours, base) == (ours, [])
    assert tangle.merge(base, ours, ours) == (ours, [])
    if not met:  # whose changes are carried to whom does not matter
        assert tangle.merge(base, theirs, ours) == (merged, [])


@given(BOOKS, BOOKS)
def test_tangling_again_is_tangling_from_nothing(first, second):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as fresh:
        desk, other = Desk(Path(folder), **first), Desk(Path(fresh), **second)
        if desk.run().status or other.run().status:
            return
        desk.names = []
        desk.write(**second)
        for name in set(first) - set(second):
            desk.chapter(name).unlink()
        desk.good()
        assert desk.tree() == other.tree()
