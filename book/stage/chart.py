"""Charts in the manner of the house: axes labelled in words, each line named where it ends."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator

from stage.style import PAGE

LINE = 11.5  # points from one line of text to the next


def figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches; `stage.style` has the widths COLUMN and PAGE."""
    return Figure((width, height), layout="constrained")


def axes(fig: Figure, across: str, up: str, *, log: bool = False) -> Axes:
    """Axes that fill a figure. What is measured stands above them, where it reads level."""
    new = fig.add_subplot()
    new.set_xlabel(across)
    new.set_title(up)
    new.grid(visible=True, axis="y")
    if log:
        new.set_yscale("log", nonpositive="mask")
        new.yaxis.set_major_formatter(lambda y, _: _plain(y))
        new.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        new.yaxis.set_minor_formatter(lambda y, _: _plain(y) if _decades(new) < 2 else "")
    return new


def _plain(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _decades(plot: Axes) -> float:
    low, high = plot.get_ylim()
    return math.log10(high / low)


def chart(
    across: str, up: str, *, size: tuple[float, float] = (PAGE, 2.8), log: bool = False
) -> tuple[Figure, Axes]:
    """A figure and its axes: `across` names what runs along the x axis, `up` what is measured."""
    fig = figure(*size)
    return fig, axes(fig, across, up, log=log)


def end_of(line: Line2D) -> tuple[float, float]:
    """The last point of a line that its axes can show: on logarithmic ones, the last above zero."""
    heights = line.axes.yaxis.get_transform().transform(line.get_ydata(orig=False))
    last = np.flatnonzero(np.isfinite(heights))[-1]
    return tuple(map(float, line.get_xydata()[last]))


def name_ends(plot: Axes) -> None:
    """Write each line's label beside its last point, in its colour, no label over another."""
    plot.figure.draw_without_rendering()
    named = [line for line in plot.lines if not line.get_label().startswith("_")]
    spread(plot, [name_end(plot, line, line.get_label(), end_of(line)) for line in named])


def name_end(plot: Axes, line: Line2D, label: str, point: tuple[float, float]) -> Annotation:
    """A label beside a point, in the colour of the line."""
    return plot.annotate(
        label, point, (6, 0), textcoords="offset points", color=line.get_color(), va="center"
    )


def spread(plot: Axes, names: Sequence[Annotation]) -> None:
    """Move the names of lines up, as far as it takes for none to stand over another."""
    heights = {name: plot.transData.transform(name.xy)[1] for name in names}
    free = float("-inf")
    for name in sorted(heights, key=heights.__getitem__):
        half = LINE * (1 + name.get_text().count("\n")) / 2
        middle = max(heights[name], free + half)
        free = middle + half
        name.set_position((6, middle - heights[name]))
