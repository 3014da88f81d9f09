# Tangled from book/2013-dqn.md
"""Mini Breakout: a wall of twelve bricks, a ball and a paddle."""

import random
from typing import Any

from policywerk.building_blocks.mdp import Box, Discrete, Step
from policywerk.primitives.randomness import below

ROWS, COLUMNS, WIDTH = 10, 8, 3  # of the court, and of the paddle
WALL = tuple((row, column) for row in (0, 1) for column in range(1, 7))
SERVE = 3, 4  # row and column of the ball, when the serve is always the same
BRICK, BALL, PADDLE = 0.5, 0.7, 1.0  # how they show on the screen
LIMIT = 200  # steps
LEFT, STAY, RIGHT = range(3)
Screen = tuple[float, ...]


class Breakout:
    """Clear the wall. A lively game begins anywhere, with 8 of the 12 bricks."""

    def __init__(self, lively: bool = False) -> None:
        self.lively = lively
        self.action_space = Discrete(3)
        pixels = ROWS * COLUMNS
        low, high = (0.0,) * pixels + (-1.0, -1.0), (1.0,) * (pixels + 2)
        self.observation_space = Box(low, high)
        self.rng: random.Random | None = None
        self.over = True

    def reset(self, *, seed: int | None = None) -> tuple[Screen, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        (self.row, self.column), self.down, self.right = SERVE, 1, 1
        standing = list(WALL)
        if self.lively:
            self.column = below(COLUMNS, self.rng)
            self.right = 2 * below(2, self.rng) - 1
            for _ in range(4):
                del standing[below(len(standing), self.rng)]
        self.bricks = frozenset(standing)
        self.paddle = (COLUMNS - WIDTH) // 2  # its left end
        self.steps, self.over = 0, False
        return self.screen(), {}

    def screen(self) -> Screen:
        """The pixels, row by row, and the two components of the ball's velocity."""
        pixels = [0.0] * (ROWS * COLUMNS)
        for row, column in self.bricks:
            pixels[row * COLUMNS + column] = BRICK
        first = (ROWS - 1) * COLUMNS + self.paddle
        pixels[first : first + WIDTH] = [PADDLE] * WIDTH
        pixels[self.row * COLUMNS + self.column] = BALL
        return (*pixels, float(self.down), float(self.right))

    def step(self, action: int) -> Step:
        if self.over:
            raise RuntimeError("step() outside an episode; begin one with reset()")
        self.paddle = min(max(self.paddle + action - 1, 0), COLUMNS - WIDTH)
        before = len(self.bricks)
        lost = not self.fly()
        reward = -1.0 if lost else 1.0 if len(self.bricks) < before else -0.01
        self.steps += 1
        terminated = lost or not self.bricks
        truncated = self.steps == LIMIT and not terminated
        self.over = terminated or truncated
        return Step(self.screen(), reward, terminated, truncated, {})

    def fly(self) -> bool:
        """Move the ball by one row and one column; False if the paddle misses it."""
        row, column = self.row + self.down, self.column + self.right
        if not 0 <= column < COLUMNS:
            column, self.right = self.column, -self.right
        if row < 0:
            row, self.down = 0, 1
        if (row, column) in self.bricks:
            self.bricks -= {(row, column)}
            row, self.down = self.row, -self.down
        caught = row < ROWS - 1 or self.paddle <= column < self.paddle + WIDTH
        if row == ROWS - 1 and caught:
            row, self.down = ROWS - 2, -1
        self.row, self.column = row, column
        return caught
