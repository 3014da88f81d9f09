# Tangled from book/2023-dreamer.md
"""A recurrent layer, after Cho and others (2014), and the way back through time."""

import random
from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.network import Batch, Rows, random_rows
from policywerk.primitives.activations import sigmoid, tanh
from policywerk.primitives.matrices import matmul, outer_sum
from policywerk.primitives.vectors import dot


class GRU:
    """A layer on rows of (*state, *inputs), whose outputs are the next states."""

    def __init__(self, size: int, inputs: int, rng: random.Random) -> None:
        self.size = size
        self.rows = random_rows(size + inputs, 3 * size, rng)

    def parameters(self) -> Rows:
        return self.rows

    def forward(self, batch: Batch) -> tuple[Rows, Any]:
        batch = [(1.0, *sample) for sample in batch]
        gates, outputs, n = [], [], self.size
        for sample, sums in zip(batch, matmul(batch, self.rows), strict=True):
            state, said = sample[1 : n + 1], sums[n : 2 * n]
            reset, update = sigmoid(sums[:n]), sigmoid(sums[2 * n :])
            new = tanh([r * x for r, x in zip(reset, said, strict=True)])
            outputs.append(
                [h + u * (c - h) for h, u, c in zip(state, update, new, strict=True)]
            )
            gates.append((state, said, reset, update, new))
        return outputs, (batch, gates)

    def blame(self, memory: Any, slopes: Batch) -> tuple[Rows, Rows]:
        """The slopes towards the sums, and towards the states and inputs."""
        _, gates = memory
        blame = [sums_back(s, *parts) for s, parts in zip(slopes, gates, strict=True)]
        before = to_inputs(blame, self.rows)
        for row, slope, (_, _, _, update, _) in zip(before, slopes, gates, strict=True):
            for i, (s, u) in enumerate(zip(slope, update, strict=True)):
                row[i] += s * (1.0 - u)  # what is kept of a state leads straight back
        return blame, before

    def backward(
        self, memory: Any, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        blame, before = self.blame(memory, slopes)
        return outer_sum(memory[0], blame), before if inputs else []


Numbers = Sequence[float]


def sums_back(
    slopes: Numbers, state: Numbers, said: Numbers, reset: Numbers,
    update: Numbers, new: Numbers,
) -> list[float]:  # fmt: skip
    """From slopes towards the next state, those towards the three sums."""
    within = [
        s * u * (1.0 - c * c) for s, u, c in zip(slopes, update, new, strict=True)
    ]
    return [
        *(
            w * x * r * (1.0 - r)
            for w, x, r in zip(within, said, reset, strict=True)
        ),
        *(w * r for w, r in zip(within, reset, strict=True)),
        *(
            s * (c - h) * u * (1.0 - u)
            for s, c, h, u in zip(slopes, new, state, update, strict=True)
        ),
    ]


def to_inputs(blame: Batch, rows: Rows) -> Rows:
    """What the blame of a layer's sums comes to at each of its inputs."""
    weights = rows[1:]  # the first row are the biases
    return [[dot(sums, row) for row in weights] for sums in blame]


def through(layers: Sequence[Any], memory: Any, slopes: Batch) -> Rows:
    """Back to the inputs of dense layers in a row that are not to learn."""
    for layer, (_, outputs) in zip(reversed(layers), reversed(memory), strict=True):
        pairs = zip(slopes, outputs, strict=True)
        slopes = to_inputs([layer.way_back(s, y) for s, y in pairs], layer.rows)
    return [list(row) for row in slopes]
