# Tangled from book/1988-sutton.md
"""A walk along a row of places, left or right by chance, until it ends."""

import random
from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.mdp import Discrete, Outcome, Step, draw_outcome

ROW = ("left end", "A", "B", "C", "D", "E", "right end")


class RandomWalk:
    """From C to either end. Leaving at the right pays 1; nothing is chosen."""

    def __init__(self) -> None:
        self.states, self.start = ROW, "C"
        self.action_space = Discrete(1)
        self.observation_space = Discrete(len(ROW))  # seen by name
        self.state = self.start
        self.rng: random.Random | None = None
        self.ways: dict[str, list[Outcome]] = {}
        for west, place, east in zip(ROW, ROW[1:], ROW[2:], strict=False):
            left = Outcome(0.5, west, 0.0, west == ROW[0])
            right = Outcome(0.5, east, float(east == ROW[-1]), east == ROW[-1])
            self.ways[place] = [left, right]

    def actions(self, state: str) -> Sequence[int]:
        return (0,) if state in self.ways else ()

    def outcomes(self, state: str, action: int) -> list[Outcome]:
        return self.ways[state]

    def reset(self, *, seed: int | None = None) -> tuple[str, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        self.state = self.start
        return self.state, {}

    def step(self, action: int = 0) -> Step:
        if self.rng is None:
            raise RuntimeError("step() before reset(); begin with reset()")
        if self.state not in self.ways:  # the end absorbs: nothing more happens
            return Step(self.state, 0.0, True, False, {})
        outcome = draw_outcome(self.outcomes(self.state, action), self.rng)
        self.state = outcome.state
        return Step(outcome.state, outcome.reward, outcome.terminated, False, {})
