"""Random books, for Hypothesis: listings that refer to one another, among prose."""

from itertools import count

from hypothesis import strategies as st

PROSE = st.lists(st.sampled_from([
    "Some text.", "", "# A heading", "- a point", "> said", "```python\nprint()\n```",
    "````markdown\n```\n````", "π ≠ 3", "   trailing   "]), max_size=3)
STATEMENTS = st.sampled_from([
    "x = 1", "y = x", "f()", "# a comment", "def f(x):\n    return x", "@f\ndef g():\n    pass", "",
    "class A:\n    y = 1\n\n    def f(self):\n        pass", "if x:\n    y = 2\nelse:\n    y = 3",
    's = """\ntext\n  more\n"""', "for x in y:\n\n    f(x)", "z = [\n    1,\n]"])
IMPORTS = [
    "import os", "import sys, os", "from math import pi, tau", "from math import pi as PI",
    "from math import (\n    cos,\n    sin,\n)", "from p.b import x", "from p import b",
    "import numpy as np", "import os  # noted"]
IMPORT_LINES = {line for statement in IMPORTS for line in statement.split("\n")}


@st.composite
def listings(draw, info: str, names: count, depth: int = 0) -> list[tuple[str, list[str]]]:
    """A listing, info string and lines, and the fragments that it uses."""
    lines = draw(st.lists(st.sampled_from(IMPORTS), max_size=2))
    lines += draw(st.lists(STATEMENTS, max_size=5))
    fragments = []
    for _ in range(draw(st.sampled_from([0, 0, 1, 2])) if depth < 3 else 0):
        name = f"fragment {next(names)}"
        lines += draw(st.sampled_from([["{}"], ["while x:", "    y = 4", "    {}"]]))
        lines[-1] = lines[-1].format(f"<<{name}>>")
        lines += draw(st.lists(STATEMENTS, max_size=2))
        for _ in range(draw(st.integers(1, 2))):
            fragments += draw(listings(f'name="{name}"', names, depth + 1))
    return [(info, "\n".join(lines).split("\n") if lines else []), *fragments]


@st.composite
def chapters(draw) -> dict[str, str]:
    """The texts of a book's chapters, by name."""
    texts, names = {}, count()
    for number in range(draw(st.integers(1, 3))):
        text = "\n".join(draw(PROSE))
        for _ in range(draw(st.integers(0, 3))):
            file = draw(st.sampled_from(["p/a.py", "p/b.py"]))
            for info, lines in draw(listings(f"file={file}", names)):
                text += "".join(f"{line}\n" for line in ["", "", f"```python {info}", *lines])
                text += "```\n" + "\n".join(draw(PROSE))
        if draw(st.booleans()):
            text = text.rstrip("\n")
        text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
        texts[f"c{number}"] = draw(st.sampled_from(["", "\ufeff"])) + text
    return texts


@st.composite
def edited(draw, lines: list[str]) -> list[str]:
    """The lines of a tangled file after some edits, such as a person makes."""
    lines = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        indent = " " * (len(lines[at]) - len(lines[at].lstrip()))
        imports = [i for i, line in enumerate(lines) if line.startswith(("import ", "from "))]
        match draw(st.sampled_from(["change", "remove", "add", "import", "no import"])):
            case "change":
                lines[at] += " # changed"
            case "remove":
                del lines[at:at + draw(st.integers(1, 6))]
            case "add":
                new = draw(STATEMENTS).split("\n")
                lines[at:at] = [indent + line if line else "" for line in new]
            case "import" if imports:
                lines[imports[-1]:imports[-1]] = [draw(st.sampled_from(IMPORTS))]
            case "no import" if imports:
                del lines[draw(st.sampled_from(imports))]
        lines = lines or ["# nothing"]
    return lines
