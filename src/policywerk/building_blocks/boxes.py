# Tangled from book/1983-barto-sutton-anderson.md
"""Cutting up what is seen: from real numbers to the number of a box."""

import math
from bisect import bisect
from collections.abc import Sequence


class Boxes:
    """The numbers of an observation, each cut at its own rising list of edges."""

    def __init__(self, *edges: Sequence[float]) -> None:
        for cuts in edges:
            if not cuts or list(cuts) != sorted(set(cuts)):
                raise ValueError(f"edges {cuts}: expected rising numbers")
        self.edges = edges
        self.cutting = [(cuts, len(cuts) + 1) for cuts in edges]
        self.count = math.prod(parts for _, parts in self.cutting)

    def __call__(self, observation: Sequence[float]) -> int:
        """The number of the box, from 0 to count - 1."""
        if len(observation) != len(self.edges):
            wanted = len(self.edges)
            raise ValueError(f"{observation}: expected {wanted} numbers to cut")
        box = 0
        for value, (cuts, parts) in zip(observation, self.cutting, strict=True):
            box = box * parts + bisect(cuts, value)
        return box
