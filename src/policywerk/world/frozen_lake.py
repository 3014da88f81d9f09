# Tangled from book/1991-dyna.md
"""A frozen lake with holes in it, cell for cell the FrozenLake-v1 of Gymnasium."""

import random
from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.mdp import Discrete, Outcome, Step, draw_outcome
from policywerk.world.gridworld import EAST, NORTH, SOUTH, WEST, GridWorld

LAKE = "S... .P.P ...P P..G"  # P is a hole
LEFT, DOWN, RIGHT, UP = range(4)
COMPASS = (WEST, SOUTH, EAST, NORTH)
LIMIT = 100  # steps of an episode


class FrozenLake:
    """From the shore to the goal, which pays 1; on slippery ice two moves of three go aside."""

    def __init__(self, slippery: bool = False) -> None:
        self.map, self.slippery = GridWorld(LAKE), slippery
        self.states = range(self.map.rows * self.map.columns)  # row by row
        self.action_space = Discrete(4)
        self.observation_space = Discrete(len(self.states))
        self.state, self.steps = 0, 0
        self.rng: random.Random | None = None

    def actions(self, state: int) -> Sequence[int]:
        over = divmod(state, self.map.columns) in self.map.terminals
        return () if over else (LEFT, DOWN, RIGHT, UP)

    def outcomes(self, state: int, action: int) -> list[Outcome]:
        if not self.actions(state):
            return [Outcome(1.0, state, 0.0, True)]
        turns = (-1, 0, 1) if self.slippery else (0,)
        return [self.outcome(state, (action + turn) % 4, 1.0 / len(turns)) for turn in turns]

    def outcome(self, state: int, way: int, chance: float) -> Outcome:
        cell = divmod(state, self.map.columns)
        row, column = there = self.map.neighbour(cell, COMPASS[way])
        end = self.map.terminals.get(there, 0.0)
        return Outcome(chance, row * self.map.columns + column, max(end, 0.0), end != 0.0)

    def reset(self, *, seed: int | None = None) -> tuple[int, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        self.state, self.steps = 0, 0
        return self.state, {}

    def step(self, action: int) -> Step:
        if self.rng is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        _, self.state, reward, over = draw_outcome(self.outcomes(self.state, action), self.rng)
        self.steps += 1
        return Step(self.state, reward, over, not over and self.steps >= LIMIT, {})
