"""A worked solution, folded away, with cells that are executed inside.

Cells are executed only at the top level of a chapter, so a solution is not a directive around them
but all that stands between two:

    ```{solution}
    ```
    Prose, listings and cells, but no heading.
    ```{solution-end}
    ```

The line of the fold reads "A worked solution", or what follows ``{solution}``.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


class solution(nodes.General, nodes.Element):
    """A folded part of a page; its first child is a ``summary``."""


class summary(nodes.General, nodes.TextElement):
    """The line that is seen of a folded part."""


class mark(nodes.Invisible, nodes.Element):
    """Where a solution begins (it has a title) or ends."""


class Begin(SphinxDirective):
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        begin = mark(title=self.arguments[0] if self.arguments else "A worked solution")
        self.set_source_info(begin)
        return [begin]


class End(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        end = mark()
        self.set_source_info(end)
        return [end]


class Fold(SphinxTransform):
    """Put what stands between two marks into one node."""

    default_priority = 10

    def apply(self, **kwargs: Any) -> None:
        for begin in list(self.document.findall(mark)):
            if begin.parent is None:  # the end of a solution that is already folded
                continue
            siblings = begin.parent.children
            start = siblings.index(begin)
            end = next((n for n in siblings[start + 1 :] if isinstance(n, mark)), None)
            if "title" not in begin or end is None or "title" in end:
                logger.warning(
                    "a {solution} and its {solution-end} must alternate, and stand under one"
                    " heading; add the missing one",
                    location=begin,
                )
                begin.parent.remove(begin)
                continue
            stop = siblings.index(end)
            folded = solution("", summary("", begin["title"]), *siblings[start + 1 : stop])
            folded.source, folded.line = begin.source, begin.line
            begin.parent[start : stop + 1] = [folded]
            end.parent = None


def open_details(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "details", CLASS="solution"))


def close_details(self: Any, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def open_summary(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "summary", ""))


def close_summary(self: Any, node: nodes.Element) -> None:
    self.body.append("</summary>\n")


def unfolded(self: Any, node: nodes.Element) -> None:
    """Where nothing can be folded, a solution is read straight on."""


PLAIN: dict[str, Any] = {
    builder: (unfolded, unfolded) for builder in ("latex", "text", "man", "texinfo", "epub")
}


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(solution, html=(open_details, close_details), **PLAIN)
    app.add_node(summary, html=(open_summary, close_summary), **PLAIN)
    app.add_directive("solution", Begin)
    app.add_directive("solution-end", End)
    app.add_transform(Fold)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
