# Tangled from book/1988-sutton.md
"""Returns: what followed a step, added up, with a guess for what was not awaited."""

from collections.abc import Sequence


def discounted(rewards: Sequence[float], gamma: float, last: float = 0.0) -> float:
    """r1 + gamma r2 + gamma² r3 + ..., and beyond the last reward, `last`."""
    total = last
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total


def n_step(
    rewards: Sequence[float], discounts: Sequence[float], values: Sequence[float], n: int
) -> list[float]:
    """For each step, n rewards (or as many as there are) and the value reached."""
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
    rewards: Sequence[float], discounts: Sequence[float], values: Sequence[float], lam: float
) -> list[float]:
    """G = r + discount ((1 - lam) V' + lam G'), for each step; V' after the last."""
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam={lam}: expected a number from 0 to 1")
    if not len(rewards) == len(discounts) == len(values):
        raise ValueError("rewards, discounts, values: expected one of each for every step")
    returns: list[float] = []
    for k in reversed(range(len(rewards))):
        awaited = returns[-1] if returns else values[k]
        mixed = (1.0 - lam) * values[k] + lam * awaited
        returns.append(rewards[k] + discounts[k] * mixed)
    return returns[::-1]
