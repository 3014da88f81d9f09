"""The three panes of a film: the world, the insides of the algorithm, the trace of its training."""

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle
from matplotlib.text import Text

from stage.chart import axes, end_of, figure, lay_apart, name_end
from stage.palette import FAINT, MUTED, NOW, POLICY, tint
from stage.style import COLUMN

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # right and down, for north, east, south and west
State = tuple[int, int]


def three_panes() -> tuple[Figure, Figure, Figure]:
    """The world; beside it, or on a telephone below it, the insides above the trace."""
    return figure(COLUMN, 3.4), figure(COLUMN, 2.05), figure(COLUMN, 1.45)


def number(value: float, digits: int = 2) -> str:
    """A number as a figure sets it: a true minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def canvas_of(fig: Figure) -> tuple[Axes, float, float]:
    """Bare axes over the whole figure, in points from its top left corner, and its size."""
    width, height = (float(inches) * 72 for inches in fig.get_size_inches())
    fig.set_layout_engine("none")
    canvas = fig.add_axes((0, 0, 1, 1))
    canvas.set_axis_off()
    canvas.set_xlim(0, width)
    canvas.set_ylim(height, 0)
    return canvas, width, height


def arrow_at(x: float, y: float, move: State, size: float) -> Polygon:
    """A triangle whose tip is at (x, y) and points along the move."""
    right, down = move
    base = x - right * size, y - down * size
    return Polygon(
        [
            (x, y),
            (base[0] + down * size * 0.8, base[1] + right * size * 0.8),
            (base[0] - down * size * 0.8, base[1] - right * size * 0.8),
        ],
        facecolor=POLICY,
        edgecolor="none",
        zorder=3,
    )


def _paint(cell: Rectangle, value: float, scale: float) -> None:
    cell.set_facecolor(tint(value, scale))


class GridPane:
    """A grid world from above: values as tints and numbers, greedy actions at the cells' edges.

    `world` has rows, columns, walls, start, and terminals (a reward by state), as GridWorld has.
    With `digits=None`, for cells without room, there are no numbers, and a ring marks the start.
    """

    def __init__(self, fig: Figure, world, *, scale: float = 1.0, digits: int | None = 2) -> None:
        self.scale, self.digits = scale, digits
        self.corner: dict[State, tuple[float, float]] = {}
        self.cells: dict[State, Rectangle] = {}
        self.numbers: dict[State, Text] = {}
        self.arrows: dict[tuple[State, int], Polygon] = {}
        self._canvas, width, height = canvas_of(fig)
        left, top = 17, 37
        self._side = min((width - left - 2) / world.columns, (height - top - 2) / world.rows)
        self.title = self._canvas.text(left, 9, "", va="center")
        for row in range(world.rows):
            self._quiet(left - 8, top + (row + 0.5) * self._side, f"{row}")
        for column in range(world.columns):
            self._quiet(left + (column + 0.5) * self._side, top - 8, f"{column}")
        for row in range(world.rows):
            for column in range(world.columns):
                corner = left + column * self._side, top + row * self._side
                self._place(world, (row, column), corner)
        self.now = self._box((0, 0), self._side, fill=False, ec=NOW, lw=3, zorder=4)

    def _place(self, world, state: State, corner: tuple[float, float]) -> None:
        """Draw what is at a state and never changes, and keep what does."""
        side = self._side
        x, y = (place + side / 2 for place in corner)
        cell = self._box(corner, side, fc="none", ec=FAINT, lw=1)
        self.corner[state] = corner
        if state in world.walls:
            cell.set_facecolor((MUTED, 0.6))
            return
        if state in world.terminals:
            reward = world.terminals[state]
            _paint(cell, reward, abs(reward))
            inner = corner[0] + side * 0.1, corner[1] + side * 0.1
            self._box(inner, side * 0.8, fill=False, ec=MUTED, lw=1)
            self._text(x, y, f"{reward:+g}".replace("-", "−")).set_weight("bold")
            self._quiet(x, y + side * 0.25, "" if self.digits is None else "end")
            return
        self.cells[state] = cell
        self.numbers[state] = self._text(x, y, "")
        for action, (right, down) in enumerate(MOVES):
            reach, size = (0.46, 0.1) if self.digits is not None else (0.36, 0.25)
            tip = x + right * side * reach, y + down * side * reach
            arrow = self._canvas.add_patch(arrow_at(*tip, (right, down), side * size))
            self.arrows[state, action] = arrow
        if state == world.start and self.digits is None:
            ring = Circle((x, y), side * 0.42, fill=False, edgecolor=MUTED, linewidth=1)
            self._canvas.add_patch(ring)
        elif state == world.start:
            self._quiet(x, y + side * 0.25, "start")

    def _box(self, corner: tuple[float, float], side: float, **look) -> Rectangle:
        return self._canvas.add_patch(Rectangle(corner, side, side, **look))

    def _text(self, x: float, y: float, text: str) -> Text:
        return self._canvas.text(x, y, text, ha="center", va="center", zorder=3)

    def _quiet(self, x: float, y: float, text: str) -> None:
        self._text(x, y, text).set_color(MUTED)

    def show(
        self,
        title: str,
        values: Mapping[State, float],
        policy: Mapping[State, Collection[int]] | None = None,
        now: State | None = None,
    ) -> None:
        """Show values, the actions a policy may take, and the state at work.

        Where the policy holds all actions equal there is no arrow: it has nothing to say yet.
        """
        self.title.set_text(title)
        for state, cell in self.cells.items():
            _paint(cell, values[state], self.scale)
            if self.digits is not None:
                self.numbers[state].set_text(number(values[state], self.digits))
        for (state, action), arrow in self.arrows.items():
            taken = (policy or {}).get(state, ())
            arrow.set_visible(action in taken and len(taken) < len(MOVES))
        self.now.set_visible(now is not None)
        if now is not None:
            self.now.set_xy(self.corner[now])


class BackupPane:
    """One backup at work: what each of the four actions is worth, in numbers, and the best of them.

    `model` is a known model whose actions are north, east, south and west.
    """

    def __init__(self, fig: Figure, model, *, gamma: float, scale: float = 1.0) -> None:
        self.model, self.gamma, self.scale = model, gamma, scale
        canvas, width, height = canvas_of(fig)
        side, x, y = 42, width / 2, 14 + height / 2
        self.title = canvas.text(2, 9, "", va="center")
        corner = (x - side / 2, y - side / 2)
        self.cell = canvas.add_patch(Rectangle(corner, side, side, ec=NOW, lw=3))
        self.value = canvas.text(x, y, "", ha="center", va="center", weight="bold")
        self.arrows: list[Polygon] = []
        self.words: list[list[Text]] = []
        reach = side / 2 + 12
        for right, down in MOVES:
            arrow = arrow_at(x + right * reach, y + down * reach, (right, down), 8)
            self.arrows.append(canvas.add_patch(arrow))
            align = {-1: "right", 0: "center", 1: "left"}[right]
            left, top = x + right * (reach + 4), y + down * (reach + 13)
            lines = (-12, 0, 12) if right else (-6, 6)
            self.words.append(
                [canvas.text(left, top + line, "", ha=align, va="center") for line in lines]
            )

    def show(self, title: str, state: State, values: Mapping[State, float]) -> None:
        """Show the backup of a state that reads these values."""
        choices = [self.model.outcomes(state, action) for action in self.model.actions(state)]
        worth = [sum(o.probability * self._worth(o, values) for o in each) for each in choices]
        best = max(worth)
        for outcomes, value, arrow, words in zip(
            choices, worth, self.arrows, self.words, strict=True
        ):
            chosen = best - value < 1e-9
            now, later = self._spelled(outcomes, values)
            lines = [now, later] if len(words) == 3 else [f"{now} {later}"]
            lines.append(f"= {number(value)}" + (" max" if chosen else ""))
            for text, line in zip(words, lines, strict=True):
                text.set_text(line)
                text.set_color(POLICY if chosen else MUTED)
            words[-1].set_weight("bold" if chosen else "normal")
            arrow.set_facecolor(POLICY if chosen else MUTED)
        self.title.set_text(title)
        self.value.set_text(number(best))
        _paint(self.cell, best, self.scale)

    def _worth(self, outcome, values: Mapping[State, float]) -> float:
        if outcome.terminated:
            return outcome.reward
        return outcome.reward + self.gamma * values[outcome.state]

    def _spelled(self, outcomes: Sequence, values: Mapping[State, float]) -> tuple[str, str]:
        """The two halves of the sum: what is paid now, and what is to come."""
        if len(outcomes) > 1:
            return "mean of", f"{len(outcomes)} outcomes"
        (outcome,) = outcomes
        later = "0" if outcome.terminated else number(values[outcome.state])
        return number(outcome.reward), f"+ {self.gamma:g} × {later}"


class TracePane:
    """Lines that grow while the learner learns, each named where it ends."""

    def __init__(
        self,
        fig: Figure,
        across: str,
        up: str,
        *,
        lines: Mapping[str, str],
        xlim: tuple[float, float],
        ylim: tuple[float, float],
        log: bool = False,
    ) -> None:
        self.axes = axes(fig, across, up, log=log)
        self.axes.set(xlim=xlim, ylim=ylim)
        self.lines, self.names = {}, {}
        for label, colour in lines.items():
            (self.lines[label],) = self.axes.plot([], [], color=colour, clip_on=False)
            self.names[label] = name_end(self.lines[label], label)

    def show(self, points: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
        """Show each line by its x values and its y values so far."""
        for label, (xs, ys) in points.items():
            self.lines[label].set_data(xs, ys)
            self.names[label].set_visible(len(xs) > 0)
            if len(xs):
                self.names[label].xy = end_of(self.lines[label])
        lay_apart([name for name in self.names.values() if name.get_visible()])
