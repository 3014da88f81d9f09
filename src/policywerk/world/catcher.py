# Tangled from book/2013-dqn.md
"""Catcher: fruit falls, a paddle catches it; sixteen by sixteen pixels."""

import random
from typing import Any

from policywerk.building_blocks.mdp import Box, Discrete, Step
from policywerk.primitives.randomness import below

SIZE, WIDTH = 16, 3  # of the screen's side, and of the paddle
FRUIT, PADDLE = 1.0, 0.7  # how they show on the screen
LIMIT = 150  # steps: ten fruits, each falling for fifteen
Screen = tuple[float, ...]


class Catcher:
    """Catch each fruit for 1; a miss costs 1 and ends it; else nothing is paid."""

    def __init__(self) -> None:
        self.action_space = Discrete(3)
        self.observation_space = Box((0.0,) * SIZE**2, (1.0,) * SIZE**2)
        self.rng: random.Random | None = None
        self.over = True

    def reset(self, *, seed: int | None = None) -> tuple[Screen, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        self.row, self.column = 0, below(SIZE, self.rng)
        self.paddle = below(SIZE - WIDTH + 1, self.rng)  # its left end
        self.steps, self.over = 0, False
        return self.screen(), {}

    def screen(self) -> Screen:
        """The pixels, row by row."""
        pixels = [0.0] * SIZE**2
        first = (SIZE - 1) * SIZE + self.paddle
        pixels[first : first + WIDTH] = [PADDLE] * WIDTH
        pixels[self.row * SIZE + self.column] = FRUIT
        return tuple(pixels)

    def step(self, action: int) -> Step:
        if self.over or self.rng is None:
            raise RuntimeError("step() outside an episode; begin one with reset()")
        self.paddle = min(max(self.paddle + action - 1, 0), SIZE - WIDTH)
        self.row, reward, missed = self.row + 1, 0.0, False
        if self.row == SIZE - 1:
            missed = not self.paddle <= self.column < self.paddle + WIDTH
            reward = -1.0 if missed else 1.0
            if not missed:
                self.row, self.column = 0, below(SIZE, self.rng)
        self.steps += 1
        truncated = self.steps == LIMIT and not missed
        self.over = missed or truncated
        return Step(self.screen(), reward, missed, truncated, {})
