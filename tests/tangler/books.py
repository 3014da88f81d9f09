"""Random books, for Hypothesis: listings that refer to one another, among prose.

A book is made by a `random.Random`. Hypothesis's own makes failures small; where very many
cases are asked for, one made from a seed is several times as fast.
"""

import os
from itertools import count
from random import Random

from hypothesis import strategies as st

MANY = int(os.environ.get("FUZZ", "40"))  # cases of each property
SEEDS = st.integers(0, 2**64).map(Random)
RANDOMS = st.randoms() if MANY == 40 else SEEDS

PROSE = [
    "Some text.", "", "# A heading", "- a point", "> said", "```python\nprint()\n```",
    "````markdown\n```\n````", "π ≠ 3", "   trailing   "]
STATEMENTS = [
    "x = 1", "y = x", "f()", "# a comment", "def f(x):\n    return x", "@f\ndef g():\n    pass", "",
    "class A:\n    y = 1\n\n    def f(self):\n        pass", "if x:\n    y = 2\nelse:\n    y = 3",
    's = """\ntext\n  more\n"""', "for x in y:\n\n    f(x)", "z = [\n    1,\n]"]
FENCES = 's = """\n```\n```python file=p/b.py\n"""'  # to a chapter, the end of its listing
IMPORTS = [
    "import os", "import sys, os", "from math import pi, tau", "from math import pi as PI",
    "from math import (\n    cos,\n    sin,\n)", "from p.b import x", "from p import b",
    "import numpy as np", "import os  # noted"]
IMPORT_LINES = {line for statement in IMPORTS for line in statement.split("\n")}


def some(rng: Random, choices: list[str], most: int) -> list[str]:
    return [rng.choice(choices) for _ in range(rng.randint(0, most))]


def listings(rng: Random, info: str, names: count, depth: int = 0) -> list[tuple[str, list[str]]]:
    """A listing, info string and lines, and the fragments that it uses."""
    lines = some(rng, IMPORTS, 2) + some(rng, STATEMENTS, 5)
    fragments = []
    for _ in range(rng.choice([0, 0, 1, 2]) if depth < 3 else 0):
        name = f"fragment {next(names)}"
        lines += rng.choice([["{}"], ["while x:", "    y = 4", "    {}"]])
        lines[-1] = lines[-1].format(f"<<{name}>>")
        lines += some(rng, STATEMENTS, 2)
        for _ in range(rng.randint(1, 2)):
            fragments += listings(rng, f'name="{name}"', names, depth + 1)
    return [(info, "\n".join(lines).split("\n") if lines else []), *fragments]


def book(rng: Random) -> dict[str, str]:
    """The texts of a book's chapters, by name."""
    texts, names = {}, count()
    for number in range(rng.randint(1, 3)):
        text = "\n".join(some(rng, PROSE, 3))
        for _ in range(rng.randint(0, 3)):
            file = rng.choice(["p/a.py", "p/b.py"])
            for info, lines in listings(rng, f"file={file}", names):
                text += "".join(f"{line}\n" for line in ["", "", f"```python {info}", *lines])
                text += "```\n" + "\n".join(some(rng, PROSE, 3))
        if rng.randint(0, 1):
            text = text.rstrip("\n")
        text = text.replace("\n", rng.choice(["\n", "\r\n"]))
        texts[f"c{number}"] = rng.choice(["", "\ufeff"]) + text
    return texts


def edited(rng: Random, lines: list[str]) -> list[str]:
    """The lines of a tangled file after some edits, such as a person makes."""
    lines = list(lines)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(lines) - 1)
        indent = " " * (len(lines[at]) - len(lines[at].lstrip()))
        imports = [i for i, line in enumerate(lines) if line.startswith(("import ", "from "))]
        match rng.choice(["change", "remove", "add", "import", "no import"]):
            case "change":
                lines[at] += " # changed"
            case "remove":
                del lines[at:at + rng.randint(1, 6)]
            case "add":
                new = rng.choice([*STATEMENTS, FENCES]).split("\n")
                lines[at:at] = [indent + line if line else "" for line in new]
            case "import" if imports:
                lines[imports[-1]:imports[-1]] = [rng.choice(IMPORTS)]
            case "no import" if imports:
                del lines[rng.choice(imports)]
        lines = lines or ["# nothing"]
    return lines
