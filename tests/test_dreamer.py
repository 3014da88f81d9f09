"""Dreamer: the world, every slope against the tape, and what is learned."""

import random

import pytest

from policywerk.actors.dream_learning import dream_lesson
from policywerk.actors.imagination import dream
from policywerk.actors.model_learning import Weights, model_lesson
from policywerk.actors.world_model import Moment, Sight, WorldModel, observe
from policywerk.building_blocks.gaussian import Belief, disagreement
from policywerk.building_blocks.gradient_check import apart, by_tape
from policywerk.building_blocks.losses import (
    binary_cross_entropy,
    cross_entropy,
    squared_error,
)  # fmt: skip
from policywerk.building_blocks.network import Network
from policywerk.primitives.activations import identity, sigmoid, tanh
from policywerk.primitives.tape import lift

CLOSE = 1e-10
SMALL = Sight(4, lambda screen: screen, lambda output, seen: cross_entropy(output, seen))


def numbers(count, rng):
    return [rng.gauss(0.0, 1.0) for _ in range(count)]


def small_model(rng, **settings):
    return WorldModel(rng, sight=SMALL, memory=3, drawn=2, code=3, hidden=3, **settings)


def small_life(rng, length=4):
    """Two sequences, one of which holds the end of an episode and the start of the next."""

    def moment(first, ended):
        shares = [rng.random() for _ in range(4)]
        seen = [share / sum(shares) for share in shares]
        if first:
            return Moment(seen, (0.0, 0.0), 0.0, True, False)
        return Moment(seen, numbers(2, rng), rng.random(), False, ended)

    return [
        [moment(k == 0, False) for k in range(length)],
        [moment(k == 2, k == 1) for k in range(length)],
    ]


def still(belief):
    """A belief as plain numbers: what the tape must not look behind."""
    return Belief(*([lift(x).value for x in row] for row in belief))


def by_definition(model, sequences, weights, seed):
    """The model's loss, spelled out; run on a tape, its slopes are the truth."""
    observed = observe(model, sequences, random.Random(seed))
    states, moments = observed.states(), observed.moments
    beliefs = [belief for moved in observed.moved for belief in moved.beliefs]
    sums, _ = model.prior.forward([state[: model.memory] for state in states])
    pictures, _ = model.picture.forward(states)
    rewards, _ = model.reward.forward(states)
    ends, _ = model.goes_on.forward(states)
    total = 0.0
    for row, moment in enumerate(moments):
        total += weights.picture * cross_entropy(pictures[row], moment.seen).value
        if not moment.first:
            total += weights.reward * squared_error(rewards[row], [moment.reward]).value
        total += binary_cross_entropy(ends[row][0], float(not moment.ended)).value
        prior = model.believe(sums[row])
        for weight, first, second in (
            (weights.prior, still(beliefs[row]), prior),
            (weights.posterior, beliefs[row], still(prior)),
        ):
            value = disagreement(first, second).value
            if lift(value).value > weights.free:
                total += weight * value
    return total / len(moments)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("weights", [Weights(), Weights(free=0.0), Weights(0.0, 10.0, 0.0, 0.0)])
def test_every_slope_of_the_model_is_the_tapes(deterministic, weights):
    rng = random.Random(1)
    model = small_model(rng, deterministic=deterministic)
    for row in model.parameters():
        row[:] = [weight + 0.3 * rng.gauss(0.0, 1.0) for weight in row]
    life = small_life(rng)
    lesson = model_lesson(model, life, random.Random(5), weights)
    truth = by_tape(lambda: by_definition(model, life, weights, 5), model.parameters())
    assert apart(lesson.gradients, truth) < CLOSE
    # part by part too, so that no part hides behind another's large slopes
    rows = 0
    for part in (model.encoder, model.gru, model.prior, model.posterior,
                 model.picture, model.reward, model.goes_on):  # fmt: skip
        own = slice(rows, rows := rows + len(part.parameters()))
        assert apart(lesson.gradients[own], truth[own]) < CLOSE
    assert rows == len(truth)


def by_definition_of_the_dream(model, actor, critic, starts, seed, *, lam=0.95, penalty=0.1):
    """Minus the mean return of dreams, spelled out: the actor's loss."""
    dreamed = dream(model, actor, starts, random.Random(seed), horizon=3, spread=0.6)
    total, alive = 0.0, [1.0] * len(starts)
    rewards, discounts, values = [], [], []
    for step in dreamed:
        rewards.append([r for (r,) in model.reward.forward(step.moved.states)[0]])
        ends = [end for (end,) in model.goes_on.forward(step.moved.states)[0]]
        discounts.append([0.9 * chance for chance in sigmoid(ends)])
        values.append([v for (v,) in critic.forward(step.moved.states)[0]])
        total += penalty * sum(output * output for row in step.outputs for output in row)
    for k in range(len(starts)):
        alive = 1.0
        for step in range(3):
            awaited = values[-1][k]
            for later in reversed(range(step, 3)):
                mixed = (1.0 - lam) * values[later][k] + lam * awaited
                if later == 2:
                    mixed = values[later][k]
                awaited = rewards[later][k] + discounts[later][k] * mixed
            total += -1.0 * alive * awaited
            alive *= lift(discounts[step][k]).value / 0.9
    return total / (3 * len(starts))


def dreamers(rng, **settings):
    model = small_model(rng, **settings)
    actor = Network([model.width, 3, 2], [tanh, identity], rng)
    critic = Network([model.width, 3, 1], [tanh, identity], rng)
    for part in (model, actor, critic):
        for row in part.parameters():
            row[:] = [weight + 0.3 * rng.gauss(0.0, 1.0) for weight in row]
    starts = [numbers(model.width, rng) for _ in range(4)]
    return model, actor, critic, starts


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_actors_slopes_through_the_dream_are_the_tapes(deterministic):
    model, actor, critic, starts = dreamers(random.Random(2), deterministic=deterministic)
    dreamed = dream(model, actor, starts, random.Random(6), horizon=3, spread=0.6)
    pushes = [push for step in dreamed for row in step.pushes for push in row]
    assert any(abs(push) > 1 for push in pushes) and any(abs(push) < 1 for push in pushes)
    settings = {"horizon": 3, "gamma": 0.9, "lam": 0.95, "spread": 0.6, "penalty": 0.1}
    lesson = dream_lesson(model, actor, critic, starts, random.Random(6), **settings)
    truth = by_tape(
        lambda: by_definition_of_the_dream(model, actor, critic, starts, 6), actor.parameters()
    )
    assert apart(lesson.actor, truth) < CLOSE
