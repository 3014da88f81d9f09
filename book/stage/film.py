"""A film: several figures, one timeline, one element on the page; and a still, for a single figure.

A film is SVG and a list of what changes. `film.js` plays it; without a script, and in print, its
last frame stands.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from graphlib import CycleError, TopologicalSorter
from html import escape
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stage.style import COLUMN
from stage.vector import Drawing, artist_of, capture, opening

WIDE = 5 * 72  # points; a wider figure takes a row of its own
OWN = "\ue000"  # stands for the id of the whole until its content, and so its id, is known
_REFERENCE = re.compile(r"#([mph][0-9a-f]{10})\b")

Track = list[list]  # of [frame, value], or [frame, suffix, 1] where the value before grows


class Film:
    """Figures that change together, frame by frame.

    `draw(k)` makes the artists show frame k; it is called for any k in any order. Artists are
    updated, not plotted anew: what stays the same costs nothing. `captions` is a line of text for
    each frame, and `alt` says what the film shows to someone who does not see it.
    """

    def __init__(
        self,
        panes: Sequence[Figure],
        draw: Callable[[int], object],
        frames: int,
        *,
        alt: str,
        captions: Sequence[str] = (),
        fps: float = 6,
    ) -> None:
        if frames < 1 or fps <= 0:
            raise ValueError(f"a film of {frames} frames at fps={fps}: both must be above zero")
        if captions and len(captions) != frames:
            raise ValueError(f"{len(captions)} captions for {frames} frames: give one for each")
        self.alt, self.frames, self.fps = _said(alt), frames, fps
        self.captions = list(captions)
        draw(frames - 1)
        for figure in panes:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once, or the axes would tremble
        shots: list[list[Drawing]] = [[] for _ in panes]
        for frame in range(frames):
            draw(frame)
            for figure, taken in zip(panes, shots, strict=True):
                taken.append(capture(figure) if figure.stale or not taken else taken[-1])
        self.panes = [
            _Pane(figure, taken, number)
            for number, (figure, taken) in enumerate(zip(panes, shots, strict=True))
        ]

    def html(self) -> str:
        """The film as one element."""
        timeline = {
            "fps": self.fps,
            "frames": self.frames,
            "captions": self.captions,
            "tracks": [track for pane in self.panes for track in pane.tracks],
        }
        data = json.dumps(timeline, ensure_ascii=False, separators=(",", ":"))
        data = data.replace("<", r"\u003c")
        caption = ""
        if self.captions:
            longest = escape(max(self.captions, key=len))
            last = escape(self.captions[-1], quote=False)
            caption = f'<p class="pw-caption" data-longest="{longest}"><span>{last}</span></p>'
        return _identified(
            f'<pw-film role="group" aria-label="Film">{_row(self.panes, self.alt)}{caption}'
            f'<script type="application/json">{data}</script></pw-film>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": f"Film of {self.frames} frames: {self.alt}"}


class Still:
    """One figure; a wide one has a narrow version for a telephone, where its text is as large.

    A wide chart is laid out again for that. For what is drawn to scale, such as a map, give
    `narrow`: the same drawn in a figure as wide as a column; without it the wide one shrinks.
    """

    def __init__(self, figure: Figure, narrow: Figure | None = None, *, alt: str) -> None:
        self.alt = _said(alt)
        self.panes = [_Pane(figure, [capture(figure)], 0)]
        if narrow:
            self.panes.append(_Pane(narrow, [capture(narrow)], 1))
        elif self.panes[0].wide and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            width, height = figure.get_size_inches()
            figure.set_size_inches(COLUMN, height)
            self.panes.append(_Pane(figure, [capture(figure)], 1))
            figure.set_size_inches(width, height)

    def html(self) -> str:
        """The figure as one element."""
        return _identified(f'<div class="pw-still">{_row(self.panes, self.alt)}</div>')

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": f"Figure: {self.alt}"}


class _Pane:
    """One figure through all frames: the last as SVG, and a track for each element that changes."""

    def __init__(self, figure: Figure, shots: Sequence[Drawing], number: int) -> None:
        self.width, self.height = shots[-1].width, shots[-1].height
        self.wide = self.width > WIDE
        self.tracks: list[dict[str, Track]] = []
        self._frames = [{element.key: element for element in shot.elements} for shot in shots]
        self._children = _in_order(figure, shots)
        definitions = {name: text for shot in shots for name, text in shot.definitions.items()}
        self._ids = {name: f"{OWN}-{number}-{n}" for n, name in enumerate(definitions)}
        self._definitions = "".join(
            text.replace(f'id="{name}"', f'id="{self._ids[name]}"')
            for name, text in definitions.items()
        )
        self._body = "".join(map(self._markup, self._children[""]))

    def svg(self) -> str:
        """The last frame."""
        size = f'width="{self.width:g}" height="{self.height:g}"'
        kind = ' class="pw-wide"' if self.wide else ""
        return (
            f'<svg{kind} viewBox="0 0 {self.width:g} {self.height:g}" {size} fill="currentColor" '
            f'stroke-linejoin="round"><defs>{self._definitions}</defs>{self._body}</svg>'
        )

    def _markup(self, key: str) -> str:
        """An element as it is in the last frame. What changes in it goes to the tracks."""
        shown = [frame.get(key) for frame in self._frames]
        some = next(element for element in shown if element)
        still, track = {}, {}
        for name in sorted({name for element in shown if element for name in element.attributes}):
            values: list[str | None] = []
            for element in shown:  # while an element is away, it keeps what it had
                value = element.attributes.get(name) if element else (values or [None])[-1]
                values.append(value and _REFERENCE.sub(self._reference, value))
            if values[-1] is not None:
                still[name] = values[-1]
            if len(set(values)) > 1:
                track[name] = _steps(values)
        away = [
            "none" if element is None and (not some.parent or some.parent in frame) else None
            for element, frame in zip(shown, self._frames, strict=True)
        ]
        if any(away):
            track[".display"] = _steps(away)
        if away[-1]:
            still[".display"] = "none"
        if track:
            still["data-t"] = ""
            self.tracks.append(track)
        text = escape(still.get("#", ""), quote=False)
        children = "".join(map(self._markup, self._children.get(key, ())))
        if some.tag == "g" and not still:
            return children
        return f"{opening(some.tag, still)}{text}{children}</{some.tag}>"

    def _reference(self, match: re.Match) -> str:
        return "#" + self._ids[match[1]]


def _in_order(figure: Figure, shots: Sequence[Drawing]) -> dict[str, list[str]]:
    """The children of each element, those of all frames, in an order that suits every frame."""
    before: dict[str, dict[str, dict[str, int]]] = {}  # parent, child, the one before it: the frame
    for frame, shot in enumerate(shots):
        if frame and shot is shots[frame - 1]:
            continue
        last: dict[str, str] = {}
        for element in shot.elements:
            earlier = before.setdefault(element.parent, {}).setdefault(element.key, {})
            if element.parent in last:
                earlier.setdefault(last[element.parent], frame)
            last[element.parent] = element.key
    children = {}
    for parent, graph in before.items():
        try:
            children[parent] = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            frame, under, over = max((graph[b][a], a, b) for a, b in pairwise(error.args[1]))
            raise ValueError(
                f"frame {frame}: {artist_of(figure, over)} is now drawn over "
                f"{artist_of(figure, under)}, and in an earlier frame under it; "
                "a film keeps one order, so give each its own zorder for all frames"
            ) from None
    return children


def _steps(values: Sequence[str | None]) -> Track:
    """The frames at which a value changes; of a value that grows, only what is added."""
    steps: Track = [[0, values[0]]]
    for frame, (old, new) in enumerate(pairwise(values), start=1):
        if new == old:
            continue
        if old and new and new.startswith(old):
            steps.append([frame, new[len(old) :], 1])
        else:
            steps.append([frame, new])
    return steps


def _row(panes: Sequence[_Pane], alt: str) -> str:
    pictures = "".join(pane.svg() for pane in panes)
    return f'<div class="pw-panes" role="img" aria-label="{escape(alt)}">{pictures}</div>'


def _said(alt: str) -> str:
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the picture shows")
    return alt


def _identified(html: str) -> str:
    """Ids that differ from those of every other picture, and are the same in every build."""
    return html.replace(OWN, "pw" + hashlib.sha256(html.encode()).hexdigest()[:8])
