"""Panes for a player of screens: the court of Breakout, and what a network makes of a screen."""

from collections.abc import Collection, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from stage.palette import ESTIMATE, FAINT, MUTED, NOW, POLICY, REWARD, tint
from stage.panes import canvas_of, number

ACTIONS = ("left", "stay", "right")


class CourtPane:
    """A court from the front: bricks, ball, paddle. `wall` are the cells where bricks can be."""

    def __init__(
        self, fig: Figure, rows: int, columns: int, wall: Collection[tuple[int, int]], width: int
    ) -> None:
        canvas, across, down = canvas_of(fig)
        self.title = canvas.text(2, 9, "", va="center")
        self._side = side = min((across - 4) / columns, (down - 26) / rows)
        self._left, self._top = (across - columns * side) / 2, 22
        frame = Rectangle((self._left, self._top), columns * side, rows * side, fill=False)
        frame.set(edgecolor=MUTED, linewidth=1)
        canvas.add_patch(frame)
        self.bricks = {}
        for row, column in wall:
            brick = Rectangle(self._corner(row, column, 0.06), side * 0.88, side * 0.88)
            brick.set(facecolor=REWARD, edgecolor="none", alpha=0.55)
            self.bricks[row, column] = canvas.add_patch(brick)
        self.paddle = canvas.add_patch(Rectangle((0, 0), width * side, side * 0.4))
        self.paddle.set(facecolor=POLICY, edgecolor="none")
        self.ball = canvas.add_patch(Circle((0, 0), side * 0.32, facecolor=NOW, edgecolor="none"))
        self._rows = rows

    def _corner(self, row: float, column: float, margin: float = 0.0) -> tuple[float, float]:
        side = self._side
        return self._left + (column + margin) * side, self._top + (row + margin) * side

    def show(
        self, title: str, standing: Collection[tuple[int, int]], ball: tuple[int, int], paddle: int
    ) -> None:
        """Show the bricks that stand, the ball's row and column, the paddle's left end."""
        self.title.set_text(title)
        for place, brick in self.bricks.items():
            brick.set_visible(place in standing)
        self.ball.set_center(self._corner(ball[0] + 0.5, ball[1] + 0.5))
        self.paddle.set_xy(self._corner(self._rows - 0.7, paddle))


class ValuesPane:
    """The value of each action as a bar from zero, and below, how awake each hidden neuron is."""

    def __init__(
        self, fig: Figure, *, hidden: int, scale: float, actions: Sequence[str] = ACTIONS
    ) -> None:
        canvas, across, _ = canvas_of(fig)
        self.scale = scale
        self._zero, self._unit = 50 + (across - 100) / 3, (across - 100) * 2 / 3 / scale
        self.title = canvas.text(2, 9, "", va="center")
        self.bars, self.numbers = [], []
        for place, action in enumerate(actions):
            y = 24 + place * 20
            canvas.text(2, y + 7, action, va="center")
            bar = Rectangle((self._zero, y), 0, 14, edgecolor="none")
            self.bars.append(canvas.add_patch(bar))
            self.numbers.append(canvas.text(across - 2, y + 7, "", ha="right", va="center"))
        foot = 24 + len(actions) * 20
        canvas.plot([self._zero, self._zero], [20, foot], color=MUTED, lw=0.8)
        canvas.text(2, foot + 14, f"the {hidden} hidden neurons", color=MUTED, va="center")
        side = (across - 4) / 16
        self.neurons = []
        for place in range(hidden):
            corner = 2 + place % 16 * side, foot + 24 + place // 16 * side
            self.neurons.append(canvas.add_patch(Rectangle(corner, side, side, ec=FAINT, lw=1)))

    def show(self, title: str, values: Sequence[float], activity: Sequence[float]) -> None:
        """Show the values, the largest marked as the choice, and the neurons' outputs."""
        self.title.set_text(title)
        best = max(range(len(values)), key=values.__getitem__)
        rows = zip(values, self.bars, self.numbers, strict=True)
        for place, (value, bar, text) in enumerate(rows):
            bar.set_width(min(max(value, -self.scale / 2), self.scale) * self._unit)
            bar.set_facecolor(POLICY if place == best else ESTIMATE)
            text.set_text(number(value))
            text.set_weight("bold" if place == best else "normal")
        for neuron, output in zip(self.neurons, activity, strict=True):
            neuron.set_facecolor(tint(output, 2.0))
