# Tangled from book/2023-dreamer.md
"""A learner that practises in its own dreams, after Hafner and others (2023)."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from policywerk.actors.dream_learning import Improve, dream_lesson, pathwise
from policywerk.actors.model_learning import RECIPE, Losses, Weights, model_lesson
from policywerk.actors.world_model import SHADOWS, Moment, Sight, WorldModel
from policywerk.building_blocks.network import Network
from policywerk.building_blocks.optimisers import Adam, clipped
from policywerk.primitives.activations import identity, tanh
from policywerk.primitives.randomness import below

Action = list[float]


class Agent:
    """Looks, remembers, and acts; with rng, its actions and beliefs are drawn."""

    def __init__(
        self, model: WorldModel, actor: Network, *,
        spread: float = 0.0, rng: random.Random | None = None,
    ) -> None:  # fmt: skip
        self.model, self.actor = model, actor
        self.spread, self.rng = spread, rng
        self.start()

    def start(self) -> None:
        self.before = self.model.start

    def __call__(self, screen: Sequence[float]) -> Action:
        codes, _ = self.model.encoder.forward([self.model.sight.look(screen)])
        (state,) = self.model.step([self.before], codes, self.rng).states
        action = tanh(self.actor(state))
        if self.rng:
            action = [a + self.rng.gauss(0.0, self.spread) for a in action]
        action = [min(max(a, -1.0), 1.0) for a in action]
        self.before = [*state, *action]
        return action


class Wanderer:
    """Pushes that change slowly: noise that forgets a little at each decision."""

    def __init__(
        self, rng: random.Random, *, keep: float = 0.95, scale: float = 0.7
    ) -> None:
        self.rng, self.keep = rng, keep
        self.kick = scale * math.sqrt(1.0 - keep * keep)
        self.push = [0.0, 0.0]

    def start(self) -> None:
        """A new episode; the push goes on."""

    def __call__(self, screen: Sequence[float]) -> Action:
        self.push = [
            self.keep * p + self.rng.gauss(0.0, self.kick) for p in self.push
        ]
        return [min(max(p, -1.0), 1.0) for p in self.push]


class Diary:
    """A life in a world, moment after moment, to draw memories from."""

    def __init__(
        self, env: Any, look: Callable[[Any], Any], rng: random.Random
    ) -> None:
        self.env, self.look, self.rng = env, look, rng
        self.moments: list[Moment] = []
        self.over = True

    def live(self, decisions: int, policy: Any) -> list[float]:
        """Go on where it stopped; the rewards of all episodes that came to an end."""
        ended, idle = [], (0.0,) * len(self.env.action_space.low)
        for _ in range(decisions):
            if self.over:
                policy.start()
                self.screen, _ = self.env.reset(seed=below(2**31, self.rng))
                self.total, self.over = 0.0, False
                self.moments.append(
                    Moment(self.look(self.screen), idle, 0.0, True, False)
                )
            action = policy(self.screen)
            self.screen, reward, ended_here, late, _ = self.env.step(action)
            seen = self.look(self.screen)
            self.moments.append(Moment(seen, action, reward, False, ended_here))
            self.total, self.over = self.total + reward, ended_here or late
            if self.over:
                ended.append(self.total)
        return ended

    def draw(self, count: int, length: int) -> list[list[Moment]]:
        """Pieces of the diary, from anywhere in it."""
        last = len(self.moments) - length + 1
        begins = [below(last, self.rng) for _ in range(count)]
        return [self.moments[begin : begin + length] for begin in begins]


class Iteration(NamedTuple):
    """A stretch of practice and of life, and the agent after it."""

    number: int
    reward: float  # the mean over the episodes that ended; nan if none did
    losses: Losses  # of the last lesson
    dreamed: float  # the mean return of the last dreams
    agent: Agent


def open_minded(inputs: int, outputs: int, rng: random.Random) -> Network:
    """A network whose answers are all near zero at first."""
    network = Network([inputs, 16, outputs], [tanh, identity], rng)
    for row in network.layers[-1].parameters():
        row[:] = [0.1 * weight for weight in row]
    return network


def dreamer(
    env: Any, *, iterations: int = 80, rng: random.Random,
    wander: int = 1_000, warm_up: int = 100, lessons: int = 12,
    decisions: int = 160, batch: int = 8, length: int = 16, dreams: int = 16,
    rates: tuple[float, float, float] = (0.01, 0.005, 0.005),
    weights: Weights = RECIPE, sight: Sight = SHADOWS,
    deterministic: bool = False, criticised: bool = True,
    improve: Improve = pathwise, penalty: float = 0.01,
) -> Iterator[Iteration]:  # fmt: skip
    """Wander, and then by turns practise in dreams and live a little.
    Rates are of model, actor and critic; they fall to a tenth."""
    counts = {"iterations": iterations, "lessons": lessons, "decisions": decisions,
              "batch": batch, "length": length, "dreams": dreams}  # fmt: skip
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    if wander < length:
        raise ValueError(f"wander={wander}: expected {length} or more, a sequence")
    actions = len(env.action_space.low)
    model = WorldModel(rng, sight=sight, actions=actions, deterministic=deterministic)
    actor = open_minded(model.width, actions, rng)
    critic = open_minded(model.width, 1, rng) if criticised else None
    learning: list[Any] = [model, actor, critic] if critic else [model, actor]
    optimisers = [
        Adam(part.parameters(), rate)
        for part, rate in zip(learning, rates, strict=False)
    ]
    explorer = Agent(model, actor, spread=0.3, rng=rng)
    diary = Diary(env, sight.look, rng)
    diary.live(wander, Wanderer(rng))
    for _ in range(warm_up):
        lesson = model_lesson(model, diary.draw(batch, length), rng, weights)
        optimisers[0].step(clipped(lesson.gradients, 10.0))
    for number in range(iterations):
        fade = 1.0 - 0.9 * number / max(1, iterations - 1)
        for optimiser, rate in zip(optimisers, rates, strict=False):
            optimiser.rate = fade * rate
        for _ in range(lessons):
            lesson = model_lesson(model, diary.draw(batch, length), rng, weights)
            optimisers[0].step(clipped(lesson.gradients, 10.0))
            starts = [lesson.states[below(len(lesson.states), rng)] for _ in range(dreams)]
            practice = dream_lesson(
                model, actor, critic, starts, rng, improve=improve, penalty=penalty
            )
            practised = (practice.actor, practice.critic)
            for optimiser, gradients in zip(optimisers[1:], practised, strict=False):
                optimiser.step(clipped(gradients, 10.0))
        ended = diary.live(decisions, explorer)
        mean = sum(ended) / len(ended) if ended else math.nan
        agent = Agent(*deepcopy((model, actor)))
        yield Iteration(
            number + 1, mean, lesson.losses, practice.mean_return, agent
        )
