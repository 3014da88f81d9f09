"""What holds for every book."""

import ast
import tempfile
from collections import Counter
from pathlib import Path

from books import IMPORT_LINES, chapters
from desk import Desk, listing
from hypothesis import given, settings
from hypothesis import strategies as st

import tangle

settings.register_profile("quick", max_examples=60, deadline=None)
settings.load_profile("quick")


def assembled(texts: dict[str, str]) -> tangle.Book:
    return tangle.assemble({f"book/{name}.md": text for name, text in texts.items()})


@given(chapters())
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
            for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names}


@given(chapters())
def test_joining_keeps_every_line(texts):
    book = assembled(texts)
    places = Counter((line.chapter, line.row, line.text.strip())
                     for lines in book.files.values() for line in lines)
    wanted, given = set(), set()
    for part in book.listings:
        wanted |= imported("\n".join(text for text in part.lines if text in IMPORT_LINES))
        for row, text in enumerate(part.lines, part.first):
            if text.strip() and text not in IMPORT_LINES and not tangle.REFERENCE.match(text):
                assert places[part.chapter, row, text.strip()] == 1
    for file in book.files:
        given |= imported(book.source(file))
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
