# Tangled from book/concepts.md
"""Episodes, written down."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from policywerk.building_blocks.mdp import Environment


class Trajectory(NamedTuple):
    """An episode: one observation more than actions, the last where it stopped."""

    observations: list[Any]
    actions: list[Any]
    rewards: list[float]
    terminated: bool  # False if a clock, the world's or ours, stopped it


def rollout(
    env: Environment,
    policy: Callable[[Any], Any],
    *,
    seed: int | None = None,
    limit: int | None = None,
) -> Trajectory:
    """Follow a policy until the episode ends, or for `limit` steps."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: expected 1 step or more, or None for no limit")
    if hasattr(policy, "start"):
        policy.start()
    observation, _ = env.reset(seed=seed)
    trajectory = Trajectory([observation], [], [], False)
    for _ in itertools.count() if limit is None else range(limit):
        action = policy(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        trajectory.observations.append(observation)
        trajectory.actions.append(action)
        trajectory.rewards.append(reward)
        if terminated or truncated:
            return trajectory._replace(terminated=terminated)
    return trajectory
