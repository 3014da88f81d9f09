"""Random books, for Hypothesis: listings that refer to one another, among prose."""

from hypothesis import strategies as st

PROSE = st.lists(st.sampled_from(["Some text.", "", "# A heading", "- a point", "> said",
                                  "```python\nprint()\n```", "````markdown\n```\n````", "π ≠ 3"]),
                 max_size=3)
STATEMENTS = st.sampled_from([
    "x = 1", "y = x", "f(x)", "", "# a comment", "def f(x):\n    return x", "@f\ndef g():\n    pass",
    "class A:\n    y = 1\n\n    def f(self):\n        pass", "if x:\n    y = 2\nelse:\n    y = 3",
    's = """\ntext\n  more\n"""', "for x in y:\n\n    f(x)", "z = [\n    1,\n]"])
IMPORTS = st.sampled_from(["import os", "import sys, os", "from math import pi, tau",
                           "from math import (\n    cos,\n    sin,\n)", "from p.b import x",
                           "from p import b", "import numpy as np", "import os  # noted"])


@st.composite
def listings(draw, name: str | None = None, depth: int = 0):
    """The text of one listing and of the fragments that it uses."""
    lines = draw(st.lists(IMPORTS, max_size=2)) + draw(st.lists(STATEMENTS, max_size=5))
    used = []
    if depth < 3 and draw(st.integers(0, 2)) == 0:
        used = [f"{name or draw(st.uuids())} {i}" for i in range(draw(st.integers(1, 2)))]
        for fragment in used:
            lines += draw(st.sampled_from([["<<{}>>"], ["while x:", "    y = 4", "    <<{}>>"]]))
            lines[-1] = lines[-1].format(fragment)
            lines += draw(st.lists(STATEMENTS, max_size=2))
    blocks = [(f'name="{name}"' if name else "file=", "\n".join(lines))]
    for fragment in used:
        for _ in range(draw(st.integers(1, 2))):
            blocks += draw(listings(fragment, depth + 1))
    return blocks


@st.composite
def chapters(draw):
    """The texts of a book's chapters, by name."""
    texts = {}
    for number in range(draw(st.integers(1, 3))):
        blocks = []
        for _ in range(draw(st.integers(0, 3))):
            file = draw(st.sampled_from(["p/a.py", "p/b.py"]))
            blocks += [(f"file={file}" if info == "file=" else info, code)
                       for info, code in draw(listings())]
        text = "\n".join(draw(PROSE))
        for info, code in blocks:
            text += f"\n\n```python {info}\n{code}{chr(10) if code else ''}```\n"
            text += "\n".join(draw(PROSE))
        end = draw(st.sampled_from(["\n", "\r\n"]))
        mark = draw(st.sampled_from(["", "\ufeff"]))
        texts[f"c{number}"] = mark + text.replace("\n", end)
    return texts
