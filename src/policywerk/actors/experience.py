# Tangled from book/2017-ppo.md
"""What a policy went through, and what there is to learn from it."""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from policywerk.building_blocks.actor import Actor
from policywerk.building_blocks.distributions import Distribution
from policywerk.building_blocks.network import Chain
from policywerk.building_blocks.returns import lambda_return
from policywerk.primitives.randomness import below


class Segment(NamedTuple):
    """Steps in a row; one observation more than actions, the last where they led."""

    observations: list[list[float]]
    policies: list[Distribution]  # what each action was drawn from
    actions: list[Any]
    rewards: list[float]
    terminated: bool


class Moment(NamedTuple):
    """What there is to learn from one step."""

    observation: list[float]
    policy: Distribution
    action: Any
    advantage: float  # how much better it went than usual
    goal: float  # for the critic


class Player:
    """Plays one episode after another, and hands over some steps at a time."""

    def __init__(self, env: Any, rng: random.Random) -> None:
        self.env, self.rng = env, rng
        self.observation, _ = env.reset(seed=below(2**31, rng))
        self.earned = 0.0  # in this episode
        self.totals: list[float] = []  # of the episodes that ended since `play`

    def play(self, actor: Actor, steps: int, *, whole: bool = False) -> list[Segment]:
        """So many steps; if `whole`, and the rest of the last episode."""
        self.totals, segments, played = [], [], 0
        while played < steps:
            limit = None if whole else steps - played
            segments.append(self.segment(actor, limit))
            played += len(segments[-1].actions)
        return segments

    def segment(self, actor: Actor, limit: int | None) -> Segment:
        seen = list(map(float, self.observation))
        observations, policies, actions, rewards = [seen], [], [], []
        for _ in itertools.count() if limit is None else range(limit):
            policies.append(actor.distribution(seen))
            actions.append(policies[-1].sample(self.rng))
            after, reward, terminated, truncated, _ = self.env.step(actions[-1])
            seen = list(map(float, after))
            observations.append(seen)
            rewards.append(float(reward))
            self.earned += rewards[-1]
            if terminated or truncated:
                self.totals.append(self.earned)
                self.earned, (after, _) = 0.0, self.env.reset()
                break
        self.observation = after
        return Segment(observations, policies, actions, rewards, terminated)


def judged(
    segment: Segment, critic: Chain | None, gamma: float, lam: float
) -> Iterator[Moment]:
    """Each step with its return, and how far that is above what was expected."""
    observations, policies, actions, rewards, terminated = segment
    values = [0.0] * len(observations)
    if critic is not None:
        values = [value for (value,) in critic.forward(observations)[0]]
    discounts = [gamma] * len(rewards)
    if terminated:
        discounts[-1] = 0.0
    small = [(1.0 - gamma) * reward for reward in rewards]
    goals = lambda_return(small, discounts, values[1:], lam)
    for seen, policy, action, goal, value in zip(
        observations, policies, actions, goals, values, strict=False
    ):
        yield Moment(seen, policy, action, goal - value, goal)


def normalised(moments: Sequence[Moment]) -> list[Moment]:
    """The same with advantages of mean 0 and standard deviation 1."""
    advantages = [moment.advantage for moment in moments]
    mean = math.fsum(advantages) / len(advantages)
    std = math.sqrt(math.fsum((a - mean) ** 2 for a in advantages) / len(advantages))
    return [m._replace(advantage=(m.advantage - mean) / (std + 1e-8)) for m in moments]


def handfuls(
    moments: Sequence[Moment], size: int, rng: random.Random
) -> Iterator[list[Moment]]:
    """All moments once, in random order, so many at a time."""
    order = list(moments)
    rng.shuffle(order)
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]
