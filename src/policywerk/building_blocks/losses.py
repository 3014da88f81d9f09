# Tangled from book/networks.md
"""Losses: how wrong an output is, and which way it should move."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from policywerk.primitives.activations import each, softmax
from policywerk.primitives.tape import apply
from policywerk.primitives.vectors import dot


class Loss(NamedTuple):
    """How wrong, and the slope of that towards each number of the output."""

    value: float
    slopes: list[float]


def squared_error(output: Sequence[float], target: Sequence[float]) -> Loss:
    """Half the square of each error, added up."""
    errors = [y - t for y, t in zip(output, target, strict=True)]
    return Loss(0.5 * dot(errors, errors), errors)


def huber(output: Sequence[float], target: Sequence[float]) -> Loss:
    """Like squared_error up to an error of 1, and from there on a straight line."""
    errors = [y - t for y, t in zip(output, target, strict=True)]
    value = sum(0.5 * e * e if abs(e) < 1.0 else abs(e) - 0.5 for e in errors)
    return Loss(value, [min(max(e, -1.0), 1.0) for e in errors])


def cross_entropy(output: Sequence[float], target: Sequence[float]) -> Loss:
    """The surprise of softmax(output) at shares that add up to 1."""
    highest = max(output)
    powers = each(math.exp, [y - highest for y in output])
    log_total = highest + apply(math.log, sum(powers))
    value = sum(t * (log_total - y) for y, t in zip(output, target, strict=True))
    shares = softmax(output)
    return Loss(value, [share - t for share, t in zip(shares, target, strict=True)])


def symlog(x: float) -> float:
    """The logarithm of 1 + |x|, with the sign of x."""
    size = apply(math.log, 1.0 + abs(x))
    return -size if x < 0 else size


def symexp(y: float) -> float:
    """The way back from symlog."""
    size = apply(math.exp, abs(y)) - 1.0
    return -size if y < 0 else size


def symlog_error(output: Sequence[float], target: Sequence[float]) -> Loss:
    """The squared error of an output that means symlog of the target."""
    return squared_error(output, [symlog(t) for t in target])


def two_hot(x: float, bins: Sequence[float]) -> list[float]:
    """Shares of the two bins around x, so that they balance at x."""
    if len(bins) < 2 or any(b <= a for a, b in pairwise(bins)):
        raise ValueError(f"bins={list(bins)}: expected two or more, rising")
    shares = [0.0] * len(bins)
    x = min(max(x, bins[0]), bins[-1])
    right = min(bisect_right(bins, x), len(bins) - 1)
    left = right - 1
    shares[right] = (x - bins[left]) / (bins[right] - bins[left])
    shares[left] = 1.0 - shares[right]
    return shares


def two_hot_error(
    output: Sequence[float], target: float, bins: Sequence[float]
) -> Loss:
    """The surprise at a number, whose symlog lies among the bins."""
    return cross_entropy(output, two_hot(symlog(target), bins))


def two_hot_mean(output: Sequence[float], bins: Sequence[float]) -> float:
    """The number that an output stands for: the balance of its shares."""
    return symexp(dot(softmax(output), bins))
