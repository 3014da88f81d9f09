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
                raise ValueError(f"edges {cuts}: expected rising numbers, at least one")
        self.edges = edges
        self.count = math.prod(len(cuts) + 1 for cuts in edges)

    def __call__(self, observation: Sequence[float]) -> int:
        """The number of the box, from 0 to count - 1."""
        if len(observation) != len(self.edges):
            raise ValueError(f"{observation}: expected {len(self.edges)} numbers to cut")
        box = 0
        for value, cuts in zip(observation, self.edges, strict=True):
            box = box * (len(cuts) + 1) + bisect(cuts, value)
        return box
