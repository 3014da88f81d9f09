# Tangled from book/1989-watkins.md
"""Policies made from action values: q[observation][action] says what is worth what."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from policywerk.primitives.randomness import argmax, below, draw

Table: TypeAlias = Mapping[Any, Sequence[float]]
Chooser: TypeAlias = Callable[[Any], int]


def greedy(q: Table, rng: random.Random | None = None) -> Chooser:
    """The best action; among equals any, or the first if there is no rng."""

    def choose(observation: Any) -> int:
        values = q[observation]
        return values.index(max(values)) if rng is None else argmax(values, rng)

    return choose


def epsilon_greedy(q: Table, epsilon: float, rng: random.Random) -> Chooser:
    """Mostly the best action, equals by chance; any action with chance epsilon."""
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon={epsilon}: expected a chance from 0 to 1")

    def choose(observation: Any) -> int:
        values = q[observation]
        if rng.random() < epsilon:
            return below(len(values), rng)
        return argmax(values, rng)

    return choose


def softmax(q: Table, temperature: float, rng: random.Random) -> Chooser:
    """Any action, an action e times rarer for each `temperature` it is worse."""
    if not temperature > 0.0:
        raise ValueError(f"temperature={temperature}: expected more than 0")

    def choose(observation: Any) -> int:
        values = q[observation]
        best = max(values)
        return draw([math.exp((value - best) / temperature) for value in values], rng)

    return choose
