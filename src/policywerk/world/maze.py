# Tangled from book/1991-dyna.md
"""Mazes to find a way through; two of them change while one lives in them."""

from typing import Any

from policywerk.building_blocks.mdp import Step
from policywerk.world.gridworld import Cell, GridWorld

LAYOUTS = {
    "dyna": ("""
        .......#G
        ..#....#.
        S.#....#.
        ..#......
        .....#...
        .........
    """,),
    "blocking": (
        "........G ......... ......... ########. ......... ...S.....",
        "........G ......... ......... .######## ......... ...S.....",
    ),
    "shortcut": (
        "........G ......... ......... .######## ......... ...S.....",
        "........G ......... ......... .#######. ......... ...S.....",
    ),
}  # fmt: skip
CHANGES = {"dyna": 0, "blocking": 1000, "shortcut": 3000}  # after so many steps


class Maze:
    """From S to G, which pays 1. A change comes once, in mid-walk."""

    def __init__(self, kind: str = "dyna") -> None:
        if kind not in LAYOUTS:
            raise ValueError(f"kind={kind!r}: expected one of {', '.join(LAYOUTS)}")
        self.maps = [GridWorld(layout) for layout in LAYOUTS[kind]]
        self.change = CHANGES[kind]
        self.steps = 0  # in all its life, over all episodes
        self.action_space = self.map.action_space
        self.observation_space = self.map.observation_space
        self.state: Cell | None = None

    @property
    def map(self) -> GridWorld:
        """The walls as they stand now."""
        return self.maps[0] if self.steps < self.change else self.maps[-1]

    def reset(self, *, seed: int | None = None) -> tuple[Cell, dict[str, Any]]:
        self.state = self.map.start  # no chance in here, whatever the seed
        return self.state, {}

    def step(self, action: int) -> Step:
        if self.state is None:
            raise RuntimeError("step() before reset(); begin the episode with reset()")
        field = self.map
        if self.state in field.terminals:  # the end absorbs: nothing more happens
            return Step(self.state, 0.0, True, False, {})
        self.state = field.neighbour(self.state, action)
        self.steps += 1
        found = self.state in field.terminals
        return Step(self.state, 1.0 if found else 0.0, found, False, {})
