# Tangled from book/1989-watkins.md
"""A walk along a cliff: the short way is beside the edge."""

from itertools import product
from typing import Any

from policywerk.building_blocks.mdp import Discrete, Step
from policywerk.world.gridworld import MOVES, Cell

FALL_REWARD = -100.0
MOVE_REWARD = -1.0


class CliffWorld:
    """Four rows of twelve cells; from the start to the goal, past the cliff."""

    def __init__(self, goal_reward: float = 0.0) -> None:
        self.rows, self.columns = 4, 12
        self.start, self.goal = (3, 0), (3, 11)
        self.cells = frozenset(product(range(self.rows), range(self.columns)))
        self.cliff = frozenset((3, column) for column in range(1, 11))
        self.goal_reward = goal_reward  # for the move that reaches the goal
        self.action_space = Discrete(4)
        self.observation_space = (Discrete(4), Discrete(12))
        self.state: Cell | None = None

    def reset(self, *, seed: int | None = None) -> tuple[Cell, dict[str, Any]]:
        self.state = self.start  # nothing here is left to chance, whatever the seed
        return self.state, {}

    def step(self, action: int) -> Step:
        if self.state is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        if self.state == self.goal:  # the end absorbs: nothing more happens
            return Step(self.goal, 0.0, True, False, {})
        down, right = MOVES[action]
        there = self.state[0] + down, self.state[1] + right
        self.state = there if there in self.cells else self.state
        if self.state == self.goal:
            return Step(self.goal, self.goal_reward, True, False, {})
        if self.state in self.cliff:
            self.state = self.start
            return Step(self.start, FALL_REWARD, False, False, {})
        return Step(self.state, MOVE_REWARD, False, False, {})
