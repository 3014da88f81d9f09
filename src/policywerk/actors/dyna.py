# Tangled from book/1991-dyna.md
"""Learning, and planning with what was learned, after Sutton (1991)."""

import heapq
import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from policywerk.actors.q_learner import ActionValues, Episode, Move, State, choices, moves, update
from policywerk.building_blocks.mdp import Environment
from policywerk.building_blocks.policies import epsilon_greedy
from policywerk.primitives.randomness import below


class Memory:
    """A model of the world: what each action did when it was last taken."""

    def __init__(self, rng: random.Random) -> None:
        self.moves: list[Move] = []
        self.places: dict[tuple[State, int], int] = {}  # in that list
        self.rng = rng

    def learn(self, move: Move) -> None:
        """Remember a move, in place of what its action did before."""
        place = self.places.setdefault((move.state, move.action), len(self.moves))
        self.moves[place : place + 1] = [move]  # at the end, if the place is new

    def recall(self) -> Move | None:
        """A move to live through once more, any; None if there is no need to."""
        return self.moves[below(len(self.moves), self.rng)]

    def settle(self, move: Move) -> None:
        """Hear that q was updated by this move; most memories do not mind."""


class Moment(NamedTuple):
    """A move in the world, and the moves of memory that were relived after it."""

    move: Move
    relived: tuple[Move, ...]


def moments(
    env: Environment, q: ActionValues, memory: Memory, *, planning: int,
    alpha: float, gamma: float, epsilon: float, rng: random.Random,
) -> Iterator[Moment]:  # fmt: skip
    """Live an episode; after each move, relive `planning` others. q learns of both."""
    policy = epsilon_greedy(q, epsilon, rng)
    for move in moves(env, policy, gamma=gamma, rng=rng):
        update(q, move, max(q[move.there]), alpha)
        memory.learn(move)
        memory.settle(move)
        relived: list[Move] = []
        while len(relived) < planning and (old := memory.recall()):
            update(q, old, max(q[old.there]), alpha)
            memory.settle(old)
            relived.append(old)
        yield Moment(move, tuple(relived))


def episodes_of(
    env: Environment, q: ActionValues, memory: Memory, episodes: int, planning: int,
    alpha: float, gamma: float, epsilon: float, rng: random.Random,
) -> Iterator[Episode]:  # fmt: skip
    """Live a number of episodes with one memory."""
    if planning < 0:
        raise ValueError(f"planning={planning}: expected 0 or more moves to relive")
    for number in range(1, episodes + 1):
        life = moments(
            env, q, memory, planning=planning,
            alpha=alpha, gamma=gamma, epsilon=epsilon, rng=rng,
        )  # fmt: skip
        rewards = [moment.move.reward for moment in life]
        yield Episode(number, sum(rewards), len(rewards), q.copy())


def dyna_q(
    env: Environment, *, episodes: int, planning: int = 5, alpha: float = 0.1,
    gamma: float = 0.95, epsilon: float = 0.1, rng: random.Random,
) -> Iterator[Episode]:  # fmt: skip
    """Q-learning that relives moves of its memory, chosen at random."""
    q = ActionValues(choices(env, alpha, gamma))
    memory = Memory(random.Random(below(2**31, rng)))
    return episodes_of(
        env, q, memory, episodes, planning, alpha, gamma, epsilon, rng
    )


class UrgentMemory(Memory):
    """Recalls the move that q is most wrong about, if it is by more than theta."""

    def __init__(self, q: ActionValues, rng: random.Random, theta: float) -> None:
        super().__init__(rng)
        self.q, self.theta = q, theta
        self.sources: dict[State, set[int]] = {}  # the moves that lead to a state
        self.queue: list[tuple[float, int]] = []

    def learn(self, move: Move) -> None:
        super().learn(move)
        place = self.places[move.state, move.action]
        self.sources.setdefault(move.there, set()).add(place)

    def error(self, place: int) -> float:
        state, action, reward, discount, there, _ = self.moves[place]
        return abs(reward + discount * max(self.q[there]) - self.q[state][action])

    def settle(self, move: Move) -> None:
        """Queue the moves that lead to where q changed, and this one if need be."""
        here = self.places[move.state, move.action]
        for place in sorted({here, *self.sources.get(move.state, ())}):
            error = self.error(place)
            if error > self.theta:
                heapq.heappush(self.queue, (-error, place))

    def recall(self) -> Move | None:
        while self.queue:
            _, place = heapq.heappop(self.queue)
            if self.error(place) > self.theta:  # else it was seen to in the meantime
                return self.moves[place]
        return None


def prioritised_sweeping(
    env: Environment, *, episodes: int, planning: int = 5, alpha: float = 1.0,
    gamma: float = 0.95, epsilon: float = 0.1, theta: float = 1e-4,
    rng: random.Random,
) -> Iterator[Episode]:  # fmt: skip
    """Q-learning that relives the moves about which it is most wrong."""
    if not theta > 0.0:
        raise ValueError(f"theta={theta}: expected more than 0, a small error")
    q = ActionValues(choices(env, alpha, gamma))
    memory = UrgentMemory(q, random.Random(below(2**31, rng)), theta)
    return episodes_of(
        env, q, memory, episodes, planning, alpha, gamma, epsilon, rng
    )


class CuriousMemory(Memory):
    """Promises more of an action the longer ago it was tried, if ever."""

    def __init__(
        self, actions: int, rng: random.Random, *, kappa: float, gamma: float
    ) -> None:
        super().__init__(rng)
        self.actions, self.kappa, self.gamma = actions, kappa, gamma
        self.clock = 0
        self.tried: list[int] = []  # when, for each of the moves

    def learn(self, move: Move) -> None:
        here = move.state
        if (here, move.action) not in self.places:
            for action in range(self.actions):  # untried: as if it led nowhere
                super().learn(Move(here, action, 0.0, self.gamma, here, action))
                self.tried.append(0)
        super().learn(move)
        self.clock += 1
        self.tried[self.places[here, move.action]] = self.clock

    def recall(self) -> Move:
        place = below(len(self.moves), self.rng)
        state, action, reward, discount, there, then = self.moves[place]
        bonus = self.kappa * math.sqrt(self.clock - self.tried[place])
        return Move(state, action, reward + bonus, discount, there, then)


def dyna_q_plus(
    env: Environment, *, episodes: int, planning: int = 5, alpha: float = 1.0,
    gamma: float = 0.95, epsilon: float = 0.1, kappa: float = 5e-4,
    rng: random.Random,
) -> Iterator[Episode]:  # fmt: skip
    """Dyna-Q that imagines being paid for what it has not tried for long."""
    if not kappa >= 0.0:
        raise ValueError(f"kappa={kappa}: expected 0 or more, a bonus")
    q = ActionValues(choices(env, alpha, gamma))
    own = random.Random(below(2**31, rng))
    memory = CuriousMemory(q.actions, own, kappa=kappa, gamma=gamma)
    return episodes_of(
        env, q, memory, episodes, planning, alpha, gamma, epsilon, rng
    )
