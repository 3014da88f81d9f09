"""One colour, one meaning, on white paper and on dark.

A figure is drawn in the light tones. When it becomes SVG, each tone turns into the CSS variable of
its role, which `_static/film.css` sets for either theme. Ink is the colour of the text around it.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Role(NamedTuple):
    """What a colour stands for, and its tone on each paper."""

    meaning: str
    light: str
    dark: str


ROLES: Mapping[str, Role] = {
    "ink": Role("text, and the truth where it is known", "#1f2328", "#ced6dd"),
    "paper": Role("the page", "#ffffff", "#121212"),
    "muted": Role("axes, walls, what stands back", "#66707b", "#9ca4af"),
    "faint": Role("cell borders and rules", "#d5dae0", "#39424e"),
    "estimate": Role("what the learner believes; a value above zero", "#1668c7", "#58a6ff"),
    "loss": Role("an error being driven down; a value below zero", "#963505", "#ff9440"),
    "reward": Role("what the world pays", "#0b806d", "#62c79e"),
    "policy": Role("an action, and the choice of it", "#5b1596", "#9d6bff"),
    "now": Role("the state at which the algorithm is at work", "#941458", "#e8518f"),
    "second": Role("the second learner of a comparison", "#93710a", "#b08a25"),
    "third": Role("the third learner of a comparison", "#0d6088", "#2496bd"),
}

INK = TRUTH = ROLES["ink"].light
PAPER = ROLES["paper"].light
MUTED = ROLES["muted"].light
FAINT = ROLES["faint"].light
ESTIMATE = ROLES["estimate"].light
LOSS = ROLES["loss"].light
REWARD = ROLES["reward"].light
POLICY = ROLES["policy"].light
NOW = ROLES["now"].light
SECOND = ROLES["second"].light
THIRD = ROLES["third"].light

DEEPEST = 0.42  # the strongest tint on which ink still reads well, in either theme
_ROLE_OF = {role.light: name for name, role in ROLES.items()}


def tint(value: float, scale: float = 1.0) -> tuple[str, float]:
    """The colour of a value and its opacity: clear at zero, deepest at `scale` on either side."""
    return (ESTIMATE if value >= 0 else LOSS), DEEPEST * min(1.0, abs(value) / scale)


def themed(colour: str) -> str:
    """The CSS by which either theme sets a colour of the palette."""
    try:
        name = _ROLE_OF[colour]
    except KeyError:
        raise ValueError(
            f"colour {colour} is not in the palette, so it would mean nothing and not suit both "
            f"themes; use one of stage.palette: {', '.join(name.upper() for name in ROLES)}"
        ) from None
    return "currentColor" if name == "ink" else f"var(--pw-{name},{colour})"


def css(theme: str) -> str:
    """The variables of one theme, 'light' or 'dark', as film.css sets them."""
    return " ".join(f"--pw-{name}: {getattr(role, theme)};" for name, role in ROLES.items())
