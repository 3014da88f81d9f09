# Tangled from book/1957-bellman.md
"""Planning with a known model, after Bellman (1957) and Howard (1960)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from policywerk.building_blocks.mdp import KnownModel

State = Any  # hashable; the model says what a state is
Action = Any
Values = Mapping[State, float]


def action_value(
    model: KnownModel, values: Values, state: State, action: Action, gamma: float
) -> float:
    """The reward to expect, and gamma times the value of where the action leads."""
    return sum(
        probability * (reward + (0.0 if terminated else gamma) * values[there])
        for probability, there, reward, terminated in model.outcomes(state, action)
    )


def backup(model: KnownModel, values: Values, state: State, gamma: float) -> float:
    """What a state is worth if its best action is taken; 0 where all is over."""
    actions = model.actions(state)
    worth = [action_value(model, values, state, action, gamma) for action in actions]
    return max(worth, default=0.0)


class Sweep(NamedTuple):
    """A pass over all states: the values after it, and its largest change."""

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
        raise ValueError(f"theta={theta}: expected more than 0, or nothing ends")


Policy = dict[State, Action]


def best_actions(
    model: KnownModel, values: Values, state: State, gamma: float
) -> list[Action]:
    """The actions whose value is the largest, differences by rounding aside."""
    actions = model.actions(state)
    worth = [action_value(model, values, state, action, gamma) for action in actions]
    least = max(worth, default=0.0) - 1e-9
    return [a for a, value in zip(actions, worth, strict=True) if value > least]


def greedy_policy(
    model: KnownModel, values: Values, *, gamma: float = 0.9
) -> Policy:
    """The best action in every state; among equals, the first the model names."""
    inner = [state for state in model.states if model.actions(state)]
    return {state: best_actions(model, values, state, gamma)[0] for state in inner}


class Improvement(NamedTuple):
    """A policy, its values, and the sweeps it took to find them."""

    number: int
    policy: Policy
    values: Values
    sweeps: int


def policy_iteration(
    model: KnownModel, *, gamma: float = 0.9, theta: float = 1e-3
) -> Iterator[Improvement]:
    """Evaluate a policy, improve it, and so on until nothing can be improved."""
    check(gamma, theta)
    if gamma == 1.0:
        raise ValueError("gamma=1: expected less, as a policy may never end")
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
    model: KnownModel,
    *,
    gamma: float = 0.9,
    theta: float = 1e-3,
    order: Sequence[State] = (),
) -> Iterator[Sweep]:
    """Value iteration whose backups already see the new values of their own sweep."""
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
    """A single backup: of which state, how far it moved, and all values after it."""

    number: int
    state: State
    change: float
    values: Values


def prioritised_backups(
    model: KnownModel, *, gamma: float = 0.9, theta: float = 1e-3
) -> Iterator[Backup]:
    """Back up the state that may be most wrong, until none can be by theta."""
    check(gamma, theta)
    values = dict.fromkeys(model.states, 0.0)
    sources: dict[State, dict[State, float]] = {state: {} for state in model.states}
    for state in model.states:
        for action in model.actions(state):
            reach: dict[State, float] = {}
            for probability, there, _, terminated in model.outcomes(state, action):
                reach[there] = reach.get(there, 0.0) + (0.0 if terminated else probability)
            for there, chance in reach.items():
                sources[there][state] = max(chance, sources[there].get(state, 0.0))
    urgency: dict[State, float] = {}
    for state in model.states:
        for action in model.actions(state):
            largest = max(abs(outcome.reward) for outcome in model.outcomes(state, action))
            urgency[state] = max(largest, urgency.get(state, 0.0))
    number = 0
    while urgency and max(urgency.values()) >= theta:
        state = max(urgency, key=urgency.__getitem__)
        new = backup(model, values, state, gamma)
        change = abs(new - values[state])
        values[state], urgency[state] = new, 0.0
        for source, chance in sources[state].items():
            urgency[source] += gamma * chance * change
        number += 1
        yield Backup(number, state, change, dict(values))
