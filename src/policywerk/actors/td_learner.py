# Tangled from book/1988-sutton.md
"""Learning to predict: temporal differences (Sutton, 1988), Monte Carlo."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from policywerk.building_blocks.mdp import Environment
from policywerk.building_blocks.returns import lambda_return
from policywerk.building_blocks.traces import Traces
from policywerk.primitives.randomness import below

State = Any  # hashable; the world says what a state is
Policy = Callable[[State], Any]


class Move(NamedTuple):
    """One step: its reward, and the discount of all that follows."""

    state: State
    reward: float
    discount: float  # 0 where the walk came to its end
    there: State


def only_action(state: State) -> int:
    """The policy for a world in which there is nothing to choose."""
    return 0


def walk(
    env: Environment, policy: Policy, gamma: float, rng: random.Random
) -> Iterator[Move]:
    """The moves of one episode, each of them when it happens."""
    state, _ = env.reset(seed=below(2**31, rng))
    over = False
    while not over:
        there, reward, terminated, truncated, _ = env.step(policy(state))
        yield Move(state, reward, 0.0 if terminated else gamma, there)
        state, over = there, terminated or truncated


NOTHING: Mapping[State, float] = MappingProxyType({})


class Guesses(dict[State, float]):
    """What states are believed to be worth; one not met yet, `initial`."""

    def __init__(self, initial: float, values: Mapping[State, float] = NOTHING):
        super().__init__(values)
        self.initial = initial

    def __missing__(self, state: State) -> float:
        return self.initial


class Prediction(NamedTuple):
    """What is believed after so many walks."""

    number: int
    values: Guesses


def check_rates(**rates: float) -> None:
    for name, value in rates.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name}={value}: expected 0 to 1")


def monte_carlo(
    env: Environment,
    *,
    episodes: int,
    alpha: float = 0.1,
    gamma: float = 1.0,
    rng: random.Random,
    policy: Policy = only_action,
    initial: float = 0.5,
) -> Iterator[Prediction]:
    """After each walk, move states towards what followed their first visit."""
    check_rates(alpha=alpha, gamma=gamma)
    values = Guesses(initial)
    for number in range(1, episodes + 1):
        moves = list(walk(env, policy, gamma, rng))
        total = values[moves[-1].there]  # counts if the walk was cut short
        returns: dict[State, float] = {}
        for state, reward, discount, _ in reversed(moves):
            total = reward + discount * total
            returns[state] = total  # the first visit comes last
        for state, outcome in returns.items():
            values[state] += alpha * (outcome - values[state])
        yield Prediction(number, Guesses(initial, values))


def td0(
    env: Environment,
    *,
    episodes: int,
    alpha: float = 0.1,
    gamma: float = 1.0,
    rng: random.Random,
    policy: Policy = only_action,
    initial: float = 0.5,
) -> Iterator[Prediction]:
    """With each step, move a value towards what the next state says."""
    check_rates(alpha=alpha, gamma=gamma)
    values = Guesses(initial)
    for number in range(1, episodes + 1):
        for state, reward, discount, there in walk(env, policy, gamma, rng):
            delta = reward + discount * values[there] - values[state]
            values[state] += alpha * delta
        yield Prediction(number, Guesses(initial, values))


def td_lambda(
    env: Environment,
    *,
    episodes: int,
    lam: float = 0.8,
    replacing: bool = False,
    alpha: float = 0.1,
    gamma: float = 1.0,
    rng: random.Random,
    policy: Policy = only_action,
    initial: float = 0.5,
) -> Iterator[Prediction]:
    """Each error goes to all states behind, by what is left of their visit."""
    check_rates(alpha=alpha, gamma=gamma, lam=lam)
    values = Guesses(initial)
    for number in range(1, episodes + 1):
        traces: Traces[State] = Traces(gamma * lam, replacing=replacing)
        for state, reward, discount, there in walk(env, policy, gamma, rng):
            traces.visit(state)
            delta = reward + discount * values[there] - values[state]
            traces.credit(values, alpha * delta)
        yield Prediction(number, Guesses(initial, values))


def asked(
    moves: Sequence[Move], values: Guesses, *, lam: float
) -> dict[State, float]:
    """For each state, its lambda-returns less its value, added up."""
    returns = lambda_return(
        [move.reward for move in moves],
        [move.discount for move in moves],
        [values[move.there] for move in moves],
        lam,
    )
    total: dict[State, float] = {}
    for move, target in zip(moves, returns, strict=True):
        error = target - values[move.state]
        total[move.state] = total.get(move.state, 0.0) + error
    return total


def batch_td(
    walks: Sequence[Sequence[Move]],
    *,
    lam: float = 0.0,
    alpha: float = 0.01,
    theta: float = 1e-6,
    initial: float = 0.5,
) -> Iterator[Prediction]:
    """Present the same walks again and again, until nothing moves by theta."""
    check_rates(alpha=alpha, lam=lam)
    if not theta > 0.0:
        raise ValueError(f"theta={theta}: expected more than 0, or no end")
    values = Guesses(initial)
    number, change = 0, theta
    while change >= theta:
        total: dict[State, float] = {}
        for moves in walks:
            for state, much in asked(moves, values, lam=lam).items():
                total[state] = total.get(state, 0.0) + much
        for state, much in total.items():
            values[state] += alpha * much
        number += 1
        change = alpha * max(map(abs, total.values()), default=0.0)
        if change > 1e6:
            raise ValueError(f"alpha={alpha}: the values grow; take less")
        yield Prediction(number, Guesses(initial, values))
