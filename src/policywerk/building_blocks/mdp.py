# Tangled from book/concepts.md
"""Markov decision processes: worlds to be asked, and worlds to be met."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from policywerk.primitives.randomness import draw


class Outcome(NamedTuple):
    """One thing that an action may lead to."""

    probability: float
    state: Any
    reward: float
    terminated: bool


class KnownModel(Protocol):
    """A world that can be asked what would happen."""

    @property
    def states(self) -> Sequence[Any]: ...

    def actions(self, state: Any) -> Sequence[Any]:
        """The actions to choose from; () where the episode is over."""

    def outcomes(self, state: Any, action: Any) -> Sequence[Outcome]: ...


@dataclass(frozen=True)
class Discrete:
    """The whole numbers from 0 to n - 1."""

    n: int


@dataclass(frozen=True)
class Box:
    """One real number for each pair of bounds."""

    low: tuple[float, ...]
    high: tuple[float, ...]


Space = Discrete | Box | tuple[Discrete, ...]


class Step(NamedTuple):
    """A world's answer to an action."""

    observation: Any
    reward: float
    terminated: bool  # the episode came to its end
    truncated: bool  # the clock ran out; nothing ended
    info: dict[str, Any]


class Environment(Protocol):
    """A world that is met one step at a time."""

    action_space: Discrete | Box
    observation_space: Space

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode: the first observation, and other news."""

    def step(self, action: Any) -> Step: ...


def draw_outcome(outcomes: Sequence[Outcome], rng: random.Random) -> Outcome:
    """One of the outcomes, each as often as its probability says."""
    return outcomes[draw([outcome.probability for outcome in outcomes], rng)]
