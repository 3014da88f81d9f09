# Tangled from book/networks.md
"""Three ways to the same gradient, so that each can be the judge of another."""

from collections.abc import Callable
from typing import Any

from policywerk.building_blocks.network import Rows
from policywerk.primitives.tape import Num, gradient


def by_nudging(loss: Callable[[], float], rows: Rows, nudge: float = 1e-6) -> Rows:
    """The slope towards each number: move it a little up, then down, and run."""
    slopes: Rows = []
    for row in rows:
        slopes.append([])
        for place, kept in enumerate(row):
            row[place] = kept + nudge
            above = loss()
            row[place] = kept - nudge
            slopes[-1].append((above - loss()) / (2.0 * nudge))
            row[place] = kept
    return slopes


def by_tape(loss: Callable[[], Any], rows: list[list[Any]]) -> Rows:
    """The same slopes from one run on numbers that remember."""
    kept = [list(row) for row in rows]
    for row in rows:
        row[:] = map(Num, row)
    try:
        slopes = iter(gradient(loss(), [number for row in rows for number in row]))
    finally:
        for row, values in zip(rows, kept, strict=True):
            row[:] = values
    return [[next(slopes) for _ in row] for row in rows]


def apart(first: Rows, second: Rows) -> float:
    """The largest difference, as a share of the largest slope."""
    pairs = [
        pair
        for rows in zip(first, second, strict=True)
        for pair in zip(*rows, strict=True)
    ]
    largest = max(max(abs(a), abs(b)) for a, b in pairs)
    return max(abs(a - b) for a, b in pairs) / largest if largest else 0.0
