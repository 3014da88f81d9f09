# Tangled from book/2017-ppo.md
"""A pendulum to be swung up by a motor that is too weak to lift it."""

import math
import random
from typing import Any

from policywerk.building_blocks.mdp import Box, Step

GRAVITY = 10.0  # metres per second squared
TORQUE = 2.0  # newton metres, the most
SPEED = 8.0  # radians per second, the most
TICK = 0.05  # seconds in a step
LIMIT = 200  # steps, after which time is up

Seen = tuple[float, float, float]  # cosine and sine of the angle, and the speed


class Pendulum:
    """Swing up and stay. As it stands, this is Gymnasium's Pendulum-v1."""

    def __init__(self) -> None:
        self.action_space = Box((-TORQUE,), (TORQUE,))
        self.observation_space = Box((-1.0, -1.0, -SPEED), (1.0, 1.0, SPEED))
        self.state: tuple[float, float] | None = None  # angle, from upright, and speed
        self.rng: random.Random | None = None
        self.steps = 0

    def seen(self) -> Seen:
        angle, speed = self.state or (0.0, 0.0)
        return math.cos(angle), math.sin(angle), speed

    def reset(self, *, seed: int | None = None) -> tuple[Seen, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        angle = math.pi * (2.0 * self.rng.random() - 1.0)
        self.state = angle, 2.0 * self.rng.random() - 1.0
        self.steps = 0
        return self.seen(), {}

    def step(self, action: Any) -> Step:
        if self.state is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        angle, speed = self.state
        torque = min(max(float(action[0]), -TORQUE), TORQUE)
        lean = (angle + math.pi) % (2.0 * math.pi) - math.pi  # from upright
        cost = lean * lean + 0.1 * speed * speed + 0.001 * torque * torque
        speed += TICK * (1.5 * GRAVITY * math.sin(angle) + 3.0 * torque)
        speed = min(max(speed, -SPEED), SPEED)
        self.state = angle + TICK * speed, speed
        self.steps += 1
        return Step(self.seen(), -cost, False, self.steps >= LIMIT, {})
