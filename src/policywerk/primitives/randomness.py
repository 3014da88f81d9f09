# Tangled from book/numbers.md
"""Chance, derived from rng.random() alone: a seed decides every draw."""

import math
import random
from collections.abc import Sequence


def below(n: int, rng: random.Random) -> int:
    """A whole number from 0 to n - 1, each equally likely."""
    return int(rng.random() * n)


def draw(weights: Sequence[float], rng: random.Random) -> int:
    """An index into the weights, each as likely as its weight is large."""
    total = math.fsum(weights)
    if not total > 0 or min(weights) < 0:
        raise ValueError(f"draw: weights must be 0 or more, not all 0; got {weights}")
    finger = rng.random() * total
    for index, weight in enumerate(weights):
        if finger < weight:
            return index
        finger -= weight
    return max(index for index, weight in enumerate(weights) if weight)


def argmax(values: Sequence[float], rng: random.Random) -> int:
    """The index of the largest value; equals have equal chances."""
    largest = max(values)
    ties = [index for index, value in enumerate(values) if value == largest]
    return ties[below(len(ties), rng)]
