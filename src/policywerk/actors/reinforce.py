# Tangled from book/2017-ppo.md
"""Policy gradients, after Williams (1992): more of what turned out well."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from policywerk.actors.experience import Moment, Player, handfuls, judged, normalised
from policywerk.building_blocks.actor import Actor, actor_for, two_layers
from policywerk.building_blocks.distributions import Distribution
from policywerk.building_blocks.network import Chain
from policywerk.building_blocks.optimisers import Adam, Optimiser

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


def record(
    number: int,
    player: Player,
    moments: Sequence[Moment],
    actor: Actor,
    critic: Chain,
    epochs: int = 1,
) -> Iteration:
    totals, count = player.totals, len(moments)
    reward = math.fsum(totals) / len(totals) if totals else math.nan
    entropy = math.fsum(moment.policy.entropy() for moment in moments) / count
    stds = [std for moment in moments for std in getattr(moment.policy, "stds", ())]
    std = math.fsum(stds) / len(stds) if stds else math.nan
    kl = moved(actor, moments)
    if not math.isfinite(kl):
        raise FloatingPointError(f"divergence is {kl}; a smaller rate may help")
    networks = deepcopy((actor, critic))
    return Iteration(number, reward, std, entropy, kl, *networks, epochs)


def moved(actor: Actor, moments: Sequence[Moment]) -> float:
    """The mean divergence of the policy from the one that played."""
    rows, _ = actor.chain.forward([moment.observation for moment in moments])
    pairs = zip(moments, rows, strict=True)
    apart = [moment.policy.divergence(actor.kind(row)) for moment, row in pairs]
    return math.fsum(apart) / len(apart)


def check(gamma: float, lam: float, **counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"gamma={gamma}: expected a discount from 0 to below 1")
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam={lam}: expected 0 to 1")


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
    check(gamma, lam, iterations=iterations, steps=steps, minibatch=minibatch)
    actor = actor_for(env, hidden, std, rng)
    critic = Chain(two_layers(env, hidden, 1, rng))
    actor_steps = Adam(actor.chain.parameters(), rate)
    critic_steps = Adam(critic.parameters(), critic_rate)
    player = Player(env, rng)
    for number in range(1, iterations + 1):
        played = player.play(actor, steps, whole=True)
        judge = critic if baseline else None
        moments = [m for part in played for m in judged(part, judge, gamma, lam)]
        if normalise:
            moments = normalised(moments)
        climb(actor, actor_steps, moments, by_score)
        if baseline:
            for _ in range(lessons):
                for some in handfuls(moments, minibatch, rng):
                    teach(critic, critic_steps, some)
        yield record(number, player, moments, actor, critic)
