# Tangled from book/1983-barto-sutton-anderson.md
"""A pole on a cart on a short track, to be kept upright by pushing the cart."""

import math
import random
from typing import Any

from policywerk.building_blocks.mdp import Box, Discrete, Space, Step

GRAVITY = 9.8  # metres per second squared
CART, POLE = 1.0, 0.1  # kilograms
HALF = 0.5  # metres, half the length of the pole
FORCE = 10.0  # newtons
TICK = 0.02  # seconds in a step
TRACK = 2.4  # metres from the middle of the track to its end
LEAN = 12 * 2 * math.pi / 360  # radians from upright: the pole has fallen
RUB = {"cart": 0.0005, "pole": 0.000002}  # friction in 1983

State = tuple[float, float, float, float]  # place, speed, angle, spin


class CartPole:
    """Push left or right (0, 1). As it stands, this is Gymnasium's CartPole-v1.

    `friction` adds that of 1983; each number of a start is from -spread to spread;
    time is up after `limit` steps, or never if it is None.
    """

    def __init__(
        self, friction: bool = False, spread: float = 0.05, limit: int | None = 500
    ):
        if not 0.0 <= spread < LEAN:
            raise ValueError(f"spread={spread}: expected 0 or more, below {LEAN:.3f}")
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit}: expected 1 step or more, or None")
        self.rub = RUB if friction else dict.fromkeys(RUB, 0.0)
        self.spread, self.limit, self.steps = spread, limit, 0
        self.action_space: Discrete | Box = Discrete(2)
        most = (2 * TRACK, math.inf, 2 * LEAN, math.inf)
        self.observation_space: Space = Box(tuple(-each for each in most), most)
        self.state: State | None = None
        self.rng: random.Random | None = None

    def moved(self, state: State, force: float) -> State:
        """The state a tick later."""
        place, speed, angle, spin = state
        sine, cosine, mass = math.sin(angle), math.cos(angle), CART + POLE
        rub = self.rub["cart"] * ((speed > 0.0) - (speed < 0.0))
        push = (force + POLE * HALF * (spin * spin) * sine - rub) / mass
        turn = GRAVITY * sine - cosine * push - self.rub["pole"] * spin / (POLE * HALF)
        turn /= HALF * (4.0 / 3.0 - POLE * (cosine * cosine) / mass)
        pull = push - POLE * HALF * turn * cosine / mass
        return (
            place + TICK * speed,
            speed + TICK * pull,
            angle + TICK * spin,
            spin + TICK * turn,
        )

    def reset(self, *, seed: int | None = None) -> tuple[State, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        draws = [2.0 * self.rng.random() - 1.0 for _ in range(4)]
        place, speed, angle, spin = (self.spread * each for each in draws)
        self.state, self.steps = (place, speed, angle, spin), 0
        return self.state, {}

    def step(self, action: Any) -> Step:
        if self.state is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        if action not in (0, 1):
            raise ValueError(f"action={action}: expected 0 or 1, left or right")
        if failed(self.state):  # it lies where it fell
            return Step(self.state, 0.0, True, False, {})
        self.state = self.moved(self.state, FORCE if action else -FORCE)
        self.steps += 1
        fell = failed(self.state)
        late = not fell and self.limit is not None and self.steps >= self.limit
        return Step(self.state, 1.0, fell, late, {})


def failed(state: State) -> bool:
    """Has the pole fallen, or the cart run out of track?"""
    return abs(state[0]) > TRACK or abs(state[2]) > LEAN
