"""Planning, held against closed forms, a textbook, numpy and Gymnasium."""

import itertools
import random

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policywerk.actors.bellman import (
    action_value,
    backup,
    greedy_policy,
    in_place_sweeps,
    policy_iteration,
    prioritised_backups,
    value_iteration,
)
from policywerk.building_blocks.mdp import Outcome
from policywerk.primitives.randomness import below
from policywerk.primitives.tape import Num, gradient
from policywerk.world.gridworld import GridWorld


class Table:
    """A known model from a dictionary of outcomes by state and action."""

    def __init__(self, table):
        self.table, self.states = table, list(table)

    def actions(self, state):
        return list(self.table[state])

    def outcomes(self, state, action):
        return self.table[state][action]


def solution(run):
    *_, last = run
    return last.values


def random_model(seed, states=6, actions=3):
    rng = random.Random(seed)
    table = {}
    for state in range(states):
        table[state] = {}
        for action in range(actions):
            weights = [rng.random() ** 3 for _ in range(4)]
            chances = [weight / sum(weights) for weight in weights]
            table[state][action] = [
                Outcome(chance, below(states, rng), rng.uniform(-1, 1), rng.random() < 0.1)
                for chance in chances
            ]
    return Table(table)


def truth(model, policy, gamma):
    """A policy's values from the linear equations, by numpy."""
    n = len(model.states)
    matrix, rewards = np.eye(n), np.zeros(n)
    for state in model.states:
        for probability, there, reward, ended in model.outcomes(state, policy[state]):
            rewards[state] += probability * reward
            matrix[state, there] -= 0.0 if ended else gamma * probability
    return np.linalg.solve(matrix, rewards)


def test_the_chapters_run():
    sweeps = list(value_iteration(GridWorld()))
    assert len(sweeps) == 9
    assert [s.number for s in sweeps] == list(range(1, 10))
    powers = [0.9**k for k in range(8)]
    assert [s.change for s in sweeps] == pytest.approx([*powers, 0.0], abs=1e-12)
    assert sweeps[-1].values[4, 0] == pytest.approx(0.26961566, abs=1e-8)


def test_a_corridor_has_a_closed_form():
    world = GridWorld("S.........G")
    values = solution(value_iteration(world, gamma=0.8, theta=1e-12))
    for k in range(10):  # k cells from the one beside the goal
        exact = 0.8**k - 0.04 * (1 - 0.8**k) / (1 - 0.8)
        assert values[0, 9 - k] == pytest.approx(exact, abs=1e-12)


def test_the_textbook_grid():
    world = GridWorld("...G .#.P S...", slip=0.1)
    values = solution(value_iteration(world, gamma=1.0, theta=1e-9))
    published = [[0.812, 0.868, 0.918], [0.762, None, 0.660], [0.705, 0.655, 0.611, 0.388]]
    for row, line in enumerate(published):
        for column, utility in enumerate(line):
            if utility is not None:
                assert values[row, column] - 0.04 == pytest.approx(utility, abs=5e-4)


def test_frozen_lake_of_gymnasium():
    table = gymnasium.make("FrozenLake-v1", map_name="4x4", is_slippery=True).unwrapped.P
    model = Table({
        state: {action: [Outcome(*o) for o in outcomes] for action, outcomes in actions.items()}
        for state, actions in table.items()
    })
    values = solution(value_iteration(model, gamma=0.99, theta=1e-10))
    assert values[0] == pytest.approx(0.542, abs=5e-4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), gamma=st.sampled_from([0.3, 0.7, 0.9, 0.97]))
def test_all_orders_find_the_truth(seed, gamma):
    model, theta = random_model(seed), 1e-6
    reached = solution(policy_iteration(model, gamma=gamma, theta=1e-10))
    policy = greedy_policy(model, reached, gamma=gamma)
    exact = truth(model, policy, gamma)
    for state in model.states:  # no action is better than the policy's: it is the best there is
        values = dict(enumerate(exact))
        assert backup(model, values, state, gamma) == pytest.approx(exact[state], abs=1e-7)
    for method in (value_iteration, in_place_sweeps, prioritised_backups):
        values = solution(method(model, gamma=gamma, theta=theta))
        worst = max(abs(values[state] - exact[state]) for state in model.states)
        assert worst <= theta / (1 - gamma), method.__name__


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), slip=st.sampled_from([0.0, 0.1, 0.3]))
def test_urgency_bounds_what_a_backup_may_change(seed, slip):
    """When prioritised sweeping stops, no backup can move any value by theta."""
    rng = random.Random(seed)
    rows = [["#" if rng.random() < 0.25 else "." for _ in range(5)] for _ in range(5)]
    rows[0][4], rows[4][0], rows[2][2] = "G", "S", "P"
    world = GridWorld(" ".join(map("".join, rows)), slip=slip)
    values = solution(prioritised_backups(world, gamma=0.9, theta=1e-3))
    for state in world.states:
        assert abs(backup(world, values, state, 0.9) - values[state]) < 1e-3


@pytest.mark.parametrize("slip", [0.0, 0.1, 0.2])
def test_policy_iteration_agrees_with_value_iteration(slip):
    world = GridWorld(slip=slip)
    improvements = list(policy_iteration(world, theta=1e-9))
    values = solution(value_iteration(world, theta=1e-9))
    assert improvements[-1].policy == greedy_policy(world, values)
    assert improvements[-1].values == pytest.approx(values, abs=1e-7)
    starts = [i.values[world.start] for i in improvements]
    assert all(b >= a - 1e-2 for a, b in itertools.pairwise(starts))


def test_sweeps_stay_inside_the_contraction_bound():
    world = GridWorld(slip=0.1)
    exact = solution(value_iteration(world, theta=1e-13))
    largest = max(map(abs, exact.values()))
    for sweep in value_iteration(world, theta=1e-6):
        error = max(abs(sweep.values[s] - exact[s]) for s in exact)
        assert error <= 0.9**sweep.number * largest + 1e-12
        assert error <= 0.9 * sweep.change / (1 - 0.9) + 1e-12


def test_what_was_yielded_stays_true():
    for method in (value_iteration, in_place_sweeps, prioritised_backups, policy_iteration):
        run = method(GridWorld(slip=0.1))
        first = next(run)
        kept = dict(first.values)
        list(run)
        assert first.values == kept, method.__name__


def test_backups_run_on_numbers_that_remember():
    world = GridWorld(slip=0.1)
    values = solution(value_iteration(world))
    gamma = Num(0.9)
    nums = {state: Num(value) for state, value in values.items()}
    q = action_value(world, nums, (2, 2), 1, gamma)
    assert q.value == pytest.approx(action_value(world, values, (2, 2), 1, 0.9), abs=1e-15)
    assert gradient(q, [nums[2, 3]]) == pytest.approx([0.8 * 0.9], abs=1e-15)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"gamma": 1.5}, "gamma=1.5"), ({"gamma": -0.1}, "gamma=-0.1"), ({"theta": 0.0}, "theta=0.0")],
)
def test_bad_settings_are_refused(settings, words):
    for method in (value_iteration, in_place_sweeps, prioritised_backups, policy_iteration):
        with pytest.raises(ValueError, match=words):
            next(method(GridWorld(), **settings))


def test_policy_iteration_needs_a_discount():
    with pytest.raises(ValueError, match="gamma=1"):
        next(policy_iteration(GridWorld(), gamma=1.0))
