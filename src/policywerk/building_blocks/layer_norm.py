# Tangled from book/networks.md
"""Layer normalisation: mean 0 and spread 1, then stretched and shifted."""

import math
from typing import Any

from policywerk.building_blocks.network import Batch, Rows
from policywerk.primitives.tape import apply
from policywerk.primitives.vectors import dot


class LayerNorm:
    """Each sample put in proportion; how much and where to is learned."""

    def __init__(self, size: int) -> None:
        self.stretch, self.shift = [1.0] * size, [0.0] * size

    def parameters(self) -> Rows:
        return [self.stretch, self.shift]

    def forward(self, batch: Batch) -> tuple[Rows, Any]:
        normal, spreads = [], []
        for sample in batch:
            mean = sum(sample) / len(sample)
            apart = [x - mean for x in sample]
            variance = dot(apart, apart) / len(sample)
            spreads.append(apply(math.sqrt, variance + 1e-5))
            normal.append([x / spreads[-1] for x in apart])
        outputs = [
            [
                g * x + s
                for g, x, s in zip(self.stretch, row, self.shift, strict=True)
            ]
            for row in normal
        ]
        return outputs, (normal, spreads)

    def backward(
        self, memory: Any, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        size = len(self.stretch)
        stretch, shift, before = [0.0] * size, [0.0] * size, []
        for row, spread, slope in zip(*memory, slopes, strict=True):
            stretch = [g + s * x for g, s, x in zip(stretch, slope, row, strict=True)]
            shift = [g + s for g, s in zip(shift, slope, strict=True)]
            inner = [s * g for s, g in zip(slope, self.stretch, strict=True)]
            mean, along = sum(inner) / size, dot(inner, row) / size
            before.append(
                [
                    (s - mean - x * along) / spread
                    for s, x in zip(inner, row, strict=True)
                ]
            )
        return [stretch, shift], before if inputs else []
