"""Edits in src/ are carried to the chapter lines they came from, or refused as a whole."""

import pytest
from desk import Desk, listing

import tangle

CODE = listing('"""About a."""\n\nimport os\n\n\ndef f(x):\n    total = 0\n    for y in x:\n'
               "        <<step>>\n    return total")
STEP = listing("if y:\n    <<deep>>", "name=step")
DEEP = listing("total += y", "name=deep")
LAST = listing("from math import pi\n\n\ndef g():\n    return pi")
BOOK = ("# One\n\nText é.\n\n" + CODE + "\nMore.\n\n" + STEP + "\n" + DEEP + "\nEnd.\n\n" + LAST
        + "\nLast words")

# What is written in src/, and what the chapter's line becomes: (old, new, chapter's old and new)
EDITS = {
    "a line is changed": ("    total = 0\n", "    total = 1\n", None),
    "a line is added": ("    total = 0\n", "    total = 0\n    n = 0\n", None),
    "a line is removed": ("    total = 0\n", "", None),
    "deep in fragments": (
        "            total += y\n", "            total += 2 * y\n",
        ("total += y\n", "total += 2 * y\n")),
    "more lines, deep in fragments": (
        "            total += y\n", "            total += y\n\n            y += 1\n",
        ("total += y\n", "total += y\n\ny += 1\n")),
    "the docstring": ('"""About a."""', '"""About a.\n\nMuch more.\n"""', None),
    "a function at the end of a listing": (
        "    return total\n", "    return total\n\n\ndef h():\n    return 1\n", None),
    "a function at the end of the file": (
        "    return pi\n", "    return pi\n\n\ndef h():\n    return 1\n", None),
    "after a fragment, as deep as it": (
        "            total += y\n",
        "            total += y\n        else:\n            total -= 1\n",
        ("if y:\n    <<deep>>\n", "if y:\n    <<deep>>\nelse:\n    total -= 1\n")),
    "between a reference and what follows": (
        "    return total\n", "        print(y)\n    return total\n",
        ("    <<deep>>\n", "    <<deep>>\nprint(y)\n")),
    "a decorated function before another": (
        "def g():", "@cache\ndef h():\n    return 2\n\n\n@cache\ndef g():", ("", "")),
    "a block changed across listings, line by line": (
        "            total += y\n    return total\n",
        "            total += 3 * y\n    return total + 1\n", ("", "")),
    "a whole function removed": ("\n\ndef g():\n    return pi\n", "", ("", "")),
}


@pytest.mark.parametrize(("old", "new", "chapter"), EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_edit_reaches_the_chapter(desk, old, new, chapter, end):
    desk.write(one=("\ufeff" + BOOK).replace("\n", end))
    desk.good()
    text = desk.read()
    assert text.count(old) == 1
    edited = text.replace(old, new)
    desk.src().write_text(edited)
    desk.good("stitch")
    assert desk.read() == edited
    desk.good("check")
    stitched = desk.chapter().read_bytes().decode()
    assert stitched.count("\r") == (stitched.count("\n") if end == "\r\n" else 0)
    if chapter != ("", ""):
        old, new = chapter or (old, new)
        assert stitched == ("\ufeff" + BOOK.replace(old, new)).replace("\n", end)
    desk.good("--discard")
    assert desk.read() == edited


def test_stitch_shows_what_it_changed(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.src().write_text(desk.read().replace("total += y", "total += 2"))
    run = desk.good("stitch")
    assert run.out.splitlines() == [
        "  book/one.md:26", "  - total += y", "  + total += 2", "wrote book/one.md"]
    assert desk.good("stitch").out == ""


def test_lines_between_two_listings_go_to_the_end_of_the_earlier_one(desk):
    desk.write(one="A.\n" + listing("def f():\n    pass") + "B.\n" + listing("def g():\n    pass"))
    desk.good()
    desk.src().write_text(desk.read().replace("def g", "def new():\n    pass\n\n\ndef g"))
    desk.good("stitch")
    assert desk.chapter().read_text() == (
        "A.\n" + listing("def f():\n    pass\n\n\ndef new():\n    pass") + "B.\n"
        + listing("def g():\n    pass"))


def test_unless_only_the_later_one_gives_the_file_back(desk):
    desk.write(one=listing("def f(x):\n    <<body>>") + listing("return (\n    x)", "name=body")
               + listing("y = 1"))
    desk.good()
    desk.src().write_text(desk.read().replace("y = 1", "# about y\ny = 1"))
    desk.good("stitch")
    assert "python file=p/a.py\n# about y\ny = 1" in desk.chapter().read_text()


def test_a_function_below_the_imports_goes_below_them_in_whatever_order_they_are(desk):
    code = '"""About a."""\n\nfrom math import pi\nimport os\n\n\n{}def f():\n    return os, pi'
    desk.write(one=listing(code.format("")))
    desk.good()
    new = "def new():\n    pass\n\n\n"
    desk.src().write_text(desk.read().replace("def f", f"{new}def f"))
    desk.good("stitch")
    assert desk.chapter().read_text() == listing(code.format(new))


def test_what_follows_a_nested_listing_goes_after_its_reference(desk):
    desk.write(one=listing("def f(x):\n    <<body>>") + listing("return x", "name=body")
               + listing("def g(x):\n    return 1"))
    desk.good()
    desk.src().write_text(desk.read().replace("def g", "def h(x):\n    return 2\n\n\ndef g"))
    desk.good("stitch")
    assert "    <<body>>\n\n\ndef h(x):\n    return 2\n```" in desk.chapter().read_text()


IMPORTS = {
    "added to a module": ("from math import pi", "from math import cos, pi",
                          [("one", "from math import pi\n", "from math import cos, pi\n")]),
    "a new module": ("import os", "import os\nimport sys",
                     [("one", "import os\n", "import os\nimport sys\n")]),
    "removed wherever it stands": ("import os\n", "", [
        ("one", "\nimport os\n", ""), ("two", "import os\n\n", "")]),
    "renamed": ("from math import pi\n", "from math import pi as PI\n",
                [("one", "from math import pi\n", "from math import pi as PI\n")]),
}


@pytest.mark.parametrize(("old", "new", "changes"), IMPORTS.values(), ids=IMPORTS)
def test_imports_are_carried_to_the_listings_that_have_them(desk, old, new, changes):
    texts = {"one": BOOK, "two": listing("import os\n\nprint(os)") + "\n"}
    desk.write(**texts)
    desk.good()
    edited = desk.read().replace(old, new)
    desk.src().write_text(edited)
    desk.good("stitch")
    assert desk.read() == edited
    for name, was, now in changes:
        assert was in texts[name]
        texts[name] = texts[name].replace(was, now)
    for name, text in texts.items():
        assert desk.chapter(name).read_text() == text


def test_the_first_import_of_a_file(desk):
    desk.write(one=listing("x = 1"))
    desk.good()
    desk.src().write_text(desk.read().replace("x = 1", "import os\n\nx = os.sep"))
    desk.good("stitch")
    assert desk.chapter().read_text() == listing("import os\n\nx = os.sep")


# ------------------------------------------------------------ refusals

REFUSED = {
    "blank lines between listings": (
        "\n\ndef g", "\ndef g", "src/p/a.py:15: no one place near book/one.md:35"),
    "the first line": (
        "# Tangled from", "# Made from", "src/p/a.py:1: no one place near book/one.md:6"),
    "imports out of order": ("import os\n", "import sys\nimport os\n",
                             "src/p/a.py:4: no one place near book/one.md:8 gives"),
    "across listings": (
        "            total += y\n    return total\n", "            return 1\n",
        "src/p/a.py:12: no one place near book/one.md:26 and book/one.md:15 gives"),
    "a line that ends the fence": (
        "total = 0", "total = 0\n```", "src/p/a.py:10: not valid Python"),
    "a string that ends the fence": (
        "    total = 0\n", '    total = """\n```\n"""\n',
        "src/p/a.py:9: no one place near book/one.md:12"),
    "a string that begins another file": (
        "    total = 0\n", '    total = """\n```\n```python file=p/new.py\nx = 1\n"""\n',
        "src/p/a.py:9: no one place near book/one.md:12"),
    "a line that looks like a reference": (
        "    total = 0\n", '    total = """\n    <<x>>\n    """\n',
        "book/one.md:13: after the edits in src/: <<x>> is not defined in this chapter;"),
    "not Python": (
        "total = 0", "total = =", "src/p/a.py:9: not valid Python: invalid syntax; mend"),
}


@pytest.mark.parametrize(("old", "new", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_placed_is_refused_as_a_whole(desk, old, new, reason):
    desk.write(one=BOOK, two=listing("y = 1", "file=p/b.py"))
    desk.good()
    desk.src("p/b.py").write_text(desk.read("p/b.py").replace("y = 1", "y = 2"))
    desk.src().write_text(desk.read().replace(old, new))
    before = desk.tree()
    run = desk.run("stitch")
    assert (run.status, run.out) == (1, "")
    first, last = run.err.splitlines()
    assert first.startswith(reason)
    assert last == "nothing was written"
    assert desk.tree() == before


def test_of_several_edits_the_one_with_a_fence_is_told(desk):
    desk.write(one=BOOK)
    desk.good()
    edited = desk.read().replace("total = 0", "total = 1").replace(
        "    return pi", '    """\n    ```\n    """\n    return pi')
    desk.src().write_text(edited)
    run = desk.run("stitch")
    assert (run.status, run.err.partition(" gives")[0]) == (
        1, "src/p/a.py:17: no one place near book/one.md:36")


def test_a_line_that_would_change_another_edited_file_is_refused(desk):
    desk.write(one=listing("x = 1") + listing("y = 1", "file=p/b.py"))
    desk.good()
    desk.src().write_text(desk.read().replace("x = 1", 'x = """\n```\n```python file=p/b.py\n"""'))
    desk.src("p/b.py").write_text(desk.read("p/b.py").replace("y = 1", "import os\n\ny = 1"))
    before = desk.tree()
    run = desk.run("stitch")
    assert (run.status, run.err.partition(" gives")[0]) == (
        1, "src/p/a.py:3: no one place near book/one.md:2")
    assert desk.tree() == before


def test_a_new_file_is_refused_with_the_cure(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.src("p/new.py").write_text("x = 1\n")
    run = desk.run("stitch")
    assert (run.status, run.err) == (1, "src/p/new.py:1: no listing makes this file; take it away, "
                                        "write ```python file=p/new.py in a chapter, and put it "
                                        "back\nnothing was written\n")
    text = desk.src("p/new.py").read_text()
    desk.src("p/new.py").unlink()
    desk.write(one=BOOK + "\n\n" + listing("y = 0", "file=p/new.py"))
    desk.good()
    desk.src("p/new.py").write_text(desk.read("p/new.py").replace("y = 0\n", text))
    desk.good("stitch")
    assert desk.chapter().read_text() == BOOK + "\n\n" + listing("x = 1", "file=p/new.py")


def test_an_empty_file_is_refused_and_a_missing_one_is_written_again(desk):
    desk.write(one=BOOK)
    desk.good()
    text = desk.read()
    desk.src().write_text("")
    run = desk.run("stitch")
    assert run.status == 1
    assert run.err.startswith("src/p/a.py:1: no one place near book/one.md:6 and book/one.md:31")
    desk.src().unlink()
    desk.good("stitch")
    assert (desk.read(), desk.chapter().read_text()) == (text, BOOK)


# ------------------------------------------------------------ both sides changed

def test_both_sides_stand_if_they_do_not_meet(desk):
    desk.write(one=BOOK, two="Text.\n")
    desk.good()
    desk.src().write_text(desk.read().replace("return total", "return 2 * total"))
    other = "# New\n\n" + BOOK.replace("More.", "More words.\n\nAnd more.")
    other = other.replace("total += y", "total += 3")
    desk.write(one=other, two=listing("z = 3"))
    desk.good("stitch")
    assert desk.chapter().read_text() == other.replace("return total", "return 2 * total")
    assert "        return 2 * total\n" not in desk.read()
    assert "    return 2 * total\n" in desk.read()
    assert "total += 3" in desk.read()
    assert desk.read().endswith("z = 3\n")
    desk.good("check")


def test_the_same_change_on_both_sides_is_no_conflict(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.src().write_text(desk.read().replace("total += y", "total += 3").replace(
        "return pi", "return 2 * pi"))
    desk.write(one=BOOK.replace("total += y", "total += 3"))
    desk.run("stitch")
    desk.good("check")
    assert "total += 3" in desk.read()


def test_a_conflict_is_shown_by_chapter_line_and_writes_nothing(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.src().write_text(desk.read().replace("total += y", "total += 3"))
    desk.write(one="New.\n" + BOOK.replace("total += y", "total += 4"))
    before = desk.tree()
    run = desk.run("stitch")
    assert (run.status, run.out, run.err.splitlines()) == (1, "", [
        "book/one.md:27: changed here and in src/; make the two agree, then stitch again",
        "    chapter:             total += 4", "    src:                 total += 3",
        "nothing was written"])
    assert desk.tree() == before
    desk.write(one="New.\n" + BOOK.replace("total += y", "total += 3"))
    desk.good("stitch")
    desk.good("check")


@pytest.mark.parametrize("change", ["line ends", "a byte order mark"])
def test_a_chapter_saved_by_another_editor_is_no_conflict(desk, change):
    desk.write(one=BOOK)
    desk.good()
    text = BOOK.replace("\n", "\r\n") if change == "line ends" else "\ufeff" + BOOK
    desk.write(one=text)
    desk.src().write_text(desk.read().replace("total += y", "total += 3"))
    desk.good("stitch")
    assert desk.chapter().read_bytes().decode() == text.replace("total += y", "total += 3")


def test_an_edit_made_after_a_branch_switch(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.commit()
    desk.git("checkout", "-q", "-b", "other")
    desk.write(one=BOOK.replace("total = 0", "total = 5"))
    desk.good()
    desk.commit()
    desk.git("checkout", "-q", "main")
    desk.src().write_text(desk.read().replace("total += y", "total += 3"))
    desk.good("stitch")
    assert desk.chapter().read_text() == BOOK.replace("total += y", "total += 3")


def test_an_edit_where_git_has_taken_another_back(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.commit()
    before = desk.read()
    for number in (3, 4):
        desk.src().write_text(before.replace("total += y", f"total += {number}"))
        desk.good("stitch")
        assert desk.chapter().read_text() == BOOK.replace("total += y", f"total += {number}")
        desk.git("checkout", "-q", ".")


def test_an_edit_in_a_fresh_clone(desk, tmp_path_factory):
    desk.write(one=BOOK)
    desk.good()
    desk.commit()
    folder = tmp_path_factory.mktemp("copy") / "clone"
    desk.git("clone", "-q", str(desk.root), str(folder))
    clone = Desk(folder)
    clone.src().write_text(clone.read().replace("total += y", "total += 3"))
    clone.good("stitch")
    assert clone.chapter().read_text() == BOOK.replace("total += y", "total += 3")


def test_without_any_record_an_edit_is_refused(desk):
    desk.write(one=BOOK)
    desk.good()
    for path in (desk.root / ".tangle").iterdir():
        path.unlink()
    desk.src().write_text(desk.read().replace("total += y", "total += 3"))
    before = desk.tree()
    assert desk.run("stitch").status == 1
    assert desk.tree() == before


def test_a_mistake_in_a_chapter_comes_first(desk):
    desk.write(one=BOOK)
    desk.good()
    desk.src().write_text(desk.read().replace("total += y", "total += 3"))
    desk.write(one=BOOK + "\n\n```python file=p/b.py")
    run = desk.run("stitch")
    assert run.status == 2
    assert "this fence is never closed" in run.err


def test_without_an_edit_a_mistake_in_the_python_of_a_chapter_is_told_as_ever(desk):
    desk.write(one=BOOK.replace("total = 0", "total ="))
    assert desk.run("stitch") == desk.run() == (
        2, "", "book/one.md:12: not valid Python: invalid syntax; mend it here\n")


@pytest.mark.parametrize("first", [0, 13, 26])
def test_stitching_the_whole_book_is_exact(first):
    """Lines all over the book's own package, changed at once, reach one chapter line each."""
    book = tangle.load(tangle.Path(tangle.__file__).parent)
    assert not book.problems
    now, places = {file: [*lines] for file, lines in book.plain.items()}, set()
    for file, lines in book.files.items():
        for i, line in list(enumerate(lines))[first::39]:
            if line.row and line.text.strip() and not line.text.startswith(("import ", "from ")):
                now[file][i] += "  # edited"
                places.add((line.chapter, line.row))
    new, problems = tangle.unpick(book, now)
    assert not problems
    assert len(places) > 50
    rows = {chapter: tangle.ROW.findall(text) for chapter, text in book.texts.items()}
    for chapter, row in places:
        rows[chapter][row - 1] = rows[chapter][row - 1].replace("\n", "  # edited\n")
    assert new.texts == {chapter: "".join(lines) for chapter, lines in rows.items()}
