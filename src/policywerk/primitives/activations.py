# Tangled from book/numbers.md
"""Activations: curves that every number of a vector is sent through."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from policywerk.primitives.tape import apply

Curve: TypeAlias = Callable[[float], float]


def each(function: Curve, vector: Sequence[float]) -> list[float]:
    """The function of every number, floats or Nums."""
    try:
        return list(map(function, vector))
    except TypeError:
        return [apply(function, x) for x in vector]


def relu(vector: Sequence[float]) -> list[float]:
    """What is positive stays, what is negative becomes zero."""
    return [x if x > 0 else 0.0 for x in vector]


def tanh(vector: Sequence[float]) -> list[float]:
    """An S from -1 to 1, as steep as x itself at 0."""
    return each(math.tanh, vector)


def sigmoid(vector: Sequence[float]) -> list[float]:
    """An S from 0 to 1; made of tanh, as exp would overflow far from 0."""
    return [0.5 + 0.5 * t for t in tanh([0.5 * x for x in vector])]
