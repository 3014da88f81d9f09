# Tangled from book/2023-dreamer.md
"""What the actor and the critic learn from dreams."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from policywerk.actors.imagination import Dreamed, Worth, dream, worth
from policywerk.actors.model_learning import added
from policywerk.actors.world_model import WorldModel
from policywerk.building_blocks.gaussian import drawn_back
from policywerk.building_blocks.gru import through, to_inputs
from policywerk.building_blocks.network import Network, Rows


def advice(model: WorldModel, critic: Network | None, found: Worth) -> Rows:
    """The slopes of minus the mean return towards the states that are reached."""
    to_rewards = [[slope] for slope in found.to_rewards]
    to_ends = [[slope] for slope in found.to_ends]
    parts = [
        through(model.reward.layers, found.reward_memory, to_rewards),
        to_inputs(to_ends, model.goes_on.rows),
    ]
    if critic is not None:
        unreached = len(found.values) - len(found.to_values)
        to_values = [[0.0]] * unreached + [[slope] for slope in found.to_values]
        all_states = through(critic.layers, found.critic_memory, to_values)
        parts.append(all_states[unreached:])
    return added(*parts)


def pathwise(
    model: WorldModel,
    actor: Network,
    dreamed: Sequence[Dreamed],
    found: Worth,
    critic: Network | None,
    *,
    penalty: float,
) -> Rows:
    """The actor's slopes, back through the dreams in which it acted."""
    n, width, many = model.memory, model.width, len(dreamed[0].pushes)
    advised = advice(model, critic, found)
    carried = [[0.0] * width for _ in range(many)]
    backwards: list[Rows] = []
    for number in reversed(range(len(dreamed))):
        step, now = dreamed[number], slice(number * many, (number + 1) * many)
        total = added(advised[now], carried)
        moved = step.moved
        blame = [
            drawn_back(belief, noise, row[n:])
            for belief, noise, row in zip(moved.beliefs, moved.noise, total, strict=True)
        ]
        to_memory = added((row[:n] for row in total), to_inputs(blame, model.prior.rows))
        _, before = model.gru.blame(moved.gru_memory, to_memory)
        to_centres = [
            [
                slope if -1.0 < push < 1.0 else 0.0
                for slope, push in zip(row[width:], pushes, strict=True)
            ]
            for row, pushes in zip(before, step.pushes, strict=True)
        ]
        slopes = to_outputs(to_centres, step, penalty / len(advised))
        by_actor = through(actor.layers, step.actor_memory, slopes)
        carried = added((row[:width] for row in before), by_actor)
        backwards.append(slopes)
    return [row for slopes in reversed(backwards) for row in slopes]


def to_outputs(to_centres: Rows, step: Dreamed, weight: float) -> Rows:
    """Slopes towards the actor's outputs, whose squares cost a little as well."""
    return [
        [
            slope * (1.0 - centre * centre) + 2.0 * weight * output
            for slope, centre, output in zip(*rows, strict=True)
        ]
        for rows in zip(to_centres, step.centres, step.outputs, strict=True)
    ]


def reinforce(
    model: WorldModel,
    actor: Network,
    dreamed: Sequence[Dreamed],
    found: Worth,
    critic: Network | None,
    *,
    penalty: float,
) -> Rows:
    """The actor's slopes if nobody could look inside the model."""
    count = len(found.returns)
    gains = [g - v for g, v in zip(found.returns, found.values, strict=False)]
    mean = sum(gains) / count
    scale = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / count) + 1e-6
    pairs = zip(found.alive, gains, strict=True)
    blames = iter([-alive * gain / scale / count for alive, gain in pairs])
    slopes = []
    for step in dreamed:
        variance = step.spread * step.spread
        to_centres = [
            [
                blame * (p - c) / variance
                for p, c in zip(pushes, centres, strict=True)
            ]
            for pushes, centres, blame in zip(
                step.pushes, step.centres, blames, strict=False
            )
        ]
        slopes += to_outputs(to_centres, step, penalty / count)
    return slopes


Improve = Callable[..., Rows]  # pathwise, or reinforce


def merged(memories: Sequence[Any]) -> list[Any]:
    """The memories of several runs of a network, as of one run on all batches."""
    return [
        tuple(
            [row for part in parts for row in part]
            for parts in zip(*layer, strict=True)
        )
        for layer in zip(*memories, strict=True)
    ]


def critic_slopes(critic: Network, found: Worth) -> Rows:
    """The slopes of half the squared error of the values acted in."""
    count = len(found.returns)
    slopes = [
        [alive * (value - goal) / count]
        for value, goal, alive in zip(
            found.values, found.returns, found.alive, strict=False
        )
    ]
    ahead = len(found.values) - count  # of the last states no return is known
    slopes += [[0.0]] * ahead
    gradients, _ = critic.backward(found.critic_memory, slopes, inputs=False)
    return gradients


class DreamLesson(NamedTuple):
    """What dreams pay on average, and slopes in the order of the parameters."""

    mean_return: float
    actor: Rows
    critic: Rows


def dream_lesson(
    model: WorldModel,
    actor: Network,
    critic: Network | None,
    starts: Rows,
    rng: random.Random,
    *,
    horizon: int = 10,
    gamma: float = 0.95,
    lam: float = 0.95,
    spread: float = 0.3,
    penalty: float = 0.01,
    improve: Improve = pathwise,
) -> DreamLesson:
    """Dream, and see what the actor and the critic should change."""
    dreamed = dream(model, actor, starts, rng, horizon=horizon, spread=spread)
    found = worth(model, critic, starts, dreamed, gamma=gamma, lam=lam)
    slopes = improve(model, actor, dreamed, found, critic, penalty=penalty)
    memory = merged([step.actor_memory for step in dreamed])
    to_actor, _ = actor.backward(memory, slopes, inputs=False)
    to_critic = critic_slopes(critic, found) if critic is not None else []
    mean = sum(found.returns[: len(starts)]) / len(starts)
    return DreamLesson(mean, to_actor, to_critic)
