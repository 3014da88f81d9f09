# Tangled from book/numbers.md
"""Working: formulas and calculations as text, and as a tree to open."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

STRENGTH = {"+": 1, "−": 1, "×": 2, "/": 2, "^": 3}


class Written(NamedTuple):
    """A piece of a formula, and how firmly it holds without brackets."""

    text: str
    strength: int = 4


def digits(value: float) -> Written:
    """A number to six digits."""
    text = f"{value:.6g}".replace("-", "−")
    return Written(text, 1 if value < 0 else 4)


def join(op: str, parts: Sequence[Written]) -> Written:
    """The parts joined by an operation, with the brackets they need."""
    if op not in STRENGTH:
        return Written(f"{op}({parts[0].text})")
    texts = []
    for place, part in enumerate(parts):
        closed = place > 0 or op == "^"
        needed = STRENGTH[op] + (1 if closed else 0)
        weak = part.strength < needed
        texts.append(f"({part.text})" if weak else part.text)
    return Written(f" {op} ".join(texts), STRENGTH[op])


WIDTH = 72  # a longer line of text is broken before its equals signs


class Line(NamedTuple):
    """One step: its depth, and what stands between its equals signs."""

    depth: int
    steps: list[str]


@dataclass(frozen=True, repr=False)
class Explanation:
    """Steps of working, printed as text, shown in a notebook as a tree."""

    lines: list[Line]
    remark: str

    def __repr__(self) -> str:
        text = []
        for depth, steps in self.lines:
            margin = "    " * depth
            line = margin + " = ".join(steps)
            if len(line) > WIDTH:
                line = margin + f"\n{margin}  = ".join(steps)
            text.append(line)
        return "\n".join([*text, self.remark]).rstrip()

    def _repr_html_(self) -> str:
        """The tree: its first line stands open, the others open on request."""
        html = ['<div class="explanation" style="font-family: monospace">']
        depths = [line.depth for line in self.lines[1:]] + [0]
        for (depth, steps), next_depth in zip(self.lines, depths, strict=True):
            *working, value = map(escape, steps)
            text = " =&nbsp;".join([*working, f"<b>{value}</b>"])
            if next_depth > depth:
                html.append("<details>" if depth else "<details open>")
                html.append(f"<summary>{text}</summary>")
                html.append('<div style="margin-inline-start: 1.5em">')
            else:
                html.append(f"<div>{text}</div>")
                html.append("</div></details>" * (depth - next_depth))
        if self.remark:
            html.append(f"<p>{escape(self.remark)}</p>")
        return "\n".join([*html, "</div>"])
