# Tangled from book/numbers.md, book/networks.md, book/2023-dreamer.md
"""Activations: curves that every number of a vector is sent through."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from policywerk.primitives.tape import apply
from policywerk.primitives.vectors import dot

Curve: TypeAlias = Callable[[float], float]


def each(function: Curve, vector: Sequence[float]) -> list[float]:
    """The function of every number, floats or Nums."""
    try:
        return list(map(function, vector))
    except TypeError:
        return [apply(function, x) for x in vector]


def relu(vector: Sequence[float]) -> list[float]:
    """What is positive stays, what is negative becomes zero."""
    return [x if x > 0.0 else 0.0 for x in vector]


def tanh(vector: Sequence[float]) -> list[float]:
    """An S from -1 to 1, as steep as x itself at 0."""
    return each(math.tanh, vector)


def sigmoid(vector: Sequence[float]) -> list[float]:
    """An S from 0 to 1; made of tanh, as exp would overflow far from 0."""
    return [0.5 + 0.5 * t for t in tanh([0.5 * x for x in vector])]


def identity(vector: Sequence[float]) -> list[float]:
    """No curve at all."""
    return list(vector)


def elu(vector: Sequence[float]) -> list[float]:
    """What is positive stays; what is negative levels off towards -1."""
    return [x if x > 0 else apply(math.exp, x) - 1.0 for x in vector]


def softmax(vector: Sequence[float]) -> list[float]:
    """Shares that add up to 1: e to the power of each number, over their sum."""
    highest = max(vector)  # taken off everywhere, so that no power overflows
    powers = each(math.exp, [x - highest for x in vector])
    total = sum(powers)
    return [power / total for power in powers]


Activation: TypeAlias = Callable[[Sequence[float]], list[float]]
WayBack: TypeAlias = Callable[[Sequence[float], Sequence[float]], list[float]]


def relu_back(slopes: Sequence[float], output: Sequence[float]) -> list[float]:
    pairs = zip(slopes, output, strict=True)
    return [slope if y > 0.0 else 0.0 for slope, y in pairs]


def elu_back(slopes: Sequence[float], output: Sequence[float]) -> list[float]:
    pairs = zip(slopes, output, strict=True)
    return [slope if y > 0 else slope * (y + 1.0) for slope, y in pairs]


def tanh_back(slopes: Sequence[float], output: Sequence[float]) -> list[float]:
    return [slope * (1.0 - y * y) for slope, y in zip(slopes, output, strict=True)]


def sigmoid_back(slopes: Sequence[float], output: Sequence[float]) -> list[float]:
    return [slope * y * (1.0 - y) for slope, y in zip(slopes, output, strict=True)]


def softmax_back(slopes: Sequence[float], output: Sequence[float]) -> list[float]:
    average = dot(slopes, output)
    return [y * (slope - average) for slope, y in zip(slopes, output, strict=True)]


def identity_back(slopes: Sequence[float], output: Sequence[float]) -> list[float]:
    return list(slopes)


BACK: dict[Activation, WayBack] = {
    identity: identity_back,
    relu: relu_back,
    elu: elu_back,
    tanh: tanh_back,
    sigmoid: sigmoid_back,
    softmax: softmax_back,
}


def way_back(activation: Activation) -> WayBack:
    """The function that takes slopes back through an activation."""
    if activation not in BACK:
        raise ValueError(f"{activation}: no way back is known; add it to BACK")
    return BACK[activation]


def softplus(vector: Sequence[float]) -> list[float]:
    """The logarithm of 1 + e^x: nearly x where x is large, and never below 0."""
    powers = each(math.exp, [-abs(x) for x in vector])
    rests = each(math.log, [1.0 + power for power in powers])
    return [y if x < 0 else x + y for x, y in zip(vector, rests, strict=True)]
