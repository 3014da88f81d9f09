# Tangled from book/numbers.md
"""A number that remembers how it was made: it has slopes, and shows its working."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias, TypeVar

from policywerk.primitives.working import WIDTH, Explanation, Line, Written, digits, join

Number: TypeAlias = "Num | float"


class Num:
    """A value, the operation and operands that made it, the slope towards each."""

    __slots__ = ("name", "op", "operands", "slopes", "value")

    def __init__(
        self,
        value: float,
        op: str = "",
        operands: tuple["Num", ...] = (),
        slopes: tuple[float, ...] = (),
        *,
        name: str = "",
    ) -> None:
        self.value = float(value)
        self.op = op
        self.operands = operands
        self.slopes = slopes
        self.name = name

    def __add__(self, other: Number) -> "Num":
        other = lift(other)
        return Num(self.value + other.value, "+", (self, other), (1.0, 1.0))

    def __mul__(self, other: Number) -> "Num":
        other = lift(other)
        slopes = (other.value, self.value)
        return Num(self.value * other.value, "×", (self, other), slopes)

    def __sub__(self, other: Number) -> "Num":
        other = lift(other)
        return Num(self.value - other.value, "−", (self, other), (1.0, -1.0))

    def __truediv__(self, other: Number) -> "Num":
        other = lift(other)
        ratio = self.value / other.value
        slopes = (1.0 / other.value, -ratio / other.value)
        return Num(ratio, "/", (self, other), slopes)

    def __radd__(self, other: float) -> "Num":
        if isinstance(other, int) and other == 0:
            return self
        return lift(other) + self

    def __rmul__(self, other: float) -> "Num":
        return lift(other) * self

    def __rsub__(self, other: float) -> "Num":
        return lift(other) - self

    def __rtruediv__(self, other: float) -> "Num":
        return lift(other) / self

    def __neg__(self) -> "Num":
        return -1.0 * self

    def __pow__(self, power: float) -> "Num":
        slope = power * self.value ** (power - 1)
        return Num(self.value**power, "^", (self, lift(power)), (slope, 0.0))

    def __lt__(self, other: Number) -> bool:
        return self.value < lift(other).value

    def __gt__(self, other: Number) -> bool:
        return self.value > lift(other).value

    def __abs__(self) -> "Num":
        return -self if self.value < 0 else self

    def __repr__(self) -> str:
        return f"Num({self.value:.6g})"


def lift(x: Number) -> Num:
    """A Num as it is, a float as a Num without a past."""
    return x if isinstance(x, Num) else Num(x)


def tape(result: Num) -> list[Num]:
    """Every number that went into the result, each after its operands."""
    order: list[Num] = []
    met: set[Num] = set()
    if not isinstance(result, Num):
        raise ValueError(f"expected a Num, as nothing else has a tape; got {result!r}")
    stack = [(result, False)]
    while stack:
        number, operands_done = stack.pop()
        if operands_done:
            order.append(number)
        elif number not in met:
            met.add(number)
            stack.append((number, True))
            stack += [(operand, False) for operand in number.operands]
    return order


def gradient(result: Num, inputs: Iterable[Num]) -> list[float]:
    """The slope of the result towards each input, in one walk back."""
    slope_of = {result: 1.0}
    for number in reversed(tape(result)):
        behind = slope_of[number]
        for operand, slope in zip(number.operands, number.slopes, strict=True):
            slope_of[operand] = slope_of.get(operand, 0.0) + behind * slope
    return [slope_of.get(number, 0.0) for number in inputs]


SLOPES: dict[Callable[[float], float], Callable[[float, float], float]] = {
    math.exp: lambda x, y: y,
    math.log: lambda x, y: 1.0 / x,
    math.sqrt: lambda x, y: 0.5 / y,
    math.tanh: lambda x, y: 1.0 - y * y,
}

FloatOrNum = TypeVar("FloatOrNum", float, Num)


def apply(function: Callable[[float], float], x: FloatOrNum) -> FloatOrNum:
    """The function of x; for a Num, the slope is noted."""
    if not isinstance(x, Num):
        return function(x)
    if function not in SLOPES:
        raise ValueError(f"apply: {function.__name__} has no slope; add it to SLOPES")
    y = function(x.value)
    return Num(y, function.__name__, (x,), (SLOPES[function](x.value, y),))


def terms(number: Num) -> list[Num]:
    """The operands of a number; unnamed additions in a row are one long sum."""
    if number.op != "+":
        return list(number.operands)
    first, last = number.operands
    backwards = [last]
    while first.op == "+" and not first.name:
        first, last = first.operands
        backwards.append(last)
    return [first, *reversed(backwards)]


def spell(number: Num, spell_part: Callable[[Num], Written]) -> Written:
    """The operation that made a number, with its parts spelled as told."""
    parts = terms(number)
    if len(parts) <= 5:
        return join(number.op, [spell_part(part) for part in parts])
    beginning = [spell_part(part) for part in parts[:3]]
    return join(number.op, [*beginning, Written("…"), spell_part(parts[-1])])


def in_names(number: Num, levels: int) -> Written:
    """A number's name, or its formula to so many levels of operations."""
    if number.name:
        return Written(number.name)
    if not number.operands:
        return digits(number.value)
    if levels == 0:
        return Written("…")
    return spell(number, partial(in_names, levels=levels - 1))


def line_of_working(number: Num) -> list[str]:
    """What stands between equals signs: name, formula, digits, value."""
    line = [number.name] if number.name else []
    if number.operands:
        for levels in (3, 2, 1, 0):
            formula = spell(number, partial(in_names, levels=levels)).text
            if len(formula) <= WIDTH:
                line.append(formula)
                break
        line.append(spell(number, lambda part: digits(part.value)).text)
    return list(dict.fromkeys([*line, digits(number.value).text]))


def explain(result: Num, *, limit: int = 40) -> Explanation:
    """The working behind a number: at most `limit` steps, the nearest to it."""
    if limit < 1:
        raise ValueError(f"explain: limit must be at least 1, got {limit}")
    operations = sum(1 for number in tape(result) if number.operands)
    opened: dict[Num, list[Num]] = {}
    waiting, met = deque([result]), {result}
    while waiting and len(opened) < limit:
        number = waiting.popleft()
        parts = [part for part in terms(number) if part.operands]
        opened[number] = [part for part in dict.fromkeys(parts) if part not in met]
        met.update(parts)
        waiting.extend(opened[number])
    lines, stack = [], [(result, 0)]
    while stack:
        number, depth = stack.pop()
        lines.append(Line(depth, line_of_working(number)))
        parts = [part for part in opened[number] if part in opened]
        stack += [(part, depth + 1) for part in reversed(parts)]
    remark = f"The {limit} steps nearest to the result, of {operations} operations."
    return Explanation(lines, remark if waiting else "")
