# Tangled from book/2017-ppo.md
"""Actors: networks whose outputs are the parameters of a distribution over actions."""

import math
import random
from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.distributions import Categorical, Distribution, Gaussian
from policywerk.building_blocks.network import Batch, Chain, Dense, Layer, Rows
from policywerk.primitives.activations import identity, tanh


class Scaled:
    """A layer that is shown each input as a share of the input's reach."""

    def __init__(self, layer: Layer, reach: Sequence[float]) -> None:
        self.layer, self.reach = layer, reach

    def parameters(self) -> Rows:
        return self.layer.parameters()

    def forward(self, batch: Batch) -> tuple[Rows, Any]:
        return self.layer.forward([self.shares(row) for row in batch])

    def backward(
        self, memory: Any, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        gradients, back = self.layer.backward(memory, slopes, inputs=inputs)
        return gradients, [self.shares(row) for row in back]

    def shares(self, row: Sequence[float]) -> list[float]:
        return [x / reach for x, reach in zip(row, self.reach, strict=True)]


def reach_of(space: Any) -> list[float]:
    """Half the way to the bound of each number that is seen; 1 where it has none."""
    bounds = zip(map(float, space.low), map(float, space.high), strict=True)
    halves = [0.5 * max(abs(low), abs(high)) for low, high in bounds]
    return [half if 0.0 < half < 1e30 else 1.0 for half in halves]


def two_layers(env: Any, hidden: int, outputs: int, rng: random.Random) -> list[Layer]:
    """From an observation to outputs that are nearly 0 to begin with."""
    reach = reach_of(env.observation_space)
    first = Dense(len(reach), hidden, tanh, rng)
    last = Dense(hidden, outputs, identity, rng)
    for row in last.rows:
        row[:] = [0.1 * weight for weight in row]
    return [Scaled(first, reach), last]


class Spread:
    """Means in units of each number's bound; behind them the logs of learned stds."""

    def __init__(self, bounds: Sequence[float], std: float) -> None:
        self.bounds = list(bounds)
        self.rows = [[math.log(std * bound) for bound in bounds]]

    def parameters(self) -> Rows:
        return self.rows

    def forward(self, batch: Batch) -> tuple[Rows, None]:
        return [[*self.times(row), *self.rows[0]] for row in batch], None

    def backward(
        self, memory: None, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        count = len(self.bounds)
        to_log_stds = zip(*(row[count:] for row in slopes), strict=True)
        return [list(map(sum, to_log_stds))], [self.times(row) for row in slopes]

    def times(self, row: Sequence[float]) -> list[float]:
        return [x * bound for x, bound in zip(row, self.bounds, strict=False)]


class Actor:
    """A distribution over actions for each observation; when called, its mode."""

    def __init__(self, chain: Chain, kind: type[Distribution]) -> None:
        self.chain, self.kind = chain, kind

    def distribution(self, observation: Sequence[float]) -> Distribution:
        return self.kind(self.chain(list(map(float, observation))))

    def __call__(self, observation: Sequence[float]) -> Any:
        return self.distribution(observation).mode()


def throws_a_die(env: Any, hidden: int, std: float, rng: random.Random) -> Actor:
    layers = two_layers(env, hidden, env.action_space.n, rng)
    return Actor(Chain(layers), Categorical)


def throws_darts(env: Any, hidden: int, std: float, rng: random.Random) -> Actor:
    bounds = list(map(float, env.action_space.high))
    layers = two_layers(env, hidden, len(bounds), rng)
    return Actor(Chain([*layers, Spread(bounds, std)]), Gaussian)


def actor_for(env: Any, hidden: int, std: float, rng: random.Random) -> Actor:
    """The actor that suits a world's actions; `std` is a share of the bound."""
    discrete = hasattr(env.action_space, "n")
    return (throws_a_die if discrete else throws_darts)(env, hidden, std, rng)
