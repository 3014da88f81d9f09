# Tangled from book/concepts.md
"""What a list of results amounts to: a middle, a spread, and how far to trust them."""

import math
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from policywerk.primitives.randomness import below


def ranked(values: Sequence[float]) -> list[float]:
    """The values in order; none at all, or not a number, has no place in it."""
    if not values or any(map(math.isnan, values)):
        raise ValueError("values: expected at least one, and each of them a number")
    return sorted(values)


def quantile(values: Sequence[float], share: float) -> float:
    """The value so far into the ordered list, between two neighbours in proportion."""
    ordered = ranked(values)
    place = share * (len(ordered) - 1)
    left, right = ordered[math.floor(place)], ordered[math.ceil(place)]
    return left + (place - math.floor(place)) * (right - left)


def median(values: Sequence[float]) -> float:
    """The value in the middle."""
    return quantile(values, 0.5)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The values a quarter and three quarters into the ordered list."""
    return quantile(values, 0.25), quantile(values, 0.75)


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half; a value on its border counts in part."""
    ordered = ranked(values)
    quarter = len(ordered) / 4
    total = 0.0
    for place, value in enumerate(ordered):
        inside = min(place + 1, 3 * quarter) - max(place, quarter)
        total += max(0.0, inside) * value
    return total / (2 * quarter)


class Interval(NamedTuple):
    """A range in which something probably lies."""

    low: float
    high: float


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = median,
    *,
    rng: random.Random,
    confidence: float = 0.95,
    draws: int = 1000,
) -> Interval:
    """Where a statistic would lie, had other trials like these been run."""
    if not values:
        raise ValueError("values: expected at least one")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence}: expected between 0 and 1")
    if draws < 1:
        raise ValueError(f"draws={draws}: expected 1 or more")
    n = len(values)
    drawn = [
        statistic([values[below(n, rng)] for _ in range(n)]) for _ in range(draws)
    ]
    outside = (1.0 - confidence) / 2.0
    return Interval(quantile(drawn, outside), quantile(drawn, 1.0 - outside))
