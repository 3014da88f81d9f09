# Tangled from book/1957-bellman.md
"""Planning with a known model: Bellman 1957, Howard 1960, and sweeps in a better order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from policywerk.building_blocks.mdp import KnownModel

State = Any  # hashable; the model says what a state is
Action = Any
Values = Mapping[State, float]


def action_value(
    model: KnownModel, values: Values, state: State, action: Action, gamma: float
) -> float:
    """The reward to expect now, and gamma times the value of where the action leads."""
    return sum(
        probability * (reward + (0.0 if terminated else gamma) * values[there])
        for probability, there, reward, terminated in model.outcomes(state, action)
    )


def backup(model: KnownModel, values: Values, state: State, gamma: float) -> float:
    """What a state is worth if its best action is taken; 0 where the episode is over."""
    choices = [action_value(model, values, state, a, gamma) for a in model.actions(state)]
    return max(choices, default=0.0)


class Sweep(NamedTuple):
    """One pass over all states: their values after it, and the largest change it made."""

    number: int
    values: Values
    change: float


def value_iteration(
    model: KnownModel, *, gamma: float = 0.9, theta: float = 1e-3
) -> Iterator[Sweep]:
    """Sweep over all states until no value moves by theta."""
    check(gamma, theta)
    values = dict.fromkeys(model.states, 0.0)
    number, change = 0, theta
    while change >= theta:
        new = {state: backup(model, values, state, gamma) for state in model.states}
        change = max(abs(new[state] - values[state]) for state in model.states)
        number, values = number + 1, new
        yield Sweep(number, values, change)


def check(gamma: float, theta: float) -> None:
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma={gamma}: expected a discount from 0 to 1")
    if not theta > 0.0:
        raise ValueError(f"theta={theta}: expected a positive number, or the sweeps never end")


Policy = dict[State, Action]


def greedy_policy(model: KnownModel, values: Values, *, gamma: float = 0.9) -> Policy:
    """The best action in every state; among equals, the first the model names."""
    policy = {}
    for state in model.states:
        if actions := model.actions(state):
            worth = {a: action_value(model, values, state, a, gamma) for a in actions}
            best = max(worth.values())
            policy[state] = next(a for a in actions if worth[a] > best - 1e-9)
    return policy


class Improvement(NamedTuple):
    """A policy, what its states are worth under it, and the sweeps it took to find out."""

    number: int
    policy: Policy
    values: Values
    sweeps: int


def policy_iteration(
    model: KnownModel, *, gamma: float = 0.9, theta: float = 1e-3
) -> Iterator[Improvement]:
    """Evaluate a policy, improve it, and again, until there is nothing to improve."""
    check(gamma, theta)
    if gamma == 1.0:
        raise ValueError("gamma=1: expected less, since a policy may never reach an end")
    values = dict.fromkeys(model.states, 0.0)
    policy = {s: model.actions(s)[0] for s in model.states if model.actions(s)}
    number, improved = 0, True
    while improved:
        sweeps, change = 0, theta
        while change >= theta:
            new = {s: action_value(model, values, s, policy[s], gamma) for s in policy}
            change = max(abs(new[s] - values[s]) for s in policy)
            values.update(new)
            sweeps += 1
        number += 1
        yield Improvement(number, policy, dict(values), sweeps)
        better = greedy_policy(model, values, gamma=gamma)
        improved, policy = better != policy, better


def in_place_sweeps(
    model: KnownModel, *, gamma: float = 0.9, theta: float = 1e-3, order: Sequence[State] = ()
) -> Iterator[Sweep]:
    """Value iteration in which a backup already sees the new values of its own sweep."""
    check(gamma, theta)
    values = dict.fromkeys(model.states, 0.0)
    number, change = 0, theta
    while change >= theta:
        change = 0.0
        for state in order or model.states:
            new = backup(model, values, state, gamma)
            change = max(change, abs(new - values[state]))
            values[state] = new
        number += 1
        yield Sweep(number, dict(values), change)


class Backup(NamedTuple):
    """A single backup: of which state, by how much it moved, and all values after it."""

    number: int
    state: State
    change: float
    values: Values


def prioritised_backups(
    model: KnownModel, *, gamma: float = 0.9, theta: float = 1e-3
) -> Iterator[Backup]:
    """Always back up the state that may be most wrong, until none can be wrong by theta."""
    check(gamma, theta)
    values = dict.fromkeys(model.states, 0.0)
    sources: dict[State, dict[State, float]] = {state: {} for state in model.states}
    for state in model.states:
        for action in model.actions(state):
            for probability, there, _, terminated in model.outcomes(state, action):
                if not terminated:
                    known = sources[there].get(state, 0.0)
                    sources[there][state] = max(known, probability)
    urgency = {
        state: max(abs(o.reward) for a in model.actions(state) for o in model.outcomes(state, a))
        for state in model.states
        if model.actions(state)
    }
    number = 0
    while urgency and max(urgency.values()) >= theta:
        state = max(urgency, key=urgency.__getitem__)
        new = backup(model, values, state, gamma)
        change, values[state], urgency[state] = abs(new - values[state]), new, 0.0
        for source, chance in sources[state].items():
            urgency[source] += gamma * chance * change
        number += 1
        yield Backup(number, state, change, dict(values))
