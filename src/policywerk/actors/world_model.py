# Tangled from book/2023-dreamer.md
"""A model of a world seen through a screen: what it remembers and expects."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from policywerk.building_blocks.gaussian import Belief, certain, drawn, gaussian
from policywerk.building_blocks.gru import GRU
from policywerk.building_blocks.losses import Loss, cross_entropy
from policywerk.building_blocks.network import Batch, Dense, Network, Rows
from policywerk.primitives.activations import identity, tanh

Numbers = Sequence[float]
SIDE = 16


def shadows(screen: Numbers) -> tuple[float, ...]:
    """Each row's share of the light on the screen, and then each column's."""
    rows = [screen[first : first + SIDE] for first in range(0, SIDE * SIDE, SIDE)]
    light = sum(screen)
    sums = (*map(sum, rows), *map(sum, zip(*rows, strict=True)))
    return tuple(x / light for x in sums)


def shadow_error(output: Numbers, seen: Numbers) -> Loss:
    """The surprise at where the light is: in which row, and in which column."""
    rows = cross_entropy(output[:SIDE], seen[:SIDE])
    columns = cross_entropy(output[SIDE:], seen[SIDE:])
    return Loss(rows.value + columns.value, rows.slopes + columns.slopes)


class Sight(NamedTuple):
    """How a screen is looked at, and how wrong a picture of it is."""

    size: int
    look: Callable[[Numbers], Sequence[float]]
    error: Callable[[Numbers, Numbers], Loss]


SHADOWS = Sight(2 * SIDE, shadows, shadow_error)


class Moved(NamedTuple):
    """A step for each row of a batch: the new states, and how they came about."""

    states: Rows  # remembered numbers, then drawn ones
    beliefs: list[Belief]
    noise: Rows
    gru_memory: Any
    looked: Rows  # what the beliefs were made of


class WorldModel:
    """Seven layers and networks around a state: a memory, and a drawn part."""

    def __init__(
        self, rng: random.Random, *, sight: Sight = SHADOWS, actions: int = 2,
        memory: int = 24, drawn: int = 8, code: int = 24, hidden: int = 24,
        deterministic: bool = False,
    ) -> None:  # fmt: skip
        self.sight, self.memory, self.width = sight, memory, memory + drawn
        self.believe = certain if deterministic else gaussian
        self.noise = 0.0 if deterministic else 1.0
        self.encoder = Dense(sight.size, code, tanh, rng)
        for row in self.encoder.rows:
            row[:] = [3.0 * weight for weight in row]  # shadows are mostly zeros
        self.gru = GRU(memory, drawn + actions, rng)
        self.prior = Dense(memory, 2 * drawn, identity, rng)
        self.posterior = Dense(memory + code, 2 * drawn, identity, rng)
        self.picture = Dense(self.width, sight.size, identity, rng)
        self.reward = Network([self.width, hidden, 1], [tanh, identity], rng)
        self.goes_on = Dense(self.width, 1, identity, rng)
        self.start = [0.0] * (self.width + actions)  # a state and an action

    def parameters(self) -> Rows:
        parts = (
            self.encoder, self.gru, self.prior, self.posterior,
            self.picture, self.reward, self.goes_on,
        )  # fmt: skip
        return [row for part in parts for row in part.parameters()]

    def step(
        self, before: Batch, codes: Batch | None, rng: random.Random | None
    ) -> Moved:
        """From rows of (*state, *action); with codes of what is seen, or dreaming.

        Without rng the means are taken in place of draws.
        """
        remembered, gru_memory = self.gru.forward(before)
        if codes is None:
            looked, belief_of = remembered, self.prior
        else:
            looked = [[*h, *code] for h, code in zip(remembered, codes, strict=True)]
            belief_of = self.posterior
        beliefs = list(map(self.believe, belief_of.forward(looked)[0]))
        spread = self.noise if rng else 0.0
        noise = [
            [rng.gauss(0.0, spread) if rng and spread else 0.0 for _ in belief.means]
            for belief in beliefs
        ]
        drawings = map(drawn, beliefs, noise)
        states = [[*h, *z] for h, z in zip(remembered, drawings, strict=True)]
        return Moved(states, beliefs, noise, gru_memory, looked)


class Moment(NamedTuple):
    """What was seen and paid, and the action before. Zeros at the first moment."""

    seen: Sequence[float]
    action: Sequence[float]
    reward: float
    first: bool
    ended: bool


Sequences = Sequence[Sequence[Moment]]  # of one length


class Observed(NamedTuple):
    """The model's way through several sequences, side by side."""

    moments: list[Moment]  # all first ones, all second ones, ...
    moved: list[Moved]
    code_memory: Any

    def states(self) -> Rows:
        return [state for moved in self.moved for state in moved.states]


def observe(
    model: WorldModel, sequences: Sequences, rng: random.Random | None
) -> Observed:
    """Follow the sequences, at each moment with its screen in view."""
    side_by_side = list(zip(*sequences, strict=True))
    moments = [moment for moments in side_by_side for moment in moments]
    codes, code_memory = model.encoder.forward([moment.seen for moment in moments])
    states = [model.start[: model.width] for _ in sequences]
    moved: list[Moved] = []
    for now in side_by_side:
        before = [
            model.start if moment.first else [*state, *moment.action]
            for state, moment in zip(states, now, strict=True)
        ]
        first = len(moved) * len(sequences)
        moved.append(model.step(before, codes[first : first + len(sequences)], rng))
        states = moved[-1].states
    return Observed(moments, moved, code_memory)
