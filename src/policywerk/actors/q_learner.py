# Tangled from book/1989-watkins.md
"""Learning what to do, after Watkins (1989): Q-learning and its relatives."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from policywerk.building_blocks.mdp import Environment
from policywerk.building_blocks.policies import Chooser, epsilon_greedy
from policywerk.primitives.randomness import argmax, below

State = Any  # hashable; the world says what a state is


class ActionValues(dict[State, list[float]]):
    """q[state][action]; in a state not met before, every action is worth `initial`."""

    def __init__(self, actions: int, initial: float = 0.0) -> None:
        super().__init__()
        self.actions, self.initial = actions, initial

    def __missing__(self, state: State) -> list[float]:
        self[state] = [self.initial] * self.actions
        return self[state]

    def copy(self) -> "ActionValues":
        """A table of the same values that goes its own way."""
        twin = ActionValues(self.actions, self.initial)
        twin.update((state, values.copy()) for state, values in self.items())
        return twin


class Move(NamedTuple):
    """One step of a life, and what was chosen to come next."""

    state: State
    action: int
    reward: float
    discount: float  # gamma, or 0 where the episode came to its end
    there: State
    then: int


def moves(
    env: Environment, policy: Chooser, *, gamma: float, rng: random.Random
) -> Iterator[Move]:
    """The moves of one episode, each of them when the next action is chosen."""
    state, _ = env.reset(seed=below(2**31, rng))
    action, over = policy(state), False
    while not over:
        there, reward, terminated, truncated, _ = env.step(action)
        then, discount = policy(there), 0.0 if terminated else gamma
        yield Move(state, action, reward, discount, there, then)
        state, action, over = there, then, terminated or truncated


def update(q: ActionValues, move: Move, future: float, alpha: float) -> None:
    """Move what was expected a step of alpha towards what the move brought."""
    state, action, reward, discount, _, _ = move
    target = reward + discount * future
    q[state][action] += alpha * (target - q[state][action])


class Episode(NamedTuple):
    """What an episode paid, how many moves it took, and the table after it."""

    number: int
    reward: float
    length: int
    q: ActionValues


def q_learning(
    env: Environment,
    *,
    episodes: int,
    alpha: float = 0.5,
    gamma: float = 1.0,
    epsilon: float | Callable[[int], float] = 0.1,
    rng: random.Random,
    initial: float = 0.0,
) -> Iterator[Episode]:
    """Learn from the best that could follow a move."""
    q = ActionValues(choices(env, alpha, gamma), initial)
    for number in range(1, episodes + 1):
        rewards = []
        policy = epsilon_greedy(q, chance(epsilon, number), rng)
        for move in moves(env, policy, gamma=gamma, rng=rng):
            future = max(q[move.there])
            update(q, move, future, alpha)
            rewards.append(move.reward)
        yield Episode(number, sum(rewards), len(rewards), q.copy())


def choices(env: Environment, alpha: float, gamma: float) -> int:
    """The number of actions, if there is such a number and the rates are sound."""
    n: int | None = getattr(env.action_space, "n", None)
    if n is None:
        raise ValueError("env: expected actions that are numbered, as in Discrete(4)")
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"alpha={alpha}: expected more than 0, and at most 1")
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma={gamma}: expected a discount from 0 to 1")
    return n


def chance(epsilon: float | Callable[[int], float], number: int) -> float:
    """Epsilon in the given episode; it may be a constant or a plan."""
    return epsilon(number) if callable(epsilon) else epsilon


def sarsa(
    env: Environment,
    *,
    episodes: int,
    alpha: float = 0.5,
    gamma: float = 1.0,
    epsilon: float | Callable[[int], float] = 0.1,
    rng: random.Random,
    initial: float = 0.0,
) -> Iterator[Episode]:
    """Learn from what does follow a move."""
    q = ActionValues(choices(env, alpha, gamma), initial)
    for number in range(1, episodes + 1):
        rewards = []
        policy = epsilon_greedy(q, chance(epsilon, number), rng)
        for move in moves(env, policy, gamma=gamma, rng=rng):
            future = q[move.there][move.then]
            update(q, move, future, alpha)
            rewards.append(move.reward)
        yield Episode(number, sum(rewards), len(rewards), q.copy())


def expected(values: Sequence[float], epsilon: float) -> float:
    """What an epsilon-greedy choice among these values is worth on average."""
    return (1.0 - epsilon) * max(values) + epsilon * sum(values) / len(values)


def expected_sarsa(
    env: Environment,
    *,
    episodes: int,
    alpha: float = 0.5,
    gamma: float = 1.0,
    epsilon: float | Callable[[int], float] = 0.1,
    rng: random.Random,
    initial: float = 0.0,
) -> Iterator[Episode]:
    """Learn from the average of what may follow a move."""
    q = ActionValues(choices(env, alpha, gamma), initial)
    for number in range(1, episodes + 1):
        rewards = []
        policy = epsilon_greedy(q, chance(epsilon, number), rng)
        for move in moves(env, policy, gamma=gamma, rng=rng):
            future = expected(q[move.there], chance(epsilon, number))
            update(q, move, future, alpha)
            rewards.append(move.reward)
        yield Episode(number, sum(rewards), len(rewards), q.copy())


def double_q_learning(
    env: Environment,
    *,
    episodes: int,
    alpha: float = 0.5,
    gamma: float = 1.0,
    epsilon: float | Callable[[int], float] = 0.1,
    rng: random.Random,
    initial: float = 0.0,
) -> Iterator[Episode]:
    """Two tables: a coin says which names what is best; the other prices it."""
    q, one, two = (ActionValues(choices(env, alpha, gamma), initial) for _ in range(3))
    for number in range(1, episodes + 1):
        rewards = []
        policy = epsilon_greedy(q, chance(epsilon, number), rng)
        for move in moves(env, policy, gamma=gamma, rng=rng):
            asking, answering = (one, two) if rng.random() < 0.5 else (two, one)
            best = argmax(asking[move.there], rng)
            future = answering[move.there][best]
            update(asking, move, future, alpha)
            values = one[move.state][move.action], two[move.state][move.action]
            q[move.state][move.action] = sum(values) / 2
            rewards.append(move.reward)
        yield Episode(number, sum(rewards), len(rewards), q.copy())
