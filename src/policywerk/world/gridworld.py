# Tangled from book/1957-bellman.md
"""A map to walk on: a goal, a pit, walls, and moves that may slip."""

import random
from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.mdp import Discrete, Outcome, Step, draw_outcome

Cell = tuple[int, int]  # row, column; (0, 0) is the north-west corner
NORTH, EAST, SOUTH, WEST = range(4)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
ENDS = {"G": 1.0, "P": -1.0}  # reward for entering the goal, the pit
STEP_REWARD = -0.04  # for every other step
LAYOUT = """
    ....G
    .#.P.
    .....
    .....
    S....
"""


class GridWorld:
    """Walk from S to G; `slip` is the chance of going left, and of going right."""

    def __init__(self, layout: str | None = None, slip: float = 0.0):
        if not 0.0 <= slip <= 0.5:
            raise ValueError(f"slip={slip}: expected 0 to 0.5, the chance of each side")
        lines = (layout or LAYOUT).split()
        if len({len(line) for line in lines}) != 1 or set("".join(lines)) - set(".#SGP"):
            raise ValueError("layout: expected rows of one length, made of . # S G P")
        if "".join(lines).count("S") != 1:
            raise ValueError("layout: expected exactly one S")
        self.slip, self.rows, self.columns = slip, len(lines), len(lines[0])
        marks: dict[Cell, str] = {}
        for row, line in enumerate(lines):
            marks |= {(row, column): mark for column, mark in enumerate(line)}
        self.states = [cell for cell, mark in marks.items() if mark != "#"]
        self.floor = frozenset(self.states)
        self.walls = [cell for cell, mark in marks.items() if mark == "#"]
        self.terminals = {cell: ENDS[mark] for cell, mark in marks.items() if mark in ENDS}
        self.start = next(cell for cell, mark in marks.items() if mark == "S")
        self.action_space = Discrete(4)
        self.observation_space = (Discrete(self.rows), Discrete(self.columns))
        self.state = self.start
        self.rng: random.Random | None = None

    def neighbour(self, cell: Cell, action: int) -> Cell:
        """The next cell that way, or the same one if a wall or the edge is there."""
        row, column = MOVES[action]
        there = (cell[0] + row, cell[1] + column)
        return there if there in self.floor else cell

    def actions(self, state: Cell) -> Sequence[int]:
        return () if state in self.terminals else (NORTH, EAST, SOUTH, WEST)

    def outcomes(self, state: Cell, action: int) -> list[Outcome]:
        ways = [(1.0 - 2.0 * self.slip, action)]
        if self.slip:
            ways += [(self.slip, (action + turn) % 4) for turn in (-1, 1)]
        answer = []
        for chance, way in ways:
            there = self.neighbour(state, way)
            reward = self.terminals.get(there, STEP_REWARD)
            answer.append(Outcome(chance, there, reward, there in self.terminals))
        return answer

    def reset(self, *, seed: int | None = None) -> tuple[Cell, dict[str, Any]]:
        if seed is not None or self.rng is None:
            self.rng = random.Random(seed)
        self.state = self.start
        return self.state, {}

    def step(self, action: int) -> Step:
        if self.rng is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        if self.state in self.terminals:  # the end absorbs: nothing more happens
            return Step(self.state, 0.0, True, False, {})
        outcome = draw_outcome(self.outcomes(self.state, action), self.rng)
        self.state = outcome.state
        return Step(outcome.state, outcome.reward, outcome.terminated, False, {})
