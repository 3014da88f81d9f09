"""A maze with a walker in it, and one move of memory as it is lived through again."""

from collections.abc import Collection, Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from stage.palette import ESTIMATE, FAINT, INK, MUTED, NOW, POLICY, tint
from stage.panes import MOVES, GridPane, State, arrow_at, canvas_of, number


class WalkerPane(GridPane):
    """A grid without numbers in which a dot shows where the walker stands."""

    def __init__(self, fig: Figure, world) -> None:
        super().__init__(fig, world, digits=None)
        self.dot = self._canvas.add_patch(Circle((0, 0), self._side * 0.15, fc=INK, zorder=5))

    def walk(
        self,
        title: str,
        values: Mapping[State, float],
        policy: Mapping[State, Collection[int]],
        walker: State,
        now: State | None = None,
    ) -> None:
        """Show values, arrows and the walker; `now` is where a remembered move begins."""
        self.show(title, values, policy, now)
        left, top = self.corner[walker]
        self.dot.set_center((left + self._side * 0.22, top + self._side * 0.78))


class RelivePane:
    """A move of memory and the update it makes, above a mark for each move relived so far."""

    def __init__(self, fig: Figure, planning: int) -> None:
        canvas, width, height = canvas_of(fig)
        self.title = canvas.text(2, 9, "", va="center")
        side, top, right = 40, 24, width * 0.62
        self.cells = [
            canvas.add_patch(Rectangle((left, top), side, side, ec=edge, lw=line))
            for left, edge, line in ((width * 0.2, NOW, 3), (right, FAINT, 1))
        ]
        middles = [(cell.get_x() + side / 2, top + side / 2) for cell in self.cells]
        self.numbers = [canvas.text(*at, "", ha="center", va="center") for at in middles]
        self.names = [
            canvas.text(x, y + side / 2 + 9, "", ha="center", va="center", color=MUTED)
            for x, y in middles
        ]
        x, y = (middles[0][0] + middles[1][0]) / 2, middles[0][1]
        self.paid = canvas.text(x, y - 16, "", ha="center", va="center")
        self.arrows = [
            canvas.add_patch(arrow_at(x + 8 * east, y + 8 * south, (east, south), 16))
            for east, south in MOVES
        ]
        self.lines = [canvas.text(2, top + side + down, "", va="center") for down in (28, 43)]
        mark = (width - 4) / planning
        self.marks = [
            canvas.add_patch(Rectangle((2 + mark * k, height - 14), mark - 1, 10, ec="none"))
            for k in range(planning)
        ]

    def show(self, detail, present: bool, alpha: float) -> None:
        """Show an update: its number and move, the value before, the best ahead, the value after.

        If it is not of this frame (`present`), its title says so; None shows nothing at all.
        """
        changing = [*self.cells, *self.numbers, *self.names, *self.lines, *self.arrows, self.paid]
        for artist in changing:
            artist.set_visible(detail is not None)
        if detail is None:
            self.title.set_text("nothing worth reliving yet")
            return
        place, move, before, future, after = detail
        title = f"relived: {place} of {len(self.marks)}" if present else "the last news"
        self.title.set_text(title)
        for cell, text, name, value, state in zip(
            self.cells, self.numbers, self.names, (after, future), (move.state, move.there),
            strict=True,
        ):  # fmt: skip
            cell.set_facecolor(tint(value))
            text.set_text(number(value, 3))
            name.set_text(f"{state}")
        self.paid.set_text(f"{move.reward:+g}" if move.reward else "0")
        for action, arrow in enumerate(self.arrows):
            arrow.set_visible(action == move.action)
            arrow.set_facecolor(POLICY)
        target = move.reward + move.discount * future
        brings = f"{move.reward:g} + {move.discount:g} × {number(future, 3)}"
        self.lines[0].set_text(f"it brings {brings} = {number(target, 3)}")
        step = f"{number(before, 3)} + {alpha:g} × {number(target - before, 3)}"
        self.lines[1].set_text(f"so {step} = {number(after, 3)}")

    def count(self, gains: Collection[bool]) -> None:
        """Mark the moves relived so far: blue where a value moved, grey where none did."""
        marks = list(gains)
        for k, mark in enumerate(self.marks):
            mark.set_visible(k < len(marks))
            mark.set_facecolor(ESTIMATE if k < len(marks) and marks[k] else FAINT)
