"""Charts in the manner of the house: axes labelled in words, each line named where it ends."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox

from stage.style import PAGE

ASIDE = 6  # points from the end of a line to its name
NEAR = 2.5  # names closer than this many widths may meet where the chart is laid out narrow


def figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches; `stage.style` has the widths COLUMN and PAGE."""
    return Figure((width, height), layout="constrained")


def axes(fig: Figure, across: str, up: str, *, log: bool = False) -> Axes:
    """Axes that fill a figure. What is measured stands above, from the left edge."""
    new = fig.add_subplot()
    new.set_xlabel(across)
    fig.suptitle(up, x=0, ha="left")
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
    lines = [line for line in plot.lines if not line.get_label().startswith("_")]
    lay_apart([name_end(line, line.get_label()) for line in lines])


def name_end(line: Line2D, name: str) -> Annotation:
    """The name of a line, to stand beside the point at `xy`."""
    return line.axes.annotate(
        name,
        end_of(line) if len(line.get_xdata()) else (0, 0),
        (ASIDE, 0),
        textcoords="offset points",
        color=line.get_color(),
        va="center",
    )


def lay_apart(names: Sequence[Annotation]) -> None:
    """Set names beside their points, and raise those that would lie over a lower one."""
    placed: list[Bbox] = []
    for name in names:
        name.set_position((ASIDE, 0))
    for box, name in sorted(
        ((name.get_window_extent(), name) for name in names), key=lambda pair: pair[0].y0
    ):
        lift = 0.0
        for lower in placed:
            beside = box.x0 > lower.x0 + NEAR * lower.width or lower.x0 > box.x0 + NEAR * box.width
            if not beside:
                lift = max(lift, lower.y1 - box.y0)
        name.set_position((ASIDE, lift))
        placed.append(box.translated(0, lift))
