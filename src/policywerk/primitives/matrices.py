# Tangled from book/numbers.md, book/networks.md
"""Matrices: lists of rows. Zeros are skipped wherever that saves work."""

import sys
from collections.abc import Sequence
from functools import cache
from itertools import compress, count, repeat
from typing import TypeAlias

from policywerk.primitives.vectors import dot

Matrix: TypeAlias = Sequence[Sequence[float]]


def columns(matrix: Matrix) -> list[tuple[float, ...]]:
    """The columns of a matrix; as rows, they make its transpose."""
    return list(zip(*matrix, strict=True))


def combine(weights: Sequence[float], rows: Matrix) -> list[float]:
    """The sum of weight times row; rows of weight zero are skipped."""
    total: list[float] | None = None
    for weight, row in zip(weights, rows, strict=True):
        if not weight:
            continue
        if total is None:
            total = [weight * x for x in row]
        else:
            total = [t + weight * x for t, x in zip(total, row, strict=True)]
    return total or [0.0] * len(rows[0])


FEW = 5  # up to so many live rows, columns or different values, a short cut pays
PLAIN_SUM = sys.version_info < (3, 12)  # a dot product is then map and sum


def matmul(a: Matrix, b: Matrix) -> list[list[float]]:
    """The matrix product a b: every row of a times b."""
    product = []
    b_columns = None

    @cache
    def scaled(i: int, weight: float) -> Sequence[float]:
        return [weight * x for x in b[i]] if weight != 1.0 else b[i]

    for row in a:
        if len(row) != len(b):
            wrong = f"a has a row of {len(row)}, b has {len(b)} rows"
            raise ValueError(f"matmul: {wrong}; must agree")
        kept = list(filter(None, row))
        if len(kept) <= FEW:
            product.append(combine(row, b))
        elif len(kept) < 0.75 * len(row) and len(b[0]) > FEW:
            if PLAIN_SUM and len(set(kept)) <= FEW:
                rows = map(scaled, compress(count(), row), kept)
                product.append(list(map(sum, zip(*rows, strict=True), repeat(0.0))))
            else:
                kept_columns = zip(*compress(b, row), strict=True)
                product.append(list(map(dot, repeat(kept), kept_columns)))
        else:
            b_columns = b_columns or columns(b)
            product.append([dot(row, column) for column in b_columns])
    return product


DENSE = 0.4  # with a larger share of products alive, columns are quicker


def outer_sum(a: Matrix, b: Matrix) -> list[list[float]]:
    """For each pair of columns, one of a and one of b, their dot product."""
    live = sum(
        (len(x) - x.count(0.0)) * (len(y) - y.count(0.0))
        for x, y in zip(a, b, strict=True)
    )
    if live > DENSE * len(a) * len(a[0]) * len(b[0]):
        return matmul(columns(a), b)
    kind: Sequence[int] = range(len(a[0]))
    if len(a) < len(a[0]) and len(set(a[0])) <= FEW:
        kinds: dict[tuple[float, ...], int] = {}
        kind = [kinds.setdefault(column, len(kinds)) for column in columns(a)]
        a = columns(list(kinds))
    total = [[0.0] * len(b[0]) for _ in a[0]]
    for x, y in zip(a, b, strict=True):
        entries = [(column, entry) for column, entry in enumerate(y) if entry]
        for row, weight in zip(compress(total, x), filter(None, x), strict=True):
            for column, entry in entries:
                row[column] += weight * entry
    return [total[k].copy() for k in kind]
