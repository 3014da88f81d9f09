"""A pane for a policy over a real number: its bell curve, and the number that was drawn."""

import math

from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from stage.palette import MUTED, NOW, POLICY
from stage.panes import arrow_at, canvas_of, number

POINTS = 61  # of the curve


class BellPane:
    """The density over `reach` to either side of zero; dashed lines where the motor can no more.

    `highest` is the density that fills the pane; what is higher is cut off.
    """

    def __init__(self, fig: Figure, axis: str, *, most: float, reach: float, highest: float):
        self._canvas, width, height = canvas_of(fig)
        self._middle, self._unit = width / 2, (width / 2 - 4) / reach
        self._ground, self._rise = height - 32, (height - 74) / highest
        self.reach, self.highest = reach, highest
        self.title = self._canvas.text(2, 9, "", va="center")
        self.reading = self._canvas.text(2, 25, "", color=MUTED, va="center")
        ends = [self._across(-reach), self._across(reach)]
        self._canvas.plot(ends, [self._ground] * 2, color=MUTED, lw=0.8)
        for mark in (-most, 0.0, most):
            x = self._across(mark)
            dashes = (0, (4, 4)) if mark else "-"
            top = 38 if mark else self._ground - 4
            self._canvas.plot([x, x], [self._ground, top], color=MUTED, lw=1, ls=dashes, zorder=1)
            text = number(mark, 0)
            self._canvas.text(x, self._ground + 9, text, color=MUTED, ha="center", va="center")
        self._canvas.text(width - 2, height - 8, axis, color=MUTED, ha="right", va="center")
        self._bell = self._canvas.add_patch(Polygon([(0, 0)] * 3, ec=POLICY, lw=1.8, zorder=2))
        self._bell.set_facecolor((POLICY, 0.18))
        (self._mean,) = self._canvas.plot([], [], color=POLICY, lw=1, zorder=3)
        self._drawn = self._canvas.add_patch(arrow_at(0, 0, (0, 1), 9))
        self._drawn.set_facecolor(NOW)

    def _across(self, value: float) -> float:
        return self._middle + min(max(value, -self.reach), self.reach) * self._unit

    def _up(self, density: float) -> float:
        return self._ground - min(density, self.highest) * self._rise

    def show(self, title: str, mean: float, std: float, drawn: float) -> None:
        """Show a curve by its mean and standard deviation, and a number drawn from it."""
        self.title.set_text(title)
        self.reading.set_text(f"mean {number(mean)}, std {number(std)}, drawn {number(drawn)}")
        places = [self.reach * (2 * k / (POINTS - 1) - 1) for k in range(POINTS)]
        peak = 1.0 / (std * math.sqrt(2 * math.pi))
        heights = [peak * math.exp(-0.5 * ((x - mean) / std) ** 2) for x in places]
        curve = [(self._across(x), self._up(y)) for x, y in zip(places, heights, strict=True)]
        feet = [(self._across(x), self._ground) for x in (self.reach, -self.reach)]
        self._bell.set_xy([*curve, *feet])
        self._mean.set_data([self._across(mean)] * 2, [self._ground, self._up(peak)])
        self._drawn.set_xy(arrow_at(self._across(drawn), self._ground, (0, 1), 9).get_xy())
