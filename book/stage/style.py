"""The manner of the house, for every figure from the moment a drawing module is imported."""

import matplotlib as mpl

from stage.palette import ESTIMATE, FAINT, INK, LOSS, MUTED, POLICY, REWARD, SECOND, THIRD

COLUMN, PAGE = 3.1, 6.3  # inches: a column of a film, or the screen of a telephone; the whole page

mpl.rcParams.update(
    {
        "figure.dpi": 72,  # so that a point is a unit of the SVG
        "figure.facecolor": "none",
        "font.family": "DejaVu Sans",  # to measure with; the page sets a font that is hardly wider
        "font.size": 9,  # nothing is smaller: in a column on a telephone this is 14 px
        "text.color": INK,
        "axes.facecolor": "none",
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.titlesize": "medium",
        "axes.axisbelow": True,
        "axes.prop_cycle": mpl.cycler(color=[ESTIMATE, SECOND, THIRD, LOSS, REWARD, POLICY]),
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "xaxis.labellocation": "right",
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": "medium",
        "ytick.labelsize": "medium",
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "patch.edgecolor": INK,
        "image.interpolation": "none",
        "path.simplify": False,  # a line that grows keeps the points it had
        "svg.fonttype": "none",
        "svg.hashsalt": "policywerk",
    }
)
