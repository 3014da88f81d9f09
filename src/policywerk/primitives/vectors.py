# Tangled from book/numbers.md
"""Vectors: plain sequences of numbers."""

import sys
from collections.abc import Sequence
from operator import mul

if sys.version_info >= (3, 12):
    from math import sumprod as dot
else:

    def dot(a: Sequence[float], b: Sequence[float]) -> float:
        """Multiply matching numbers and add up the products."""
        if len(a) != len(b):
            raise ValueError(f"dot: got {len(a)} and {len(b)} numbers; must agree")
        products: map[float] = map(mul, a, b)
        return sum(products)
