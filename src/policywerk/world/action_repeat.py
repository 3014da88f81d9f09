# Tangled from book/2023-dreamer.md
"""Decisions that hold for a while."""

from collections.abc import Sequence
from typing import Any

from policywerk.building_blocks.mdp import Environment, Step


class ActionRepeat:
    """A world in which each action is taken several times; the mean is paid."""

    def __init__(self, env: Environment, times: int) -> None:
        if times < 1:
            raise ValueError(f"times={times}: expected 1 or more")
        self.env, self.times = env, times
        self.action_space: Any = env.action_space
        self.observation_space: Any = env.observation_space

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        return self.env.reset(seed=seed)

    def step(self, action: Sequence[float]) -> Step:
        total = 0.0
        for _ in range(self.times):
            step = self.env.step(action)
            total += step.reward
            if step.terminated or step.truncated:
                break
        return step._replace(reward=total / self.times)
