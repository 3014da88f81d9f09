"""Panes for poles to be balanced: the pole itself, and two neurons that read boxes."""

from collections.abc import Callable, Mapping, Sequence
from math import cos, sin

from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from stage.palette import FAINT, INK, MUTED, NOW, tint
from stage.panes import arrow_at, canvas_of, number

MIDDLE = {"ha": "center", "va": "center"}
EDGE = {"lw": 1, "color": MUTED, "ls": (0, (4, 4)), "zorder": 0}


class PolePane:
    """A pole on its hinge, the angle at which it has fallen, and the push it gets.

    With `track`, half the length of one in metres, the hinge is on a cart.
    """

    def __init__(self, fig: Figure, *, fall: float, track: float | None = None) -> None:
        self._canvas, width, height = canvas_of(fig)
        self.track, self.fall = track, fall
        self._centre, self._floor = width / 2, height - (46 if track else 38)
        self._metre = (width / 2 - 20) / (track or 1.0)
        self._length = self._metre if track else self._floor - 44
        self.title = self._canvas.text(2, 9, "", va="center")
        self.reading = self._canvas.text(self._centre, height - 9, "", color=MUTED, **MIDDLE)
        span = self._metre * (track or 0.5)
        ground = self._floor + (14 if track else 0)
        ends = [self._centre - span, self._centre + span]
        self._canvas.plot(ends, [ground, ground], color=MUTED, lw=1.2, zorder=1)
        if track:
            for end in ends:
                self._canvas.plot([end, end], [ground - 12, ground + 4], color=MUTED, lw=2)
        self._limits = [self._canvas.plot([], [], **EDGE)[0] for _ in range(2)]
        self._cart = self._canvas.add_patch(
            Rectangle((0, 0), 30, 12, fc=FAINT, ec=MUTED, lw=1, visible=bool(track), zorder=2)
        )
        (self._pole,) = self._canvas.plot([], [], color=INK, lw=5, zorder=3)
        (self._hinge,) = self._canvas.plot([], [], "o", color=MUTED, ms=7, zorder=4)
        self._push = self._canvas.add_patch(arrow_at(0, 0, (1, 0), 14))

    def show(self, title: str, angle: float, push: int = 0, place: float = 0.0) -> None:
        """Show the pole at an angle in radians; `push` is −1 to the left, 1 to the right."""
        self.title.set_text(title)
        x, y = self._centre + place * self._metre, self._floor
        for limit, line in zip((-self.fall, self.fall), self._limits, strict=True):
            line.set_data(*self._along(x, y, limit, 1.08))
        self._pole.set_data(*self._along(x, y, angle, 1.0))
        self._hinge.set_data([x], [y])
        self._cart.set_xy((x - 15, y))
        side = 15 if self.track else 0
        tip = (x + push * (side + 24), y + 6) if self.track else self._beside(x, y, angle, push)
        self._push.set_xy(arrow_at(*tip, (push or 1, 0), 14).get_xy())
        self._push.set_visible(push != 0)
        fallen = ", fallen" if abs(angle) > self.fall else ""
        self.reading.set_text(f"angle {number(angle, 3)} rad{fallen}")

    def _along(self, x: float, y: float, angle: float, share: float) -> tuple[list, list]:
        reach = share * self._length
        return [x, x + reach * sin(angle)], [y, y - reach * cos(angle)]

    def _beside(self, x: float, y: float, angle: float, push: int) -> tuple[float, float]:
        (_, tip), (_, top) = self._along(x, y, angle, 0.92)
        return tip + push * 24, top


class NeuronsPane:
    """Two neurons over the same boxes: which way the actor leans, what the critic expects.

    `edges` are those between the boxes, across and upwards; `number_of` gives the number of the
    box in a column and a row.
    """

    def __init__(
        self,
        fig: Figure,
        edges: tuple[Sequence[float], Sequence[float]],
        number_of: Callable[[int, int], int],
        names: tuple[str, str],
        *,
        firm: float,
        scale: float,
    ) -> None:
        self.firm, self.scale = firm, scale
        self._canvas, width, height = canvas_of(fig)
        columns, rows = (len(cuts) + 1 for cuts in edges)
        side = self._side = min((width - 32) / 2 / columns, (height - 36) / rows)
        self._corners: list[dict[int, tuple[float, float]]] = []
        self._tints: dict[int, Rectangle] = {}
        self._arrows: dict[int, Polygon] = {}
        self._now = []
        for which, title in enumerate(("actor: push", "critic: what to expect")):
            left, top = 15 + which * (columns * side + 15), 20
            self._canvas.text(left, 9, title, va="center")
            middle = left + columns * side / 2
            self._canvas.text(middle, top + rows * side + 9, names[0], color=MUTED, **MIDDLE)
            self._corners.append({})
            for column in range(columns):
                for row in range(rows):
                    corner = left + column * side, top + (rows - 1 - row) * side
                    self._fill(which, number_of(column, row), corner)
            frame = Rectangle((0, 0), side, side, fill=False, ec=NOW, lw=2.5, zorder=4)
            self._now.append(self._canvas.add_patch(frame))
        up = {"rotation": 90, "color": MUTED, **MIDDLE}
        self._canvas.text(6, 20 + rows * side / 2, names[1], **up)

    def _fill(self, which: int, box: int, corner: tuple[float, float]) -> None:
        self._corners[which][box] = corner
        cell = Rectangle(corner, self._side, self._side, fc="none", ec=FAINT, lw=1)
        self._canvas.add_patch(cell)
        if which == 1:
            self._tints[box] = cell
        else:
            self._arrows[box] = self._canvas.add_patch(arrow_at(*corner, (1, 0), 1))

    def show(
        self, actor: Mapping[int, float], critic: Mapping[int, float], box: int | None = None
    ) -> None:
        """Show a preference and an expectation for every box, and the box at work."""
        for key, cell in self._tints.items():
            cell.set_facecolor(tint(critic[key], self.scale))
        for key, arrow in self._arrows.items():
            lean, (x, y) = actor[key], self._corners[0][key]
            way, half = (1 if lean > 0 else -1), self._side / 2
            tip = x + half * (1 + 0.6 * way), y + half
            arrow.set_xy(arrow_at(*tip, (way, 0), 1.2 * half).get_xy())
            arrow.set_alpha(0.25 + 0.75 * min(1.0, abs(lean) / self.firm))
            arrow.set_visible(lean != 0.0)
        for corners, frame in zip(self._corners, self._now, strict=True):
            frame.set_visible(box is not None)
            if box is not None:
                frame.set_xy(corners[box])
