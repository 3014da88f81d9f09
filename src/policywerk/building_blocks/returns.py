# Tangled from book/1988-sutton.md, book/2023-dreamer.md
"""Returns: what followed a step, and a guess for what was not awaited."""

from collections.abc import Sequence
from typing import NamedTuple

Numbers = Sequence[float]


def discounted(rewards: Numbers, gamma: float, last: float = 0.0) -> float:
    """r1 + gamma r2 + gamma² r3 + ...; `last` follows the last reward."""
    total = last
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total


def n_step(
    rewards: Numbers, discounts: Numbers, values: Numbers, n: int
) -> list[float]:
    """For each step, n rewards or all that are left, and the value reached."""
    check_lengths(rewards, discounts, values)
    if n < 1:
        raise ValueError(f"n={n}: expected one step or more")
    returns = []
    for begin in range(len(rewards)):
        end = min(begin + n, len(rewards))
        total = values[end - 1]
        for k in reversed(range(begin, end)):
            total = rewards[k] + discounts[k] * total
        returns.append(total)
    return returns


def lambda_return(
    rewards: Numbers, discounts: Numbers, values: Numbers, lam: float
) -> list[float]:
    """Each is r + discount ((1 - lam) V' + lam G'); the last G' is V'."""
    check_lengths(rewards, discounts, values)
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam={lam}: expected 0 to 1")
    returns: list[float] = []
    for k in reversed(range(len(rewards))):
        awaited = returns[-1] if returns else values[k]
        mixed = (1.0 - lam) * values[k] + lam * awaited
        returns.append(rewards[k] + discounts[k] * mixed)
    return returns[::-1]


def check_lengths(*lists: Numbers) -> None:
    if len(set(map(len, lists))) > 1:
        raise ValueError("rewards, discounts, values: expected as many of each")


class ReturnSlopes(NamedTuple):
    """Slopes towards rewards, discounts and values."""

    rewards: list[float]
    discounts: list[float]
    values: list[float]


def lambda_return_back(
    slopes: Numbers, discounts: Numbers, values: Numbers,
    returns: Numbers, lam: float,
) -> ReturnSlopes:
    """From slopes towards `returns`, made by lambda_return, to what made them."""
    rewards, to_discounts, to_values = [], [], []
    carried, last = 0.0, len(values) - 1
    for k, (slope, discount, value) in enumerate(
        zip(slopes, discounts, values, strict=True)
    ):
        slope += carried
        awaited = returns[k + 1] if k < last else value
        rewards.append(slope)
        to_discounts.append(slope * ((1.0 - lam) * value + lam * awaited))
        to_values.append(slope * discount * ((1.0 - lam) if k < last else 1.0))
        carried = slope * discount * lam
    return ReturnSlopes(rewards, to_discounts, to_values)
