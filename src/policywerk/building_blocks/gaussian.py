# Tangled from book/2023-dreamer.md
"""Beliefs: a bell curve for each number, and how far two of them disagree."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from policywerk.primitives.activations import each, softplus
from policywerk.primitives.tape import apply

Numbers = Sequence[float]
FLOOR = 0.1  # the least standard deviation


class Belief(NamedTuple):
    """Means, standard deviations, and how these follow the sums behind them."""

    means: list[float]
    stds: list[float]
    slants: list[float]


def gaussian(sums: Numbers) -> Belief:
    """The first half are means, and the softplus of the second half the spreads."""
    half = len(sums) // 2
    spreads = softplus(sums[half:])
    slants = [1.0 - y for y in each(math.exp, [-spread for spread in spreads])]
    return Belief(list(sums[:half]), [FLOOR + spread for spread in spreads], slants)


def certain(sums: Numbers) -> Belief:
    """Means only: a belief whose spread is always 1 and is never drawn from."""
    half = len(sums) // 2
    return Belief(list(sums[:half]), [1.0] * half, [0.0] * half)


def drawn(belief: Belief, noise: Numbers) -> list[float]:
    """A draw, made of noise that knows nothing of the belief."""
    return [
        m + s * e for m, s, e in zip(belief.means, belief.stds, noise, strict=True)
    ]


def to_sums(belief: Belief, means: Numbers, stds: Numbers) -> list[float]:
    """From slopes towards means and spreads, those towards the belief's sums."""
    pairs = zip(stds, belief.slants, strict=True)
    return [*means, *(slope * slant for slope, slant in pairs)]


def drawn_back(belief: Belief, noise: Numbers, slopes: Numbers) -> list[float]:
    """From slopes towards a draw, those towards the belief's sums."""
    stds = [slope * e for slope, e in zip(slopes, noise, strict=True)]
    return to_sums(belief, slopes, stds)


class Disagreement(NamedTuple):
    """How far two beliefs are apart, and the slopes towards the sums of either."""

    value: float
    first: list[float]
    second: list[float]


def disagreement(first: Belief, second: Belief) -> Disagreement:
    """The Kullback-Leibler divergence of the first belief from the second."""
    gaps = [m - n for m, n in zip(first.means, second.means, strict=True)]
    stds = list(zip(first.stds, second.stds, strict=True))
    sizes = [d * d + gap * gap for gap, (d, _) in zip(gaps, stds, strict=True)]
    value = sum(
        apply(math.log, t / d) + size / (2.0 * t * t) - 0.5
        for size, (d, t) in zip(sizes, stds, strict=True)
    )
    means = [gap / (t * t) for gap, (_, t) in zip(gaps, stds, strict=True)]
    return Disagreement(
        value,
        to_sums(first, means, [d / (t * t) - 1.0 / d for d, t in stds]),
        to_sums(
            second,
            [-slope for slope in means],
            [
                (1.0 - size / (t * t)) / t
                for size, (_, t) in zip(sizes, stds, strict=True)
            ],
        ),
    )
