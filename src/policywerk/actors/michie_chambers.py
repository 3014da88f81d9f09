# Tangled from book/1983-barto-sutton-anderson.md
"""BOXES, after Michie and Chambers: a demon in each box counts what went well."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from policywerk.building_blocks.boxes import Boxes
from policywerk.building_blocks.mdp import Environment
from policywerk.primitives.randomness import below


def nothing() -> list[float]:
    return [0.0, 0.0]


@dataclass
class Demon:
    """A box's push, and for each push the steps lived after it, and its uses."""

    push: int
    life: list[float] = field(default_factory=nothing)
    usage: list[float] = field(default_factory=nothing)

    def book(self, lived: list[int], decay: float) -> None:
        """Enter how long the pole stood after each visit of a trial."""
        self.life = [decay * steps for steps in self.life]
        self.usage = [decay * uses for uses in self.usage]
        self.life[self.push] += sum(lived)
        self.usage[self.push] += len(lived)

    def choose(self, merit: float, weight: float, rng: random.Random) -> None:
        """Take the side that lives longer; one unknown is expected to have merit."""
        left, right = (
            (life + weight * merit) / (usage + weight)
            for life, usage in zip(self.life, self.usage, strict=True)
        )
        self.push = int(right > left) if right != left else below(2, rng)


class Attempt(NamedTuple):
    """How many steps a trial took, and which way each box pushes after it."""

    number: int
    length: int
    pushes: tuple[int, ...]


def boxes_1968(
    env: Environment,
    *,
    episodes: int,
    rng: random.Random,
    boxes: Boxes,
    decay: float = 0.99,
    weight: float = 20.0,
) -> Iterator[Attempt]:
    """Learn from lifetimes to push left or right."""
    if not 0.0 < decay <= 1.0:
        raise ValueError(f"decay={decay}: expected a factor above 0, at most 1")
    if not weight > 0.0:
        raise ValueError(f"weight={weight}: expected a number of visits above 0")
    demons = [Demon(below(2, rng)) for _ in range(boxes.count)]
    life = usage = 0.0
    for number in range(1, episodes + 1):
        visits: dict[int, list[int]] = {}
        observation, _ = env.reset()
        length, fell, late = 0, False, False
        while not (fell or late):
            box = boxes(observation)
            visits.setdefault(box, []).append(length)
            observation, _, fell, late, _ = env.step(demons[box].push)
            length += 1
        if fell:  # a trial that time cut short says nothing about how long one lives
            life, usage = decay * life + length, decay * usage + 1.0
            for box, times in visits.items():
                demons[box].book([length - time for time in times], decay)
                demons[box].choose(life / usage, weight, rng)
        yield Attempt(number, length, tuple(demon.push for demon in demons))
