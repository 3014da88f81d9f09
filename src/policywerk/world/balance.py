# Tangled from book/1983-barto-sutton-anderson.md
"""A pole on the hinge of a motor that turns it either way, to be kept upright."""

import math
from typing import Any

from policywerk.building_blocks.mdp import Box, Discrete, Space, Step

GRAVITY = 9.8  # radians per second squared; times the sine of the angle
TORQUE = 5.0  # radians per second squared, the motor at full power
TICK = 0.02  # seconds in a step
FALL = 0.3  # radians from upright: the pole has fallen
START = (0.01, 0.0)  # radians, and radians per second
LIMIT = 500  # steps, after which time is up

Pole = tuple[float, float]  # angle and velocity, to the right of upright positive


class Balance:
    """Turn left or right (0, 1); if `continuous`, by a share of power, -1 to 1."""

    def __init__(self, continuous: bool = False):
        self.continuous = continuous
        self.action_space: Discrete | Box = Discrete(2)
        if continuous:
            self.action_space = Box((-1.0,), (1.0,))
        most = (2 * FALL, math.inf)
        self.observation_space: Space = Box(tuple(-each for each in most), most)
        self.state: Pole | None = None
        self.steps = 0

    def torque(self, action: Any) -> float:
        """The motor's part of the pole's acceleration."""
        if not self.continuous:
            if action not in (0, 1):
                raise ValueError(f"action={action}: expected 0 or 1, left or right")
            return TORQUE if action else -TORQUE
        share = float(action[0])
        if math.isnan(share):
            raise ValueError("action=nan: expected a share of power, from -1 to 1")
        return TORQUE * min(1.0, max(-1.0, share))

    def reset(self, *, seed: int | None = None) -> tuple[Pole, dict[str, Any]]:
        self.state, self.steps = START, 0  # nothing is drawn from the seed
        return START, {}

    def step(self, action: Any) -> Step:
        if self.state is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        angle, velocity = self.state
        if abs(angle) > FALL:  # it lies where it fell
            return Step(self.state, 0.0, True, False, {})
        velocity += TICK * (GRAVITY * math.sin(angle) + self.torque(action))
        angle += TICK * velocity
        self.state, self.steps = (angle, velocity), self.steps + 1
        fell = abs(angle) > FALL
        late = not fell and self.steps >= LIMIT
        return Step(self.state, 0.0 if fell else 1.0, fell, late, {})
