# Tangled from book/2017-ppo.md
"""Proximal policy optimisation, after Schulman and others (2017)."""

import math
import random
from collections.abc import Iterator
from typing import Any

from policywerk.actors.experience import Moment, Player, handfuls, judged, normalised
from policywerk.actors.reinforce import Iteration, Uphill, check, climb, moved, record, teach
from policywerk.building_blocks.actor import actor_for, two_layers
from policywerk.building_blocks.distributions import Distribution
from policywerk.building_blocks.network import Chain
from policywerk.building_blocks.optimisers import Adam
from policywerk.primitives.tape import apply


def surrogate(ratio: float, advantage: float, clip: float) -> float:
    """What the policy is to raise: the gain, as far as the clip."""
    clipped = min(max(ratio, 1.0 - clip), 1.0 + clip)
    return min(ratio * advantage, clipped * advantage)


def surrogate_slope(ratio: float, advantage: float, clip: float) -> float:
    """Its slope towards the log of the ratio: none beyond the clip."""
    if ratio > 1.0 + clip and advantage > 0.0:
        return 0.0
    if ratio < 1.0 - clip and advantage < 0.0:
        return 0.0
    return ratio * advantage


def ratio_of(policy: Distribution, moment: Moment) -> float:
    """How many times likelier the action is now than when it was drawn."""
    now, then = policy, moment.policy
    action = moment.action
    difference = now.log_probability(action) - then.log_probability(action)
    return apply(math.exp, difference)


def clipped(clip: float, bonus: float) -> Uphill:
    def uphill(policy: Distribution, moment: Moment) -> list[float]:
        slope = surrogate_slope(ratio_of(policy, moment), moment.advantage, clip)
        slopes = [slope * each for each in policy.score(moment.action)]
        if not bonus:
            return slopes
        pairs = zip(slopes, policy.entropy_slopes(), strict=True)
        return [slope + bonus * wider for slope, wider in pairs]

    return uphill


def ppo(
    env: Any,
    *,
    iterations: int = 40,
    rng: random.Random,
    steps: int = 500,
    epochs: int = 4,
    minibatch: int = 100,
    gamma: float = 0.99,
    lam: float = 0.95,
    clip: float = 0.2,
    kl_stop: float = math.inf,
    bonus: float = 0.0,
    normalise: bool = True,
    rate: float = 0.003,
    hidden: int = 32,
    std: float = 0.6,
) -> Iterator[Iteration]:
    """Play, and climb several times with care, in each of so many iterations."""
    check(gamma, lam, iterations=iterations, steps=steps, minibatch=minibatch)
    if epochs < 1 or not clip > 0.0 or not kl_stop > 0.0:
        given = f"epochs={epochs}, clip={clip}, kl_stop={kl_stop}"
        raise ValueError(f"{given}: expected 1 or more, and more than 0")
    actor = actor_for(env, hidden, std, rng)
    critic = Chain(two_layers(env, hidden, 1, rng))
    actor_steps = Adam(actor.chain.parameters(), rate)
    critic_steps = Adam(critic.parameters(), rate)
    player = Player(env, rng)
    uphill = clipped(clip, bonus)
    for number in range(1, iterations + 1):
        played = player.play(actor, steps)
        moments = [m for part in played for m in judged(part, critic, gamma, lam)]
        if normalise:
            moments = normalised(moments)
        studied = 0
        while studied < epochs:
            for some in handfuls(moments, minibatch, rng):
                climb(actor, actor_steps, some, uphill)
                teach(critic, critic_steps, some)
            studied += 1
            if kl_stop < math.inf and moved(actor, moments) > kl_stop:
                break
        yield record(number, player, moments, actor, critic, studied)
