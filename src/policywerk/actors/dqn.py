# Tangled from book/2013-dqn.md
"""Deep Q-learning, after Mnih and others (2013)."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import count
from typing import Any, NamedTuple

from policywerk.building_blocks.losses import Loss, huber
from policywerk.building_blocks.network import Chain, Network
from policywerk.building_blocks.optimisers import Adam, Optimiser
from policywerk.primitives.activations import identity, relu
from policywerk.primitives.randomness import argmax, below

Pixels = tuple[float, ...]


class Transition(NamedTuple):
    """One step of the past. A discount of 0 says that nothing came after it."""

    observation: Pixels
    action: int
    reward: float
    discount: float
    after: Pixels


class Target:
    """A copy of a network, renewed now and then, which keeps what it has said."""

    def __init__(self, network: Chain) -> None:
        self.copy = deepcopy(network)
        self.said: dict[Pixels, list[float]] = {}

    def renew(self, network: Chain) -> None:
        self.copy.load(network.state())
        self.said.clear()

    def values(self, screens: Sequence[Pixels]) -> list[list[float]]:
        values = [self.said.get(screen, []) for screen in screens]
        new = [i for i, said in enumerate(values) if not said]
        outputs, _ = self.copy.forward([screens[i] for i in new])
        for i, output in zip(new, outputs, strict=True):
            values[i] = self.said[screens[i]] = output
        return values


LossFunction = Callable[[Sequence[float], Sequence[float]], Loss]


def lesson(
    online: Chain,
    target: Target,
    optimiser: Optimiser,
    batch: Sequence[Transition],
    loss: LossFunction = huber,
) -> float:
    """Move the network towards the goals of a batch; the mean loss before."""
    ahead = target.values([transition.after for transition in batch])
    seen = [transition.observation for transition in batch]
    values, memory = online.forward(seen)
    chosen = [q[t.action] for t, q in zip(batch, values, strict=True)]
    goals = [
        t.reward + t.discount * max(q) for t, q in zip(batch, ahead, strict=True)
    ]
    total, errors = loss(chosen, goals)
    slopes = [[0.0] * len(q) for q in values]
    for row, transition, error in zip(slopes, batch, errors, strict=True):
        row[transition.action] = error / len(batch)
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss is {total}; a smaller rate may help")
    gradients, _ = online.backward(memory, slopes, inputs=False)
    optimiser.step(gradients)
    return total / len(batch)


class Memory:
    """The last `size` transitions, to draw from."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.transitions: list[Transition] = []
        self.added = 0

    def add(self, transition: Transition) -> None:
        if len(self.transitions) < self.size:
            self.transitions.append(transition)
        else:
            self.transitions[self.added % self.size] = transition
        self.added += 1

    def sample(self, count: int, rng: random.Random) -> list[Transition]:
        """Some of them, drawn anew each time, so that one may come twice."""
        kept = self.transitions
        return [kept[below(len(kept), rng)] for _ in range(count)]


def between(first: float, last: float, share: float) -> float:
    """A share of the way from the first to the last; at most all of it."""
    return first + (last - first) * min(share, 1.0)


class Episode(NamedTuple):
    """What an episode brought, and the network as it was at its end."""

    number: int
    reward: float
    length: int
    epsilon: float
    loss: float  # the mean over the episode's lessons; nan if there was none
    network: Chain


def dqn(
    env: Any,
    *,
    steps: int = 20_000,
    rng: random.Random,
    network: Chain | None = None,
    gamma: float = 0.95,
    epsilon: tuple[float, float] = (1.0, 0.1),
    exploring: int = 8_000,
    rate: tuple[float, float] = (0.002, 0.002),
    batch: int = 16,
    every: int = 3,
    replay: int = 3_000,
    warm_up: int = 100,
    sync: int = 200,
    loss: LossFunction = huber,
) -> Iterator[Episode]:
    """Learn for so many steps of the world; the last episode is played out.
    epsilon falls over `exploring` steps, the rate over all of them."""
    for name, value in (("batch", batch), ("every", every), ("replay", replay)):
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    if steps < 1 or sync < 1 or exploring < 1:
        given = f"steps={steps}, sync={sync}, exploring={exploring}"
        raise ValueError(f"{given}: expected 1 or more")
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma={gamma}: expected a discount from 0 to 1")
    if not all(0.0 <= chance <= 1.0 for chance in epsilon):
        raise ValueError(f"epsilon={epsilon}: expected two chances from 0 to 1")
    observation, _ = env.reset(seed=below(2**31, rng))
    actions = env.action_space.n
    sizes = [len(observation), 32, actions]
    online = deepcopy(network) if network else Network(sizes, [relu, identity], rng)
    target = Target(online)
    optimiser = Adam(online.parameters(), rate=rate[0])
    memory = Memory(replay)
    step = 0
    for number in count(1):
        total, length, losses, over = 0.0, 0, [], False
        while not over:
            chance = between(*epsilon, step / exploring)
            explores = rng.random() < chance
            action = below(actions, rng) if explores else argmax(online(observation), rng)
            after, reward, terminated, truncated, _ = env.step(action)
            discount = 0.0 if terminated else gamma
            seen, later = tuple(observation), tuple(after)  # which a dictionary can keep
            memory.add(Transition(seen, action, reward, discount, later))
            observation, over = after, terminated or truncated
            total, length, step = total + reward, length + 1, step + 1
            if step > warm_up and step % every == 0:
                optimiser.rate = between(*rate, step / steps)
                drawn = memory.sample(batch, rng)
                losses.append(lesson(online, target, optimiser, drawn, loss))
            if step % sync == 0:
                target.renew(online)
        observation, _ = env.reset()
        mean_loss = sum(losses) / len(losses) if losses else math.nan
        yield Episode(number, total, length, chance, mean_loss, deepcopy(online))
        if step >= steps:
            return
