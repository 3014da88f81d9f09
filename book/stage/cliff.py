"""A cliff seen from above and the choice at one of its cells, once for each learner."""

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from stage.palette import FAINT, MUTED, NOW, POLICY, tint
from stage.panes import MOVES, State, arrow_at, canvas_of, number

SCALE = 25.0  # the value at which a tint is deepest


class CliffBoard:
    """What each cell is worth, and which way is best; the best road from the start stands out."""

    def __init__(
        self, canvas: Axes, corner: tuple[float, float], side: float, world, name: str, colour: str
    ) -> None:
        left, top = corner
        right, bottom = left + world.columns * side, top + world.rows * side
        canvas.text(left, top - 10, name, va="center", color=colour, weight="bold")
        self.title = canvas.text(right, top - 10, "", va="center", ha="right")
        self.cells: dict[State, Rectangle] = {}
        self.arrows: dict[tuple[State, int], Polygon] = {}
        for row in range(world.rows):
            for column in range(world.columns):
                x, y = left + column * side, top + row * side
                cell = canvas.add_patch(Rectangle((x, y), side, side, fc="none", ec=FAINT, lw=1))
                if (row, column) in world.cliff:
                    cell.set_facecolor((MUTED, 0.6))
                elif (row, column) != world.goal:
                    self.cells[row, column] = cell
                    for action, (east, south) in enumerate(MOVES):
                        tip = x + side * (0.5 + 0.27 * east), y + side * (0.5 + 0.27 * south)
                        arrow = canvas.add_patch(arrow_at(*tip, (east, south), side * 0.5))
                        self.arrows[(row, column), action] = arrow
        middle = (left + right) / 2, bottom - side / 2
        canvas.text(*middle, "the cliff", ha="center", va="center", zorder=3)
        canvas.text(left, bottom + 8, "start", va="center", color=MUTED)
        canvas.text(right, bottom + 8, "goal", va="center", ha="right", color=MUTED)

    def show(
        self,
        title: str,
        values: Mapping[State, float],
        choice: Mapping[State, int],
        road: Collection[State],
    ) -> None:
        """Tint the cells, and point where `choice` goes; without a choice there is no arrow."""
        self.title.set_text(title)
        for state, cell in self.cells.items():
            cell.set_facecolor(tint(values.get(state, 0.0), SCALE))
        for (state, action), arrow in self.arrows.items():
            arrow.set_visible(choice.get(state) == action)
            arrow.set_facecolor(POLICY if state in road else MUTED)


def cliff_boards(fig: Figure, world, colours: Mapping[str, str]) -> dict[str, CliffBoard]:
    """One board below the other, for learners by name with their colours."""
    canvas, width, height = canvas_of(fig)
    side, tall = (width - 2) / world.columns, height / len(colours)
    return {
        name: CliffBoard(canvas, (1, 20 + place * tall), side, world, name, colour)
        for place, (name, colour) in enumerate(colours.items())
    }


class ChoiceCross:
    """The four action values of a cell, the best of them set off, and two lines of working."""

    def __init__(self, canvas: Axes, middle: tuple[float, float], colour: str) -> None:
        (x, y), side = middle, 28
        corner = x - side / 2, y - side / 2
        self.cell = canvas.add_patch(Rectangle(corner, side, side, ec=NOW, lw=3))
        self.numbers = []
        for right, down in MOVES:
            align = {-1: "right", 0: "center", 1: "left"}[right]
            place = x + right * (side / 2 + 4), y + down * (side / 2 + 9)
            self.numbers.append(canvas.text(*place, "", ha=align, va="center"))
        self.lines = [
            canvas.text(x, y + side / 2 + below, "", ha="center", va="center", color=colour)
            for below in (28, 41)
        ]

    def show(self, values: Sequence[float], lines: tuple[str, str]) -> None:
        """Show the values north, east, south and west, and what is made of them."""
        self.cell.set_facecolor(tint(max(values), SCALE))
        for text, value in zip(self.numbers, values, strict=True):
            chosen = value == max(values)
            text.set_text(number(value, 1))
            text.set(color=POLICY if chosen else MUTED, weight="bold" if chosen else "normal")
        for text, line in zip(self.lines, lines, strict=True):
            text.set_text(line)


def choice_crosses(
    fig: Figure, title: str, colours: Mapping[str, str]
) -> dict[str, ChoiceCross]:
    """One beside the other under a title, for learners by name with their colours."""
    canvas, width, height = canvas_of(fig)
    canvas.text(1, 9, title, va="center")
    across = width / len(colours)
    return {
        name: ChoiceCross(canvas, (across * (place + 0.5), 20 + (height - 52) / 2), colour)
        for place, (name, colour) in enumerate(colours.items())
    }
