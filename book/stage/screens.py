"""Panes for a small screen of pixels, real or dreamed, and for the square that it shows."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from stage.palette import ESTIMATE, FAINT, MUTED, NOW, POLICY, REWARD
from stage.panes import canvas_of

STEPS = 8  # shades between dark and light: a film remembers every change of shade
SHADOW = 26  # points, of the longest bar


class ScreenPane:
    """Pixels as squares; beside each row and below each column, its share of the light."""

    def __init__(self, fig: Figure, side: int, colour: str = ESTIMATE) -> None:
        self.side, self.colour = side, colour
        canvas, width, height = canvas_of(fig)
        self.title = canvas.text(2, 9, "", va="center")
        room = min(width - SHADOW - 6, height - SHADOW - 24)
        self._cell = cell = room / side
        left, top = 2, 20
        self._foot = top + room + 3
        frame = Rectangle((left, top), room, room, fill=False, edgecolor=MUTED, linewidth=1)
        canvas.add_patch(frame)
        self.pixels, self.rows, self.columns = [], [], []
        for row in range(side):
            for column in range(side):
                corner = left + column * cell, top + row * cell
                pixel = Rectangle(corner, cell, cell, edgecolor="none", facecolor="none")
                self.pixels.append(canvas.add_patch(pixel))
        for place in range(side):
            beside = Rectangle((left + room + 3, top + place * cell + 1), 0, cell - 2)
            below = Rectangle((left + place * cell + 1, self._foot), cell - 2, 0)
            for bars, bar in ((self.rows, beside), (self.columns, below)):
                bar.set(edgecolor="none", facecolor=colour, alpha=0.7)
                bars.append(canvas.add_patch(bar))
        mark = Rectangle((0, 0), cell, cell, fill=False, edgecolor=NOW, linewidth=2, zorder=4)
        self.mark = canvas.add_patch(mark)
        canvas.plot([left + room + 3] * 2, [top, top + room], color=FAINT, lw=0.8)
        canvas.plot([left, left + room], [self._foot] * 2, color=FAINT, lw=0.8)
        self._corner = left, top

    def show(
        self,
        title: str,
        pixels: Sequence[float],
        shadows: Sequence[float],
        mark: tuple[int, int] | None = None,
    ) -> None:
        """Show brightness from 0 to 1, the shares of light, and a mark at a row and column."""
        self.title.set_text(title)
        for pixel, brightness in zip(self.pixels, pixels, strict=True):
            shade = round(min(max(brightness, 0.0), 1.0) * STEPS) / STEPS
            pixel.set_facecolor((self.colour, shade) if shade else "none")
        for bar, share in zip(self.rows, shadows[: self.side], strict=True):
            bar.set_width(round(SHADOW * share))
        for bar, share in zip(self.columns, shadows[self.side :], strict=True):
            bar.set_height(round(SHADOW * share))
        self.mark.set_visible(mark is not None)
        if mark is not None:
            row, column = mark
            left, top = self._corner
            self.mark.set_xy((left + column * self._cell, top + row * self._cell))


class PointPane:
    """A square from above: target, point, its way so far and its velocity, over the pixels' grid.

    Places go from -edge to edge; `near` is the radius of the target, `pixel` the width of a pixel.
    """

    def __init__(
        self, fig: Figure, edge: float, target: tuple[float, float], near: float, pixel: float
    ) -> None:
        canvas, width, height = canvas_of(fig)
        self.title = canvas.text(2, 9, "", va="center")
        room = min(width - SHADOW - 6, height - SHADOW - 24)  # as large as a ScreenPane's screen
        self._edge, self._unit, self._corner = edge, room / (2 * edge), (2, 20)
        for line in range(1, round(2 * edge / pixel)):
            x, y = self._at((line * pixel - edge, line * pixel - edge))
            canvas.plot([x, x], [20, 20 + room], color=FAINT, lw=0.5)
            canvas.plot([2, 2 + room], [y, y], color=FAINT, lw=0.5)
        canvas.add_patch(Rectangle((2, 20), room, room, fill=False, edgecolor=MUTED, linewidth=1))
        canvas.add_patch(Circle(self._at(target), near * self._unit, fc=REWARD, ec="none"))
        (self.way,) = canvas.plot([], [], color=MUTED, lw=1)
        (self.speed,) = canvas.plot([], [], color=POLICY, lw=2, zorder=3)
        self.point = canvas.add_patch(Circle((0, 0), 3, fc=NOW, ec="none", zorder=4))

    def _at(self, place: Sequence[float]) -> tuple[float, float]:
        x, y = (c + (p + self._edge) * self._unit for c, p in zip(self._corner, place, strict=True))
        return x, y

    def show(self, title: str, way: Sequence[Sequence[float]], velocity: Sequence[float]) -> None:
        """Show the places up to now, and where the velocity would carry the point in a second."""
        self.title.set_text(title)
        now = way[-1]
        ahead = [p + v for p, v in zip(now, velocity, strict=True)]
        self.way.set_data(*zip(*map(self._at, way), strict=True))
        self.speed.set_data(*zip(self._at(now), self._at(ahead), strict=True))
        self.point.set_center(self._at(now))
