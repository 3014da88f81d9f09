# Tangled from book/2023-dreamer.md
"""How a world model learns from what was lived through."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from policywerk.actors.world_model import Moment, Observed, Sequences, WorldModel, observe
from policywerk.building_blocks.gaussian import disagreement, drawn_back
from policywerk.building_blocks.gru import to_inputs
from policywerk.building_blocks.losses import Loss, squared_error
from policywerk.building_blocks.network import Layer, Rows
from policywerk.primitives.activations import sigmoid, softplus
from policywerk.primitives.matrices import outer_sum


class Taught(NamedTuple):
    """The mean loss, and its slopes towards a layer's parameters and inputs."""

    loss: float
    gradients: Rows
    states: Rows


def taught(
    layer: Layer,
    states: Rows,
    moments: Sequence[Moment],
    error: Callable[[Sequence[float], Moment], Loss],
    weight: float,
) -> Taught:
    """Compare what a layer makes of the states with what happened."""
    outputs, memory = layer.forward(states)
    losses = [error(y, moment) for y, moment in zip(outputs, moments, strict=True)]
    share = weight / len(moments)
    slopes = [[share * slope for slope in loss.slopes] for loss in losses]
    mean = sum(loss.value for loss in losses) / len(losses)
    return Taught(mean, *layer.backward(memory, slopes))


def binary_cross_entropy(output: float, target: float) -> Loss:
    """The surprise of sigmoid(output) at what is so (1) or is not (0)."""
    (chance,), (surprise,) = sigmoid([output]), softplus([output])
    return Loss(surprise - target * output, [chance - target])


def reward_error(output: Sequence[float], moment: Moment) -> Loss:
    """Of the reward; before a first moment nothing was paid."""
    return (
        Loss(0.0, [0.0]) if moment.first else squared_error(output, [moment.reward])
    )


def end_error(output: Sequence[float], moment: Moment) -> Loss:
    """Of the chance that it goes on."""
    return binary_cross_entropy(output[0], 0.0 if moment.ended else 1.0)


class Weights(NamedTuple):
    """What counts how much in the model's loss."""

    picture: float = 1.0
    reward: float = 10.0  # of half the squared error
    prior: float = 0.8  # of the disagreement, as the prior's fault
    posterior: float = 0.2  # and as the posterior's
    free: float = 1.0  # a disagreement up to this costs nothing


RECIPE = Weights()


class Losses(NamedTuple):
    """Means over a lesson, before it."""

    picture: float
    reward: float
    end: float
    disagreement: float


class Lesson(NamedTuple):
    """Losses, slopes in the order of the parameters, and the states visited."""

    losses: Losses
    gradients: Rows
    states: Rows


def model_lesson(
    model: WorldModel,
    sequences: Sequences,
    rng: random.Random | None,
    weights: Weights = RECIPE,
) -> Lesson:
    """One loss for the whole model, and its slopes, back through time."""
    observed = observe(model, sequences, rng)
    states, moments = observed.states(), observed.moments

    def picture_error(output: Sequence[float], moment: Moment) -> Loss:
        return model.sight.error(output, moment.seen)

    heads = [
        taught(model.picture, states, moments, picture_error, weights.picture),
        taught(model.reward, states, moments, reward_error, weights.reward),
        taught(model.goes_on, states, moments, end_error, 1.0),
    ]
    slopes = added(*(head.states for head in heads))
    agreed = agree(model, observed, weights)
    own = back_through_time(model, observed, slopes, agreed)
    picture, reward, end = (head.loss for head in heads)
    losses = Losses(picture, reward, end, agreed.mean)
    if not math.isfinite(sum(losses)):
        raise FloatingPointError(f"the losses are {losses}; smaller rates may help")
    return Lesson(
        losses, own + [row for head in heads for row in head.gradients], states
    )


class Agreed(NamedTuple):
    """The mean disagreement, and where its slopes lead."""

    mean: float
    prior_gradients: Rows
    memories: Rows  # slopes towards what is remembered
    posterior_sums: Rows


def agree(model: WorldModel, observed: Observed, weights: Weights) -> Agreed:
    """Compare what was believed before looking with what was believed after."""
    remembered = [state[: model.memory] for state in observed.states()]
    sums, memory = model.prior.forward(remembered)
    after = [belief for moved in observed.moved for belief in moved.beliefs]
    total, to_prior, to_posterior = 0.0, [], []
    for belief, prior in zip(after, map(model.believe, sums), strict=True):
        value, first, second = disagreement(belief, prior)
        total += value
        counts = (value > weights.free) / len(after)
        to_posterior.append([weights.posterior * counts * slope for slope in first])
        to_prior.append([weights.prior * counts * slope for slope in second])
    gradients, memories = model.prior.backward(memory, to_prior)
    return Agreed(total / len(after), gradients, memories, to_posterior)


def back_through_time(
    model: WorldModel, observed: Observed, slopes: Rows, agreed: Agreed
) -> Rows:
    """The slopes towards encoder, GRU, prior and posterior, in that order."""
    n, width = model.memory, model.width
    together = len(observed.moved[0].states)
    carried = [[0.0] * width for _ in range(together)]
    blames, gru_blames, codes = [], [], []
    for number in reversed(range(len(observed.moved))):
        now = slice(number * together, (number + 1) * together)
        moved, moments = observed.moved[number], observed.moments[now]
        total = added(slopes[now], carried)
        blame = [
            plus(drawn_back(belief, noise, row[n:]), own)
            for belief, noise, row, own in zip(
                moved.beliefs, moved.noise, total, agreed.posterior_sums[now], strict=True
            )
        ]
        looked = to_inputs(blame, model.posterior.rows)
        to_memory = added(
            (row[:n] for row in total), (row[:n] for row in looked), agreed.memories[now]
        )
        gru_blame, before = model.gru.blame(moved.gru_memory, to_memory)
        carried = [
            [0.0] * width if moment.first else row[:width]
            for row, moment in zip(before, moments, strict=True)
        ]
        blames.append(blame)
        gru_blames.append(gru_blame)
        codes.append([row[n:] for row in looked])
    blames, gru_blames, codes = blames[::-1], gru_blames[::-1], codes[::-1]
    joined = chain.from_iterable
    encoder, _ = model.encoder.backward(
        observed.code_memory, list(joined(codes)), inputs=False
    )
    inputs = list(joined(moved.gru_memory[0] for moved in observed.moved))
    gru = outer_sum(inputs, list(joined(gru_blames)))
    looked_at = [(1.0, *row) for moved in observed.moved for row in moved.looked]
    posterior = outer_sum(looked_at, list(joined(blames)))
    return [*encoder, *gru, *agreed.prior_gradients, *posterior]


def plus(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Two rows added up, number by number."""
    return [x + y for x, y in zip(first, second, strict=True)]


def added(
    batch: Iterable[Sequence[float]], *others: Iterable[Sequence[float]]
) -> Rows:
    """Batches added up, row by row."""
    total = [list(row) for row in batch]
    for other in others:
        total = [plus(*rows) for rows in zip(total, other, strict=True)]
    return total
