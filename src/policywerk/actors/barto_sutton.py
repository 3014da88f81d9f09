# Tangled from book/1983-barto-sutton-anderson.md
"""An actor that tries, a critic that foretells: Barto, Sutton, Anderson, 1983."""

import math
import random
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from policywerk.building_blocks.boxes import Boxes
from policywerk.building_blocks.mdp import Environment
from policywerk.building_blocks.traces import Traces

BALANCE_BOXES = Boxes(
    (-0.2, -0.1, 0.0, 0.1, 0.2),  # angle, radians
    (-1.0, -0.5, 0.0, 0.5, 1.0),  # velocity, radians per second
)


@dataclass(frozen=True)
class Constants:
    """What the paper's equations leave open, with its values."""

    alpha: float = 1000.0  # how fast the actor learns
    beta: float = 0.5  # how fast the critic learns
    gamma: float = 0.95  # the discount
    lambda_actor: float = 0.9  # what is left of the actor's traces after a step
    lambda_critic: float = 0.8  # and of the critic's
    sigma: float = 0.01  # the standard deviation of the actor's noise

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            most = math.inf if name in ("alpha", "sigma") else 1.0
            if not 0.0 <= value <= most:
                raise ValueError(f"{name}={value}: expected from 0 to {most:g}")


FAINT = 1e-4  # a trace below this is dropped; a fresh one is 0.1 or 0.2


class Neurons:
    """The actor and the critic, each with a weight for every box."""

    def __init__(
        self, boxes: Iterable[Hashable], rng: random.Random, constants: Constants
    ) -> None:
        self.rng, self.constants = rng, constants
        self.actor = dict.fromkeys(boxes, 0.0)
        self.critic = dict(self.actor)
        self.actor_traces = Traces[Hashable](constants.lambda_actor, faintest=FAINT)
        self.critic_traces = Traces[Hashable](constants.lambda_critic, faintest=FAINT)

    def push(self, box: Hashable) -> int:
        """Which way to push: 0 for left, 1 for right."""
        constants = self.constants
        right = self.actor[box] + self.rng.gauss(0.0, constants.sigma) >= 0.0
        y = 1.0 if right else -1.0
        self.actor_traces.visit(box, (1.0 - constants.lambda_actor) * y)
        self.critic_traces.visit(box, 1.0 - constants.lambda_critic)
        self.forecast = self.critic[box]
        return int(right)

    def learn(self, there: Hashable, fell: bool) -> float:
        """How much better things are than was forecast; both neurons learn."""
        constants = self.constants
        r, ahead = (-1.0, 0.0) if fell else (0.0, self.critic[there])
        delta = r + constants.gamma * ahead - self.forecast
        self.actor_traces.credit(self.actor, constants.alpha * delta)
        self.critic_traces.credit(self.critic, constants.beta * delta)
        return delta

    def forget_traces(self) -> None:
        """A trial begins."""
        self.actor_traces.clear()
        self.critic_traces.clear()


class Trial(NamedTuple):
    """How many steps a trial took, and both neurons' weights by box after it."""

    number: int
    length: int
    actor: dict[Hashable, float]
    critic: dict[Hashable, float]


def ace_ase(
    env: Environment,
    *,
    episodes: int,
    rng: random.Random,
    boxes: Boxes = BALANCE_BOXES,
    **constants: float,
) -> Iterator[Trial]:
    """Learn from falls to push left or right; see Constants for `constants`."""
    neurons = Neurons(range(boxes.count), rng, Constants(**constants))
    for number in range(1, episodes + 1):
        neurons.forget_traces()
        observation, _ = env.reset()
        box, length, over = boxes(observation), 0, False
        while not over:
            observation, _, fell, late, _ = env.step(neurons.push(box))
            box = boxes(observation)
            neurons.learn(box, fell)
            length, over = length + 1, fell or late
        yield Trial(number, length, dict(neurons.actor), dict(neurons.critic))


CARTPOLE_BOXES = Boxes(
    (-0.8, 0.8),  # place, metres
    (-0.5, 0.5),  # speed, metres per second
    tuple(math.radians(degrees) for degrees in (-6, -1, 0, 1, 6)),  # angle
    (math.radians(-50), math.radians(50)),  # spin, radians per second
)
