# Tangled from book/2017-ppo.md
"""Distributions over actions, made of the numbers that a network puts out."""

import math
import random
from collections.abc import Sequence
from typing import Any, Protocol

from policywerk.primitives.activations import each
from policywerk.primitives.randomness import draw
from policywerk.primitives.tape import apply
from policywerk.primitives.vectors import dot


class Distribution(Protocol):
    """What may be done, and how likely each of it is. The row holds its parameters."""

    def __init__(self, row: Sequence[float]) -> None: ...

    def sample(self, rng: random.Random) -> Any: ...

    def mode(self) -> Any:
        """The likeliest action."""

    def log_probability(self, action: Any) -> float:
        """The log of its probability, or of its density where there is a continuum."""

    def score(self, action: Any) -> list[float]:
        """The slope of the log-probability towards each parameter."""

    def entropy(self) -> float: ...

    def entropy_slopes(self) -> list[float]: ...

    def divergence(self, other: Any) -> float:
        """How far another distribution of this kind is from it: KL(self, other)."""


LOG_ROOT_TAU = 0.5 * math.log(2.0 * math.pi)


class Gaussian:
    """Bell curves, one for each number of an action: their means, then log stds."""

    def __init__(self, row: Sequence[float]) -> None:
        count = len(row) // 2
        self.means, self.log_stds = row[:count], row[count:]
        self.stds = each(math.exp, self.log_stds)

    def sample(self, rng: random.Random) -> list[float]:
        bells = zip(self.means, self.stds, strict=True)
        return [rng.gauss(mean, std) for mean, std in bells]

    def mode(self) -> list[float]:
        return list(self.means)

    def off(self, action: Sequence[float]) -> list[float]:
        """How many standard deviations each number is above its mean."""
        bells = zip(action, self.means, self.stds, strict=True)
        return [(number - mean) / std for number, mean, std in bells]

    def log_probability(self, action: Sequence[float]) -> float:
        pairs = zip(self.off(action), self.log_stds, strict=True)
        return sum(-0.5 * (z * z) - log_std - LOG_ROOT_TAU for z, log_std in pairs)

    def score(self, action: Sequence[float]) -> list[float]:
        off = self.off(action)
        to_means = [z / std for z, std in zip(off, self.stds, strict=True)]
        return to_means + [z * z - 1.0 for z in off]

    def entropy(self) -> float:
        return sum(log_std + 0.5 + LOG_ROOT_TAU for log_std in self.log_stds)

    def entropy_slopes(self) -> list[float]:
        return [0.0] * len(self.means) + [1.0] * len(self.log_stds)

    def divergence(self, other: "Gaussian") -> float:
        total = 0.0
        off = zip(other.off(self.means), self.stds, other.stds, strict=True)
        for z, mine, theirs in off:
            ratio = mine / theirs
            total += 0.5 * (ratio * ratio + z * z - 1.0) - apply(math.log, ratio)
        return total


class Categorical:
    """A die with a side for each action: probabilities are the softmax of the row."""

    def __init__(self, row: Sequence[float]) -> None:
        highest = max(row)
        total = sum(each(math.exp, [x - highest for x in row]))
        log_total = highest + apply(math.log, total)
        self.log_shares = [x - log_total for x in row]
        self.shares = each(math.exp, self.log_shares)

    def sample(self, rng: random.Random) -> int:
        return draw(self.shares, rng)

    def mode(self) -> int:
        return self.shares.index(max(self.shares))

    def log_probability(self, action: int) -> float:
        return self.log_shares[action]

    def score(self, action: int) -> list[float]:
        return [(side == action) - share for side, share in enumerate(self.shares)]

    def entropy(self) -> float:
        return -dot(self.shares, self.log_shares)

    def entropy_slopes(self) -> list[float]:
        entropy = self.entropy()
        sides = zip(self.shares, self.log_shares, strict=True)
        return [-share * (log_share + entropy) for share, log_share in sides]

    def divergence(self, other: "Categorical") -> float:
        return dot(self.shares, self.log_shares) - dot(self.shares, other.log_shares)
