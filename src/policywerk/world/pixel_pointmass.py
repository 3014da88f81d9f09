# Tangled from book/2023-dreamer.md
"""A point mass, seen on a screen of 16 by 16 pixels, to be pushed onto a target."""

import math
import random
from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.mdp import Box, Step

SIZE = 16  # pixels, along either side of the screen
EDGE = 2.0  # places, and speeds, go from -2 to 2 on both axes
PUSH = 0.5  # the force of an action of 1
DRAG = 0.95  # the share of its velocity that the point keeps in a step
TICK = 0.1  # the length of a step
NEAR = 0.1  # from here on the target counts as reached
SPREAD = 1.5  # a random start is within this of the middle, on both axes
AGENT, TARGET = 1.0, 0.7  # how bright the two show on the screen
Screen = tuple[float, ...]
Place = tuple[float, float]  # to the right, and down


class PixelPointMass:
    """Push the point to the target; each step costs the distance that is left."""

    def __init__(
        self, start: str = "fixed", target: Place = (0.8, 0.8), limit: int = 200
    ) -> None:
        if start not in ("fixed", "random"):
            raise ValueError(f"start={start!r}: expected 'fixed' or 'random'")
        if limit < 1:
            raise ValueError(f"limit={limit}: expected 1 step or more")
        self.start, self.target, self.limit = start, target, limit
        self.action_space = Box((-1.0, -1.0), (1.0, 1.0))
        self.observation_space = Box((0.0,) * SIZE**2, (1.0,) * SIZE**2)
        self.rng: random.Random | None = None
        self.over = True

    def reset(self, *, seed: int | None = None) -> tuple[Screen, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        self.place, self.velocity = (0.0, 0.0), (0.0, 0.0)
        if self.start == "random":
            across, down = self.rng.random(), self.rng.random()
            self.place = SPREAD * (2 * across - 1), SPREAD * (2 * down - 1)
        self.steps, self.over = 0, False
        return self.screen(), {}

    def step(self, action: Sequence[float]) -> Step:
        if self.over:
            raise RuntimeError("step() outside an episode; begin one with reset()")
        if not all(map(math.isfinite, action)):
            raise ValueError(f"action={tuple(action)}: expected two shares of force")
        pushes = (PUSH * within(share, 1.0) for share in action)
        moved = [
            within(DRAG * (speed + push * TICK), EDGE)
            for speed, push in zip(self.velocity, pushes, strict=True)
        ]
        self.velocity = moved[0], moved[1]
        x, y = (p + v * TICK for p, v in zip(self.place, self.velocity, strict=True))
        self.place = within(x, EDGE), within(y, EDGE)
        distance = math.dist(self.place, self.target)
        self.steps += 1
        reached = distance < NEAR
        late = not reached and self.steps >= self.limit
        self.over = reached or late
        return Step(self.screen(), -distance, reached, late, {})

    def screen(self) -> Screen:
        """The pixels, row by row; the point is before the target."""
        pixels = [0.0] * SIZE**2
        pixels[pixel(self.target)] = TARGET
        pixels[pixel(self.place)] = AGENT
        return tuple(pixels)


def within(x: float, bound: float) -> float:
    """The number, or the bound that it is beyond."""
    return min(max(x, -bound), bound)


def pixel(place: Place) -> int:
    """The pixel that shows a place, counted row by row."""
    column, row = (int((p + EDGE) / (2 * EDGE) * (SIZE - 1)) for p in place)
    return row * SIZE + column
