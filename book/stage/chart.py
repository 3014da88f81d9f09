"""Charts in the manner of the house: axes labelled in words, each line named where it ends."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

import stage.style  # noqa: F401  sets the manner of the house

LINE = 11.5  # points from one line of text to the next


def figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches: 3.6 is a column of a film, 7.2 the width of the page."""
    return Figure((width, height), layout="constrained")


def axes(fig: Figure, across: str, up: str, *, log: bool = False) -> Axes:
    """Axes that fill a figure. What is measured stands above them, where it reads level."""
    new = fig.add_subplot()
    new.set_xlabel(across)
    new.set_title(up)
    new.grid(visible=True, axis="y")
    if log:
        new.set_yscale("log", nonpositive="mask")
        new.yaxis.set_major_formatter(lambda y, _: f"{y:.12f}".rstrip("0").rstrip("."))
        new.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=4))
        new.minorticks_off()
    return new


def chart(
    across: str, up: str, *, size: tuple[float, float] = (7.2, 3.2), log: bool = False
) -> tuple[Figure, Axes]:
    """A figure and its axes: `across` names what runs along the x axis, `up` what is measured."""
    fig = figure(*size)
    return fig, axes(fig, across, up, log=log)


def name_ends(plot: Axes) -> None:
    """Write each line's label beside its last point, in its colour, no label over another."""
    plot.figure.draw_without_rendering()
    ends = []
    for line in plot.lines:
        if not line.get_label().startswith("_"):
            point = line.get_xydata()[-1]
            ends.append((plot.transData.transform(point)[1], tuple(point), line))
    free = float("-inf")
    for height, point, line in sorted(ends, key=lambda end: end[0]):
        place = max(height, free)
        free = place + LINE * (1 + line.get_label().count("\n"))
        plot.annotate(
            line.get_label(),
            point,
            (6, place - height),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
        )
