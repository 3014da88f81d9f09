"""Every mistake a book can hold: its place, its cure, status 2, and nothing written."""

import os
import re

import pytest
from desk import Desk, listing

import tangle

CURE = ("; write file= and a path below src/ that ends in .py, or name=\"...\" without < and >, "
        "or both")
UNUSED = "fragment <<{0}>> is never used; write <<{0}>> where it belongs, or remove it"
OPEN = "this fence is never closed; end it with a line {}; one that holds another must be longer"
LONG = ("HTML that an empty line may not end; write it in ```{raw} html, or a comment at the left "
        "margin, below an empty line")
MOVE = "a listing begins with ```python at the left margin, inside no other block; write it so"

# name: chapters, and the whole message list
MISTAKES = {
    "unknown attribute": (
        {"one": listing("x = 1", "files=p/a.py")},
        ["book/one.md:1: cannot read 'files=p/a.py'" + CURE]),
    "attribute without a value": (
        {"one": "\n" + listing("x = 1", "file=p/a.py hidden")},
        ["book/one.md:2: cannot read 'hidden'" + CURE]),
    "attribute twice": (
        {"one": listing("x = 1", "file=p/a.py file=p/b.py")},
        ["book/one.md:1: cannot read 'file=p/a.py file=p/b.py'" + CURE]),
    "open quotation mark": (
        {"one": listing("x = 1", 'name="half')},
        ["book/one.md:1: cannot read 'name=\"half'" + CURE]),
    "unusable name": (
        {"one": listing("x = 1", 'name="a <b>"')},
        ["book/one.md:1: cannot read 'name=\"a <b>\"'" + CURE]),
    "empty name": (
        {"one": listing("x = 1", 'name=""')},
        ["book/one.md:1: cannot read 'name=\"\"'" + CURE]),
    "not Python by name": (
        {"one": listing("x = 1", "file=p/a.txt")},
        ["book/one.md:1: cannot read 'file=p/a.txt'" + CURE]),
    "another word for python": (
        {"one": listing("x = 1").replace("python", "py", 1)},
        ["book/one.md:1: " + MOVE]),
    "indented fence": (
        {"one": "  " + listing("x = 1").replace("\n```", "\n  ```")},
        ["book/one.md:1: " + MOVE]),
    "undefined fragment": (
        {"one": listing("x = 1\n<<more>>")},
        ['book/one.md:3: <<more>> is not defined in this chapter; add a listing with name="more"']),
    "misspelt fragment": (
        {"one": listing("<<sweep al>>\n<<sweep all>>") + listing("x = 1", 'name="sweep all"')},
        ["book/one.md:2: <<sweep al>> is not defined in this chapter; "
         "did you mean <<sweep all>>?"]),
    "unused fragment": (
        {"one": listing("x = 1") + "\n" + listing("y = 1", 'name="more"')},
        ["book/one.md:5: " + UNUSED.format("more")]),
    "cycle of three": (
        {"one": listing("<<b>>", "name=a") + listing("<<c>>", "name=b")
         + listing("<<a>>", "name=c")},
        ["book/one.md:2: <<b>> uses itself: b -> c -> a -> b; take one link out"]),
    "cycle of one": (
        {"one": listing("<<a>>", "name=a")},
        ["book/one.md:2: <<a>> uses itself: a -> a; take one link out"]),
    "name in two chapters": (
        {"one": listing("<<a>>") + listing("x = 1", "name=a"),
         "two": "\n" + listing("x = 2", "name=a")},
        ["book/two.md:2: fragment <<a>> is already defined in book/one.md:4; "
         "give one of the two another name",
         "book/two.md:2: " + UNUSED.format("a")]),
    "use across chapters": (
        {"one": listing("x = 1\n<<a>>"), "two": listing("y = 2", "name=a")},
        ['book/one.md:3: <<a>> is not defined in this chapter; add a listing with name="a"',
         "book/two.md:1: " + UNUSED.format("a")]),
    "fragment used twice": (
        {"one": listing("<<a>>\n<<a>>") + listing("x = 1", "name=a")},
        ["book/one.md:3: <<a>> is used a second time, first at book/one.md:2; "
         "make it a function, or write it out here"]),
    "fence never closed": (
        {"one": "Text.\n\n```python file=p/a.py\nx = 1\n"},
        ["book/one.md:3: " + OPEN.format("```")]),
    "long fence closed by a short one": (
        {"one": "````python file=p/a.py\nx = 1\n```\n"},
        ["book/one.md:1: " + OPEN.format("````")]),
    "any fence never closed": (
        {"one": "~~~text\nx = 1\n"},
        ["book/one.md:1: " + OPEN.format("~~~")]),
    "listing in a directive": (
        {"one": "````{note}\n" + listing("x = 1") + "````\n"},
        ["book/one.md:2: " + MOVE]),
    "listing in colons": (
        {"one": ":::{note}\n" + listing("x = 1") + ":::\n"},
        ["book/one.md:2: " + MOVE]),
    "listing in a list": (
        {"one": "- point\n\n" + "".join(f"  {x}\n" for x in listing("x = 1").splitlines())},
        ["book/one.md:3: " + MOVE]),
    "listing in a quotation": (
        {"one": "".join(f"> {x}\n" for x in listing("x = 1").splitlines())},
        ["book/one.md:1: " + MOVE]),
    "listing in HTML": (
        {"one": "<div>\n" + listing("x = 1") + "</div>\n"},
        ["book/one.md:2: this is inside HTML; write an empty line above it",
         "book/one.md:4: this is inside HTML; write an empty line above it"]),
    "listing in HTML of many lines": (
        {"one": "<pre>\n\n" + listing("x = 1", ticks="~~~") + "</pre>\n"},
        ["book/one.md:1: " + LONG]),
    "listing in a comment in a list": (
        {"one": "- <!--\n\n" + listing("x = 1")},
        ["book/one.md:1: " + LONG]),
    "a comment below other HTML": (
        {"one": "<b>\n<!--\n\n" + listing("x = 1") + "-->\n"},
        ["book/one.md:2: " + LONG]),
    "fence behind a point": (
        {"one": "- ```text\n  x = 1\n  ```\n" + listing("x = 1")},
        ["book/one.md:1: a fence begins a line of its own; write it so",
         "book/one.md:3: " + OPEN.format("  ```")]),
    "fence behind a tab": (
        {"one": "\t```text\n" + listing("x = 1")},
        ["book/one.md:1: a fence begins a line of its own; write it so"]),
    "fence in a list that ends outside": (
        {"one": "- point\n\n  ```text\n" + listing("x = 1")},
        ["book/one.md:3: " + OPEN.format("  ```")]),
    "fence in a list that ends farther in": (
        {"one": "- point\n\n  ```text\n    ```\n" + listing("x = 1")},
        ["book/one.md:3: " + OPEN.format("  ```")]),
    "fence with one inside": (
        {"one": listing('"""\n    ```\n"""')},
        ["book/one.md:1: " + OPEN.format("```")]),
    "listing in indented code": (
        {"one": "    ```python file=p/a.py\n    ```\n"},
        ["book/one.md:1: " + MOVE]),
    "absolute path": (
        {"one": listing("x = 1", "file=/etc/a.py")},
        ["book/one.md:1: cannot read 'file=/etc/a.py'" + CURE]),
    "path upwards": (
        {"one": listing("x = 1", "file=p/../../a.py")},
        ["book/one.md:1: cannot read 'file=p/../../a.py'" + CURE]),
    "path of Windows": (
        {"one": listing("x = 1", r"file=p\a.py")},
        ["book/one.md:1: cannot read 'file=p\\\\a.py'" + CURE]),
    "paths that differ in case": (
        {"one": listing("x = 1", "file=p/a.py") + listing("x = 1", "file=P/b.py")},
        ["book/one.md:4: src/P/ and src/p/ cannot both be there on every system; rename one"]),
    "file and folder of one name": (
        {"one": listing("x = 1", "file=p.py") + listing("x = 1", "file=p.py/a.py")},
        ["book/one.md:4: src/p.py/ and src/p.py cannot both be there on every system; rename one"]),
    "not UTF-8": (
        {"one": b"first\nsecond \xff\n"},
        ["book/one.md:2: bytes that are not UTF-8; save the file as UTF-8"]),
    "tab in the indentation": (
        {"one": listing("if 1:\n  \tx = 1")},
        ["book/one.md:3: a tab in the indentation; use spaces"]),
    "not valid Python": (
        {"one": listing("x = 1\n<<a>>") + "Text.\n" + listing("y = = 2", "name=a")},
        ["book/one.md:7: not valid Python: invalid syntax; mend it here"]),
    "not valid Python at the end": (
        {"one": listing("x = 1\nif x:")},
        ["book/one.md:3: not valid Python: expected an indented block after 'if' statement; "
         "mend it here"]),
}


@pytest.mark.parametrize(("chapters", "messages"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_its_place_and_its_cure_and_writes_nothing(desk, chapters, messages):
    desk.write(**chapters)
    before = desk.tree()
    for verb in ((), ("check",), ("list",), ("where", "src/p/a.py:1"), ("--discard",)):
        run = desk.run(*verb)
        assert run.err.splitlines() == messages
        assert (run.status, run.out) == (2, "")
    assert desk.tree() == before


def test_all_mistakes_come_in_one_run_in_reading_order(tmp_path):
    chapters, places = {}, []
    for number, (texts, messages) in enumerate(MISTAKES.values()):
        if len(texts) > 1:
            continue
        text = texts["one"]
        if isinstance(text, str):  # names are of the whole book: make them this chapter's own
            text = re.sub("(?<=file=)([pP])", rf"\g<1>{number}", text)
            text = re.sub('(name="?|<<)([abc]|more|sweep al+)(?=[>"\n])', rf"\1\g<2>{number}", text)
        chapters[f"c{number}"] = text
        places += [f"book/c{number}.md:{message.split(':')[1]}" for message in messages]
    desk = Desk(tmp_path, **chapters)
    run = desk.run()
    assert [line.split(": ")[0] for line in run.err.splitlines()] == places
    assert run.status == 2
    assert not (tmp_path / "src").exists()


def test_several_mistakes_of_one_listing(desk):
    desk.write(one=listing("\tx = 1", 'file=p/a.py name="<"') + listing("\tx = 1"))
    assert [line.split(";")[0] for line in desk.run().err.splitlines()] == [
        "book/one.md:1: cannot read 'name=\"<\"'", "book/one.md:2: a tab in the indentation",
        "book/one.md:5: a tab in the indentation",
        "book/one.md:5: not valid Python: unexpected indent"]


def test_a_symbolic_link_out_of_src_is_a_mistake(desk, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    desk.src().parent.parent.mkdir()
    desk.src().parent.symlink_to(outside)
    desk.write(one=listing("x = 1"))
    run = desk.run()
    assert (run.status, run.err) == (2, "book/one.md:1: file=p/a.py leaves src/ through a "
                                        "symbolic link; remove the link\n")
    assert not list(outside.iterdir())


def test_src_itself_may_be_a_link(desk, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (desk.root / "src").symlink_to(outside)
    desk.write(one=listing("x = 1"))
    desk.good()
    assert (outside / "p/a.py").exists()


def test_chapters_and_the_table_of_contents_must_agree(desk):
    desk.write(one=listing("x = 1"), two="Text.", three=listing("x = 2"))
    desk.chapter("two").unlink()
    desk.order("two", "one")
    run = desk.run()
    assert (run.status, run.err.splitlines()) == (2, [
        "_toc.yml:3: book/two.md is not there; write it, or take this out",
        "book/three.md:1: a listing in a chapter that _toc.yml does not name; add it"])


def test_the_root_must_hold_a_book(desk):
    (desk.root / "_toc.yml").unlink()
    run = desk.run()
    assert (run.status, run.err) == (2, f"_toc.yml:1: names no chapters in {desk.root}; "
                                        "say where the book is with --root\n")


@pytest.mark.parametrize("arguments", [
    ("stich",), ("where",), ("check", "src/p/a.py:1"), ("check", "--discard"), ("--force",)])
def test_wrong_arguments_are_a_mistake_too(desk, arguments):
    desk.write(one=listing("x = 1"))
    run = desk.run(*arguments)
    assert run.status == 2
    assert "usage: tangle.py" in run.err
    assert not (desk.root / "src").exists()


def test_shown_blocks_may_hold_a_listing_as_text(desk):
    desk.write(one="````markdown\n" + listing("x = = 1") + "````\n"
                   "<!--\n" + listing("x = 2") + "-->\n"
                   "```{code-block} python\n~~~python file=p/c.py\n~~~\n```\n"
                   "```python\nprint(1)\n```\n" + listing("x = 3"))
    desk.good()
    assert sorted(path.name for path in (desk.root / "src").rglob("*.py")) == ["a.py"]


def test_an_error_of_the_disk_is_named(desk):
    desk.write(one=listing("x = 1"))
    desk.src().mkdir(parents=True)
    run = desk.run()
    assert (run.status, run.err) == (2, f"{desk.src()}: Is a directory\n")


def test_a_read_only_file_is_left_alone(desk):
    desk.write(one=listing("x = 1"))
    desk.good()
    os.chmod(desk.src(), 0o444)
    desk.write(one=listing("x = 2"))
    before = desk.tree()
    run = desk.run()
    assert (run.status, run.err) == (2, f"{desk.src()}: is read-only; "
                                        "make it writable, or remove it\n")
    assert desk.tree() == before
    os.chmod(desk.src(), 0o644)
    desk.good()
    assert desk.body() == "x = 2\n"


def test_read_info_is_what_the_site_reads_too():
    assert tangle.read_info('name="to the end" file=p/a.py') == ("p/a.py", "to the end")
    assert tangle.read_info("name=end") == (None, "end")
    assert tangle.read_info("") == (None, None)
    with pytest.raises(ValueError, match="write file= and a path below src/"):
        tangle.read_info("colour=red")
