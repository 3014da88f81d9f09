# Tangled from book/2023-dreamer.md
"""Learning to act in dreams: the actor's slopes run back through the model."""

import random
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

from policywerk.actors.world_model import Moved, WorldModel
from policywerk.building_blocks.network import Network, Rows
from policywerk.building_blocks.returns import lambda_return, lambda_return_back
from policywerk.primitives.activations import sigmoid, tanh


class Dreamed(NamedTuple):
    """One step of several dreams: what the actor did, and where it led."""

    actor_memory: Any
    outputs: Rows  # of the actor
    centres: Rows  # the same, squeezed between -1 and 1
    pushes: Rows  # with noise; the action is what is within -1 and 1 of them
    spread: float  # of the noise
    moved: Moved


def dream(
    model: WorldModel,
    actor: Network,
    states: Rows,
    rng: random.Random,
    *,
    horizon: int,
    spread: float,
) -> list[Dreamed]:
    """From each state, so many steps of acting in the model, eyes closed."""
    dreamed: list[Dreamed] = []
    for _ in range(horizon):
        outputs, actor_memory = actor.forward(states)
        centres = list(map(tanh, outputs))
        pushes = [[c + rng.gauss(0.0, spread) for c in row] for row in centres]
        before = [
            [*state, *(min(max(push, -1.0), 1.0) for push in row)]
            for state, row in zip(states, pushes, strict=True)
        ]
        moved = model.step(before, None, rng)
        dreamed.append(Dreamed(actor_memory, outputs, centres, pushes, spread, moved))
        states = moved.states
    return dreamed


class Worth(NamedTuple):
    """What dreams pay: an entry for each step, one step's dreams side by side."""

    returns: list[float]
    values: list[float]  # of the states acted in, and then of the last ones
    alive: list[float]  # the chance that the dream goes on so far
    to_rewards: list[float]  # slopes of minus the mean return
    to_ends: list[float]
    to_values: list[float]
    reward_memory: Any
    critic_memory: Any


def worth(
    model: WorldModel,
    critic: Network | None,
    starts: Rows,
    dreamed: Sequence[Dreamed],
    *,
    gamma: float,
    lam: float,
) -> Worth:
    """The lambda-returns of dreams; without a critic, what they pay in all."""
    many = len(starts)
    reached = [state for step in dreamed for state in step.moved.states]
    rewards, reward_memory = model.reward.forward(reached)
    ends, _ = model.goes_on.forward(reached)
    chances = sigmoid([end for (end,) in ends])
    values, critic_memory = [0.0] * (many + len(reached)), None
    if critic is None:
        lam = 1.0  # there is nothing else to trust
    else:
        said, critic_memory = critic.forward([*starts, *reached])
        values = [value for (value,) in said]
    blank = [0.0] * len(reached)
    found = Worth(
        blank[:], values, blank[:], blank[:], blank[:], blank[:],
        reward_memory, critic_memory,
    )  # fmt: skip
    for k in range(many):
        own = slice(k, None, many)
        paid = [reward for (reward,) in rewards[own]]
        discounts = [gamma * chance for chance in chances[own]]
        guesses = values[many:][own]
        returns = lambda_return(paid, discounts, guesses, lam)
        alive = list(accumulate([1.0, *chances[own][:-1]], mul))
        slopes = [-share / len(reached) for share in alive]
        back = lambda_return_back(slopes, discounts, guesses, returns, lam)
        found.returns[own], found.alive[own] = returns, alive
        found.to_rewards[own], found.to_values[own] = back.rewards, back.values
        found.to_ends[own] = [
            gamma * slope * c * (1.0 - c)
            for slope, c in zip(back.discounts, chances[own], strict=True)
        ]
    return found
