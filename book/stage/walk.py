"""Panes for the random walk: what two learners believe, and what each changes on the way."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stage.palette import ESTIMATE, FAINT, INK, MUTED, NOW, SECOND
from stage.panes import canvas_of, number

MIDDLE = {"ha": "center", "va": "center"}
COLOURS = (ESTIMATE, SECOND)  # of the first learner and the second


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
        self._canvas, width, height = canvas_of(fig)
        left, right = ends
        row = (left, *truth, right)
        side = self._side = (width - 4) / len(row)
        self.floor, self.ceiling = height - side - 26, 52
        self.title = self._canvas.text(2, 9, "", va="center")
        self.corner = {place: (2 + n * side, height - side - 4) for n, place in enumerate(row)}
        self.bars: dict[tuple[int, str], Rectangle] = {}
        self._scale(learners)
        for place, pays in ends.items():
            self._end(place, pays)
        for place, value in truth.items():
            self._place(place, value, len(learners))
        self.now = self._canvas.add_patch(
            Rectangle((0, 0), side, side, fill=False, ec=NOW, lw=3, zorder=4)
        )

    def _scale(self, learners: Sequence[str]) -> None:
        """The height of 0, of a half and of 1, and who is shown in which colour."""
        left, right = 2 + self._side, 2 + self._side * (len(self.corner) - 1)
        for level in (0.0, 0.5, 1.0):
            y = self._height(level)
            self._canvas.plot([left, right], [y, y], color=FAINT, lw=0.8, zorder=0)
            self._canvas.text(left - 6, y, f"{level:g}", ha="right", va="center", color=MUTED)
        named = [*zip(learners, COLOURS, strict=False), ("truth: the thick rules", INK)]
        for line, (name, colour) in enumerate(named):
            self._canvas.text(left, self.ceiling + 9 + 14 * line, name, color=colour, va="center")

    def _box(self, place: str) -> tuple[float, float]:
        """Draw the place's box in the row; its middle."""
        x, y = self.corner[place]
        side = self._side
        self._canvas.add_patch(Rectangle((x, y), side, side, fc="none", ec=FAINT, lw=1))
        return x + side / 2, y + side / 2

    def _end(self, place: str, pays: float) -> None:
        x, y = self._box(place)
        text = f"+{pays:g}" if pays else "0"
        self._canvas.text(x, y - self._side * 0.08, text, weight="bold", **MIDDLE)
        self._canvas.text(x, y + self._side * 0.26, "end", color=MUTED, **MIDDLE)

    def _place(self, place: str, truth: float, learners: int) -> None:
        x, y = self._box(place)
        self._canvas.text(x, y, place, **MIDDLE)
        for which, colour in enumerate(COLOURS[:learners]):
            at = x + self._side * (0.38 * which - 0.36)
            bar = Rectangle((at, self.floor), self._side * 0.34, 0, fc=(colour, 0.55), ec=colour)
            self.bars[which, place] = self._canvas.add_patch(bar)
        level, half = self._height(truth), self._side / 2 - 2
        self._canvas.plot([x - half, x + half], [level, level], color=INK, lw=2.2, zorder=3)

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
        canvas, width, height = canvas_of(fig)
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
            self.above.append(canvas.text(centre, y - 10, "", color=ESTIMATE, **MIDDLE))
            self.below.append(canvas.text(centre, y + side + 10, "", color=SECOND, **MIDDLE))
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
