"""Panes for the random walk: what two learners believe, and what each changes on the way."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stage.palette import ESTIMATE, FAINT, INK, MUTED, NOW, SECOND
from stage.panes import _canvas, number

MIDDLE = {"ha": "center", "va": "center"}


class WalkPane:
    """The row of places, and over each its truth and what up to two learners believe, 0 to 1.

    `ends` maps the names of the two ends to what they pay, left before right.
    """

    def __init__(
        self,
        fig: Figure,
        truth: Mapping[str, float],
        ends: Mapping[str, float],
        learners: Sequence[str] = (),
    ) -> None:
        canvas, width, height = _canvas(fig)
        left, right = ends
        row = (left, *truth, right)
        side = (width - 4) / len(row)
        self.floor, self.ceiling = height - side - 26, 52
        self.title = canvas.text(2, 9, "", va="center")
        self.corner = {place: (2 + n * side, height - side - 4) for n, place in enumerate(row)}
        self.bars: dict[tuple[int, str], Rectangle] = {}
        for level in (0.0, 0.5, 1.0):
            y = self._height(level)
            canvas.plot([2 + side, 2 + 6 * side], [y, y], color=FAINT, lw=0.8, zorder=0)
            canvas.text(side - 4, y, f"{level:g}", ha="right", va="center", color=MUTED)
        colours = (ESTIMATE, SECOND)[: len(learners)]
        for place, (x, y) in self.corner.items():
            canvas.add_patch(Rectangle((x, y), side, side, fc="none", ec=FAINT, lw=1))
            if place in ends:
                pays = f"+{ends[place]:g}" if ends[place] else "0"
                canvas.text(x + side / 2, y + side * 0.42, pays, weight="bold", **MIDDLE)
                canvas.text(x + side / 2, y + side * 0.76, "end", color=MUTED, **MIDDLE)
                continue
            canvas.text(x + side / 2, y + side / 2, place, **MIDDLE)
            for which, colour in enumerate(colours):
                at = x + side * (0.14 + 0.38 * which)
                bar = Rectangle((at, self.floor), side * 0.34, 0, fc=(colour, 0.55), ec=colour)
                self.bars[which, place] = canvas.add_patch(bar)
            level = self._height(truth[place])
            canvas.plot([x + 2, x + side - 2], [level, level], color=INK, lw=2.2, zorder=3)
        for which, (name, colour) in enumerate(zip(learners, colours, strict=True)):
            canvas.text(2 + side, self.ceiling + 9 + 14 * which, name, color=colour, va="center")
        below = self.ceiling + 9 + 14 * len(learners)
        canvas.text(2 + side, below, "truth: the thick rules", color=INK, va="center")
        self.now = canvas.add_patch(
            Rectangle((0, 0), side, side, fill=False, ec=NOW, lw=3, zorder=4)
        )

    def _height(self, value: float) -> float:
        return self.floor + (self.ceiling - self.floor) * value

    def show(
        self,
        title: str,
        beliefs: Sequence[Mapping[str, float]] = (),
        now: str | None = None,
    ) -> None:
        """Show what each learner believes, and the place where the walker stands."""
        self.title.set_text(title)
        for (which, place), bar in self.bars.items():
            bar.set_height(self._height(beliefs[which][place]) - self.floor)
        self.now.set_visible(now is not None)
        if now is not None:
            self.now.set_xy(self.corner[now])


class ChangesPane:
    """The walk as a row of places; above each step what the first learner changed there, below it
    what the second did. Of a longer walk the last `room` places are shown."""

    def __init__(self, fig: Figure, learners: tuple[str, str], *, room: int = 7) -> None:
        canvas, width, height = _canvas(fig)
        self.room = room
        side = min(27.0, (width - 4) / room)
        y = height / 2 - side / 2 + 6
        self.title = canvas.text(2, 9, "", va="center")
        self.boxes, self.names, self.above, self.below = [], [], [], []
        for n in range(room):
            x = 2 + n * (width - 4) / room
            centre = x + side / 2
            box = Rectangle((x, y), side, side, fc="none", ec=MUTED, lw=1)
            self.boxes.append(canvas.add_patch(box))
            self.names.append(canvas.text(centre, y + side / 2, "", **MIDDLE))
            small = {**MIDDLE}
            self.above.append(canvas.text(centre, y - 10, "", color=ESTIMATE, **small))
            self.below.append(canvas.text(centre, y + side + 10, "", color=SECOND, **small))
        says = {"va": "center"}
        canvas.text(2, y - 29, f"{learners[0]} changes, after each step", color=ESTIMATE, **says)
        below = y + side + 29
        canvas.text(2, below, f"{learners[1]} changes, after the walk", color=SECOND, **says)

    def show(
        self,
        title: str,
        places: Sequence[str],
        first: Sequence[float | None],
        second: Sequence[float | None],
    ) -> None:
        """Show the places walked so far, and the two changes at each; None where there is none."""
        self.title.set_text(title)
        skipped = max(0, len(places) - self.room)
        for n in range(self.room):
            k = skipped + n
            there = k < len(places)
            self.boxes[n].set_visible(there)
            self.boxes[n].set(edgecolor=NOW if k == len(places) - 1 else MUTED)
            self.boxes[n].set(linewidth=2.4 if k == len(places) - 1 else 1)
            self.names[n].set_text(places[k] if there else "")
            for texts, changes in ((self.above, first), (self.below, second)):
                change = changes[k] if k < len(changes) else None
                texts[n].set_text("" if change is None else signed(change))


def signed(change: float) -> str:
    """A change with its sign, to three digits and no zero before the point."""
    text = number(change, 3).replace("0.", ".")
    return "0" if text == ".000" else text if change < 0 else f"+{text}"
