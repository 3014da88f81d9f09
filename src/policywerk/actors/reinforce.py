# Tangled from book/2017-ppo.md
"""Policy gradients, after Williams (1992): more of what turned out well."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from policywerk.building_blocks.actor import Actor, actor_for, two_layers
from policywerk.building_blocks.distributions import Distribution
from policywerk.building_blocks.network import Chain
from policywerk.building_blocks.optimisers import Adam, Optimiser
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


class Iteration(NamedTuple):
    """One round of playing and learning, and both networks as they were after it."""

    number: int
    reward: float  # mean of the episodes that ended in it; nan if none did
    std: float  # mean over the round's steps; nan where actions are discrete
    entropy: float  # likewise
    kl: float  # how far the learning took the policy
    actor: Actor
    critic: Chain
    epochs: int  # how often it went through what was played


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


Uphill = Callable[[Distribution, Moment], list[float]]


def climb(
    actor: Actor, optimiser: Optimiser, moments: Sequence[Moment], uphill: Uphill
) -> None:
    """A step of the actor, up the mean of the slopes that the moments give."""
    rows, memory = actor.chain.forward([moment.observation for moment in moments])
    slopes = []
    for row, moment in zip(rows, moments, strict=True):
        up = uphill(actor.kind(row), moment)
        slopes.append([-slope / len(moments) for slope in up])  # optimisers go down
    gradients, _ = actor.chain.backward(memory, slopes, inputs=False)
    optimiser.step(gradients)


def by_score(policy: Distribution, moment: Moment) -> list[float]:
    """REINFORCE: the score of the action, times how well it went."""
    return [moment.advantage * slope for slope in policy.score(moment.action)]


def teach(critic: Chain, optimiser: Optimiser, moments: Sequence[Moment]) -> None:
    """A step of the critic towards the returns that came."""
    rows, memory = critic.forward([moment.observation for moment in moments])
    slopes = [
        [(value - moment.goal) / len(moments)]
        for (value,), moment in zip(rows, moments, strict=True)
    ]
    gradients, _ = critic.backward(memory, slopes, inputs=False)
    optimiser.step(gradients)


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


def record(
    number: int,
    player: Player,
    moments: Sequence[Moment],
    actor: Actor,
    critic: Chain,
    kl: float,
    epochs: int,
) -> Iteration:
    totals, count = player.totals, len(moments)
    reward = math.fsum(totals) / len(totals) if totals else math.nan
    entropy = math.fsum(moment.policy.entropy() for moment in moments) / count
    stds = [std for moment in moments for std in getattr(moment.policy, "stds", ())]
    std = math.fsum(stds) / len(stds) if stds else math.nan
    networks = deepcopy((actor, critic))
    return Iteration(number, reward, std, entropy, kl, *networks, epochs)


def moved(actor: Actor, moments: Sequence[Moment]) -> float:
    """The mean divergence of the policy from the one that played."""
    rows, _ = actor.chain.forward([moment.observation for moment in moments])
    pairs = zip(moments, rows, strict=True)
    apart = [moment.policy.divergence(actor.kind(row)) for moment, row in pairs]
    return math.fsum(apart) / len(apart)


def reinforce(
    env: Any,
    *,
    iterations: int = 40,
    rng: random.Random,
    baseline: bool = False,
    lam: float = 1.0,
    steps: int = 500,
    gamma: float = 0.99,
    rate: float = 0.03,
    critic_rate: float = 0.003,
    lessons: int = 4,
    minibatch: int = 100,
    normalise: bool = False,
    hidden: int = 32,
    std: float = 0.6,
) -> Iterator[Iteration]:
    """Play, and climb once, in each of so many iterations."""
    actor = actor_for(env, hidden, std, rng)
    critic = Chain(two_layers(env, hidden, 1, rng))
    actor_steps = Adam(actor.chain.parameters(), rate)
    critic_steps = Adam(critic.parameters(), critic_rate)
    player = Player(env, rng)
    for number in range(1, iterations + 1):
        played = player.play(actor, steps, whole=True)
        judge = critic if baseline else None
        moments = [m for part in played for m in judged(part, judge, gamma, lam)]
        climb(actor, actor_steps, normalised(moments) if normalise else moments, by_score)
        if baseline:
            for _ in range(lessons):
                for some in handfuls(moments, minibatch, rng):
                    teach(critic, critic_steps, some)
        kl = moved(actor, moments)
        yield record(number, player, moments, actor, critic, kl, 1)
