"""Prediction: the random walk, returns, temporal differences, held against theory and numpy."""

import itertools
import math
import random
import statistics

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywerk.actors.bellman import value_iteration
from policywerk.actors.td_learner import (
    Guesses,
    Move,
    asked,
    batch_td,
    monte_carlo,
    only_action,
    td0,
    td_lambda,
    walk,
)
from policywerk.building_blocks.mdp import Step
from policywerk.building_blocks.returns import discounted, lambda_return, n_step
from policywerk.building_blocks.traces import Traces
from policywerk.world.random_walk import RandomWalk

TRUTH = {place: (number + 1) / 6 for number, place in enumerate("ABCDE")}
LEARNERS = [td0, td_lambda, monte_carlo]


def error(values):
    return math.sqrt(statistics.mean((values[place] - TRUTH[place]) ** 2 for place in TRUTH))


def sets(count, size):
    for seed in range(count):
        rng = random.Random(seed)
        yield [list(walk(RandomWalk(), only_action, 1.0, rng)) for _ in range(size)]


class Retold:
    """Tells its stories: (state, reward) pairs after the first state; the last may be cut short."""

    def __init__(self, *stories, cut=False):
        self.stories, self.cut = list(stories), cut

    def reset(self, *, seed=None):
        first, *self.left = self.stories.pop(0)
        return first, {}

    def step(self, action):
        there, reward = self.left.pop(0)
        over = not self.left
        return Step(there, reward, over and not self.cut, over and self.cut, {})


RIGHT = ("C", ("D", 0.0), ("E", 0.0), ("right end", 1.0))


# ---------------------------------------------------------------- the world


def test_the_truth_is_a_sixth_more_at_each_place():
    *_, last = value_iteration(RandomWalk(), gamma=1.0, theta=1e-12)
    for place, value in TRUTH.items():
        assert last.values[place] == pytest.approx(value, abs=1e-9)


def test_walks_begin_in_the_middle_move_one_place_and_pay_at_the_right():
    world, rights = RandomWalk(), 0
    row = world.states
    place, _ = world.reset(seed=1)
    for _ in range(2000):
        there, reward, terminated, truncated, _ = world.step(0)
        assert abs(row.index(there) - row.index(place)) == 1
        assert terminated == (there in (row[0], row[-1])) and not truncated
        assert reward == (there == row[-1])
        rights += row.index(there) > row.index(place)
        place = there
        if terminated:
            assert world.step(0) == Step(there, 0.0, True, False, {})
            place, _ = world.reset()
            assert place == "C"
    assert 900 < rights < 1100


def test_a_seed_decides_the_walk_and_a_step_needs_a_reset():
    with pytest.raises(RuntimeError, match="reset"):
        RandomWalk().step(0)
    once, again = ([*walk(RandomWalk(), only_action, 1.0, random.Random(3))] for _ in range(2))
    assert once == again
    assert once[-1].discount == 0.0 and all(move.discount == 1.0 for move in once[:-1])


# ---------------------------------------------------------------- returns

floats = st.floats(-10, 10)
shares = st.floats(0, 1)
steps = st.lists(st.tuples(floats, shares, floats), min_size=1, max_size=8)
episodes = steps.map(lambda rows: [list(column) for column in zip(*rows, strict=True)])


@given(episodes, shares)
def test_the_lambda_return_is_the_weighted_mean_of_the_n_step_returns(episode, lam):
    length = len(episode[0])
    for k, found in enumerate(lambda_return(*episode, lam)):
        left = length - k
        returns = [n_step(*episode, n)[k] for n in range(1, left + 1)]
        weights = [(1 - lam) * lam ** (n - 1) for n in range(1, left)] + [lam ** (left - 1)]
        mixed = math.fsum(w * g for w, g in zip(weights, returns, strict=True))
        assert found == pytest.approx(mixed, abs=1e-9)


@given(episodes, shares)
def test_the_lambda_return_is_the_value_and_the_fading_errors(episode, lam):
    rewards, discounts, values = episode
    own = [0.3, *values[:-1]]  # what each state itself is believed to be worth
    deltas = [r + d * v - o for r, d, v, o in zip(rewards, discounts, values, own, strict=True)]
    total = 0.0
    found = lambda_return(*episode, lam)
    for k in reversed(range(len(rewards))):
        total = deltas[k] + discounts[k] * lam * total
        assert found[k] == pytest.approx(own[k] + total, abs=1e-9)


@given(st.lists(floats, max_size=8), shares, floats)
def test_discounted_is_the_sum_by_definition(rewards, gamma, last):
    terms = [gamma**k * reward for k, reward in enumerate([*rewards, last])]
    assert discounted(rewards, gamma, last) == pytest.approx(math.fsum(terms), abs=1e-9)


def test_a_discount_of_zero_ends_an_episode_within_a_list():
    joined = lambda_return([1.0, 2.0, 3.0], [0.9, 0.0, 0.9], [5.0, 6.0, 7.0], 0.5)
    apart = lambda_return([1.0, 2.0], [0.9, 0.0], [5.0, 6.0], 0.5)
    assert joined[:2] == apart
    assert n_step([1.0, 2.0, 3.0], [0.9, 0.0, 0.9], [5.0, 6.0, 7.0], 3)[0] == 1.0 + 0.9 * 2.0


def test_returns_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="n=0"):
        n_step([1.0], [1.0], [1.0], 0)
    with pytest.raises(ValueError, match=r"lam=1\.5"):
        lambda_return([1.0], [1.0], [1.0], 1.5)
    for returns, last in ((n_step, 1), (lambda_return, 0.5)):
        with pytest.raises(ValueError, match="as many"):
            returns([1.0, 2.0], [1.0, 1.0], [1.0], last)


# ---------------------------------------------------------------- learners


def test_two_walks_by_hand():
    first, second = td0(Retold(RIGHT, RIGHT), episodes=2, rng=random.Random(0))
    assert first.values == {"C": 0.5, "D": 0.5, "E": 0.55}
    assert second.values == pytest.approx({"C": 0.5, "D": 0.505, "E": 0.595})
    (waited,) = monte_carlo(Retold(RIGHT), episodes=1, rng=random.Random(0))
    assert waited.values == pytest.approx({"C": 0.55, "D": 0.55, "E": 0.55})
    (traced,) = td_lambda(Retold(RIGHT), episodes=1, lam=0.5, rng=random.Random(0))
    assert traced.values == pytest.approx({"C": 0.5125, "D": 0.525, "E": 0.55})


def test_traces_accumulate_or_replace():
    twice = ("C", ("C", 0.0), ("right end", 1.0))
    for replacing, strength in ((False, 1.8), (True, 1.0)):
        run = td_lambda(
            Retold(twice), episodes=1, lam=0.8, replacing=replacing, rng=random.Random(0)
        )
        assert next(run).values["C"] == pytest.approx(0.5 + 0.1 * strength * 0.5)


def test_monte_carlo_counts_the_first_visit_and_discounts():
    loop = ("C", ("D", 1.0), ("C", 0.0), ("right end", 4.0))
    run = monte_carlo(Retold(loop), episodes=1, alpha=1.0, gamma=0.5, rng=random.Random(0))
    assert next(run).values == pytest.approx({"C": 1.0 + 0.25 * 4.0, "D": 0.5 * 4.0})


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_walk_cut_short_is_not_an_end(learner):
    cut = ("C", ("D", 0.0))
    run = learner(
        Retold(cut, cut=True), episodes=1, alpha=1.0, gamma=0.5, initial=8.0, rng=random.Random(0)
    )
    assert next(run).values["C"] == 4.0


def test_without_a_trace_td_lambda_is_td0():
    plain = list(td0(RandomWalk(), episodes=40, rng=random.Random(5)))
    assert plain == list(td_lambda(RandomWalk(), episodes=40, lam=0.0, rng=random.Random(5)))


@pytest.mark.parametrize("replacing", [False, True])
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_forward_and_backward_agree_while_values_stand_still(lam, replacing):
    values = Guesses(0.5, {place: number * 0.3 for number, place in enumerate("ABCDE")})
    for moves in next(sets(1, 30)):
        paid, traces = Guesses(0.0), Traces(lam, replacing=replacing)
        for state, reward, discount, there in moves:
            traces.visit(state)
            traces.credit(paid, reward + discount * values[there] - values[state])
        if not replacing:
            assert dict(paid) == pytest.approx(asked(moves, values, lam=lam), abs=1e-12)
        elif lam == 1.0:  # first-visit Monte Carlo
            once = {move.state: moves[-1].reward - values[move.state] for move in moves}
            assert dict(paid) == pytest.approx(once, abs=1e-12)


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_was_yielded_stays_true(learner):
    run = learner(RandomWalk(), episodes=30, rng=random.Random(0))
    first = next(run)
    before = dict(first.values)
    *_, last = run
    assert first.number == 1 and last.number == 30
    assert first.values == before != last.values


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_mean_over_seeds_is_near_the_truth(learner):
    runs = [
        [*learner(RandomWalk(), episodes=150, alpha=0.05, rng=random.Random(seed))][-1].values
        for seed in range(30)
    ]
    for place, value in TRUTH.items():
        found = [run[place] for run in runs]
        spread = statistics.stdev(found) / math.sqrt(len(found))
        assert abs(statistics.mean(found) - value) < 4 * spread + 0.01


def test_td_is_nearer_to_the_truth_than_monte_carlo():
    def last_error(learner, seed):
        *_, last = learner(RandomWalk(), episodes=100, rng=random.Random(seed))
        return error(last.values)

    td, mc = ([last_error(learner, seed) for seed in range(60)] for learner in (td0, monte_carlo))
    assert statistics.median(td) < 0.07 < statistics.median(mc)


def test_it_learns_on_gymnasiums_own_world():
    lake = gymnasium.make("FrozenLake-v1", is_slippery=False)
    down, right = 1, 2
    way = {0: down, 4: down, 8: right, 9: right, 10: down, 14: right}
    run = td0(
        lake, episodes=60, alpha=0.5, gamma=0.9, initial=0.0, policy=way.__getitem__,
        rng=random.Random(0),
    )  # fmt: skip
    *_, last = run
    for steps, state in enumerate(reversed(way)):
        assert last.values[state] == pytest.approx(0.9**steps, abs=1e-3)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("wrong", [{"alpha": -0.1}, {"alpha": 1.1}, {"gamma": 1.5}])
def test_learners_refuse_rates_that_are_none(learner, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        next(learner(RandomWalk(), episodes=1, rng=random.Random(0), **wrong))


# ---------------------------------------------------------------- batches, and Sutton's figures


def fixed_point(walks, lam):
    """Where repeated presentations end, from the linear equations, by numpy."""
    a, b = np.zeros((5, 5)), np.zeros(5)
    for moves in walks:
        trace = np.zeros(5)
        for state, reward, _, there in moves:
            here, after = np.eye(5)["ABCDE".index(state)], np.zeros(5)
            if there in TRUTH:
                after["ABCDE".index(there)] = 1.0
            trace = lam * trace + here
            a += np.outer(trace, here - after)
            b += trace * reward
    seen = np.flatnonzero(a.diagonal())
    values = np.full(5, 0.5)
    values[seen] = np.linalg.solve(a[np.ix_(seen, seen)], b[seen])
    return dict(zip("ABCDE", values, strict=True))


@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_repeated_presentations_end_where_the_equations_say(lam):
    for walks in sets(3, 10):
        *_, last = batch_td(walks, lam=lam)
        for place, value in fixed_point(walks, lam).items():
            assert last.values[place] == pytest.approx(value, abs=2e-3)


def test_batch_td_is_the_value_of_the_counted_world_and_batch_monte_carlo_the_mean():
    walks = [[Move("B", 0.0, 0.0, "left end")]] * 8 + [[Move("B", 1.0, 0.0, "right end")]]
    walks += [[Move("A", 0.0, 1.0, "B"), Move("B", 1.0, 0.0, "right end")]]
    *_, td = batch_td(walks, lam=0.0, alpha=0.05)
    *_, mc = batch_td(walks, lam=1.0, alpha=0.05)
    assert td.values == pytest.approx({"A": 0.2, "B": 0.2}, abs=1e-4)
    assert mc.values == pytest.approx({"A": 1.0, "B": 0.2}, abs=1e-4)


def test_figure_3_the_error_rises_with_lambda():
    errors = {lam: [] for lam in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)}
    for walks, lam in itertools.product(sets(100, 10), errors):
        errors[lam].append(error(fixed_point(walks, lam)))
    means = [statistics.mean(found) for found in errors.values()]
    assert means == sorted(means)
    assert means[-1] - means[-2] > 0.02


def test_batches_refuse_what_would_not_end():
    (walks,) = sets(1, 10)
    with pytest.raises(ValueError, match="theta=0"):
        next(batch_td(walks, theta=0.0))
    with pytest.raises(ValueError, match=r"alpha=0\.9"):
        list(batch_td(walks, alpha=0.9))
