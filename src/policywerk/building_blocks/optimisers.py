# Tangled from book/networks.md, book/2023-dreamer.md
"""Optimisers: change parameters in place, against their gradients."""

import math
from typing import Protocol

from policywerk.building_blocks.network import Rows


class Optimiser(Protocol):
    """Whatever makes steps out of gradients; `rate` may be changed on the way."""

    rate: float

    def step(self, gradients: Rows) -> None: ...


class SGD:
    """Downhill; with momentum, part of the last step is taken again."""

    def __init__(
        self, parameters: Rows, rate: float, momentum: float = 0.0
    ) -> None:
        self.parameters, self.rate, self.momentum = parameters, rate, momentum
        self.steps = [[0.0] * len(row) for row in parameters]

    def step(self, gradients: Rows) -> None:
        rows = zip(self.parameters, self.steps, gradients, strict=True)
        for row, steps, slopes in rows:
            for i, slope in enumerate(slopes):
                steps[i] = step = self.momentum * steps[i] - self.rate * slope
                row[i] += step


class Adam:
    """Each number at its own pace: mean slope over root mean squared slope."""

    def __init__(
        self,
        parameters: Rows,
        rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters, self.rate = parameters, rate
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.means = [[0.0] * len(row) for row in parameters]
        self.squares = [[0.0] * len(row) for row in parameters]
        self.number = 0

    def step(self, gradients: Rows) -> None:
        self.number += 1
        beta1, beta2, sqrt = self.beta1, self.beta2, math.sqrt
        rest1, rest2 = 1.0 - beta1, 1.0 - beta2
        root = sqrt(1.0 - beta2**self.number)
        rate = self.rate * root / (1.0 - beta1**self.number)
        epsilon = self.epsilon * root
        rows = zip(self.parameters, self.means, self.squares, gradients, strict=True)
        for row, means, squares, slopes in rows:
            if any(slopes):
                for i, slope in enumerate(slopes):
                    means[i] = mean = beta1 * means[i] + rest1 * slope
                    squares[i] = square = beta2 * squares[i] + rest2 * slope * slope
                    row[i] -= rate * mean / (sqrt(square) + epsilon)
            elif any(means) or any(squares):
                for i, number in enumerate(row):
                    means[i] = mean = beta1 * means[i]
                    squares[i] = square = beta2 * squares[i]
                    row[i] = number - rate * mean / (sqrt(square) + epsilon)


def clipped(gradients: Rows, most: float) -> Rows:
    """The same direction, made shorter if it is longer than `most`."""
    length = math.sqrt(sum(slope * slope for row in gradients for slope in row))
    if length <= most:
        return gradients
    return [[slope * most / length for slope in row] for row in gradients]
