"""The three panes of a film: the world, the insides of the algorithm, the trace of its training."""

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from stage.chart import axes, figure
from stage.palette import FAINT, MUTED, NOW, POLICY, tint
from stage.style import SMALL

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # right and down, for north, east, south and west
State = tuple[int, int]


def three_panes() -> tuple[Figure, Figure, Figure]:
    """The world; beside it, or on a telephone below it, the insides above the trace."""
    return figure(3.6, 3.85), figure(3.6, 2.2), figure(3.6, 1.55)


def number(value: float, digits: int = 2) -> str:
    """A number as a figure sets it: a true minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def _canvas(fig: Figure) -> tuple[Axes, float, float]:
    """Bare axes over the whole figure, in points from its top left corner, and its size."""
    width, height = (float(inches) * 72 for inches in fig.get_size_inches())
    fig.set_layout_engine("none")
    canvas = fig.add_axes((0, 0, 1, 1))
    canvas.set_axis_off()
    canvas.set_xlim(0, width)
    canvas.set_ylim(height, 0)
    return canvas, width, height


def _arrow(x: float, y: float, move: State, size: float) -> Polygon:
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
    """

    def __init__(self, fig: Figure, world, *, scale: float = 1.0, digits: int = 2) -> None:
        self.scale, self.digits = scale, digits
        self.cells: dict[State, Rectangle] = {}
        self.numbers = {}
        self.arrows: dict[tuple[State, int], Polygon] = {}
        canvas, width, height = _canvas(fig)
        left, top = 15, 35
        side = self.side = min((width - left - 2) / world.columns, (height - top - 2) / world.rows)
        self.corner = {
            (row, column): (left + column * side, top + row * side)
            for row in range(world.rows)
            for column in range(world.columns)
        }
        quiet = {"ha": "center", "va": "center", "color": MUTED, "size": SMALL}
        self.title = canvas.text(left, 9, "", va="center")
        for row in range(world.rows):
            canvas.text(left - 8, top + (row + 0.5) * side, row, **quiet)
        for column in range(world.columns):
            canvas.text(left + (column + 0.5) * side, top - 8, column, **quiet)
        for state, (x, y) in self.corner.items():
            cell = canvas.add_patch(Rectangle((x, y), side, side, fc="none", ec=FAINT, lw=1))
            centre = x + side / 2, y + side / 2
            if state in world.walls:
                cell.set_facecolor((MUTED, 0.6))
            elif state in world.terminals:
                reward = world.terminals[state]
                _paint(cell, reward, abs(reward))
                inset = side * 0.1
                frame = Rectangle((x + inset, y + inset), side - 2 * inset, side - 2 * inset)
                frame.set(fill=False, edgecolor=MUTED, linewidth=1)
                canvas.add_patch(frame)
                sign = "+" if reward > 0 else ""
                canvas.text(
                    *centre, sign + number(reward, 0), ha="center", va="center", weight="bold"
                )
                canvas.text(centre[0], y + side * 0.74, "end", **quiet)
            else:
                self.cells[state] = cell
                self.numbers[state] = canvas.text(*centre, "", ha="center", va="center", zorder=3)
                for action, (right, down) in enumerate(MOVES):
                    tip = centre[0] + right * side * 0.46, centre[1] + down * side * 0.46
                    arrow = canvas.add_patch(_arrow(*tip, (right, down), side * 0.11))
                    self.arrows[state, action] = arrow
                if state == world.start:
                    canvas.text(centre[0], y + side * 0.74, "start", **quiet)
        self.now = canvas.add_patch(
            Rectangle((0, 0), side, side, fill=False, ec=NOW, lw=3, zorder=4)
        )

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
        canvas, width, height = _canvas(fig)
        side, x, y = 46, width / 2, 14 + height / 2
        self.title = canvas.text(2, 9, "", va="center")
        corner = (x - side / 2, y - side / 2)
        self.cell = canvas.add_patch(Rectangle(corner, side, side, ec=NOW, lw=3))
        self.value = canvas.text(x, y, "", ha="center", va="center", weight="bold", size=11)
        self.arrows, self.sums, self.results = [], [], []
        for right, down in MOVES:
            reach = side / 2 + 14
            arrow = _arrow(x + right * reach, y + down * reach, (right, down), 9)
            self.arrows.append(canvas.add_patch(arrow))
            beside = x + right * (reach + 5)
            align = {-1: "right", 0: "center", 1: "left"}[right]
            middle = y + down * (reach + 15)
            for texts, shift in ((self.sums, -6), (self.results, 6.5)):
                texts.append(canvas.text(beside, middle + shift, "", ha=align, va="center"))

    def show(self, title: str, state: State, values: Mapping[State, float]) -> None:
        """Show the backup of a state that reads these values."""
        worth = []
        for action, text in zip(self.model.actions(state), self.sums, strict=True):
            outcomes = self.model.outcomes(state, action)
            worth.append(sum(o.probability * self._worth(o, values) for o in outcomes))
            text.set_text(self._spelled(outcomes, values))
        best = max(worth)
        for value, arrow, sums, result in zip(
            worth, self.arrows, self.sums, self.results, strict=True
        ):
            chosen = best - value < 1e-9
            result.set_text(f"= {number(value)}" + (" max" if chosen else ""))
            result.set(color=POLICY if chosen else MUTED, weight="bold" if chosen else "normal")
            sums.set_color(POLICY if chosen else MUTED)
            arrow.set_facecolor(POLICY if chosen else MUTED)
        self.title.set_text(title)
        self.value.set_text(number(best))
        _paint(self.cell, best, self.scale)

    def _worth(self, outcome, values: Mapping[State, float]) -> float:
        if outcome.terminated:
            return outcome.reward
        return outcome.reward + self.gamma * values[outcome.state]

    def _spelled(self, outcomes: Sequence, values: Mapping[State, float]) -> str:
        if len(outcomes) > 1:
            return f"mean of {len(outcomes)} outcomes"
        (outcome,) = outcomes
        later = "0" if outcome.terminated else number(values[outcome.state])
        return f"{number(outcome.reward)} + {self.gamma:g} × {later}"


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
            self.names[label] = self.axes.annotate(
                label, xlim, (6, 0), textcoords="offset points", color=colour, va="center"
            )

    def show(self, points: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
        """Show each line by its x values and its y values so far."""
        for label, (xs, ys) in points.items():
            self.lines[label].set_data(xs, ys)
            self.names[label].set_visible(len(xs) > 0)
            if len(xs):
                self.names[label].xy = xs[-1], ys[-1]
