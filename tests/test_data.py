"""Rollouts, trials over seeds, and statistics: against numpy, and against interruptions."""

import json
import math
import multiprocessing
import random
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policywerk.data.rollout import rollout
from policywerk.data.statistics import bootstrap, interquartile_mean, median, quantile, quartiles
from policywerk.data.trials import trials
from policywerk.world.gridworld import EAST, NORTH, SOUTH, WEST, GridWorld

some = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


# ---------------------------------------------------------------- statistics


@settings(deadline=None)
@given(some)
def test_median_and_quartiles_agree_with_numpy(values):
    scale = 1e-12 * (1.0 + max(map(abs, values)))
    assert median(values) == pytest.approx(np.median(values), abs=scale)
    assert quartiles(values) == pytest.approx(np.quantile(values, [0.25, 0.75]), abs=scale)


@settings(deadline=None)
@given(some, st.floats(0.0, 1.0))
def test_any_quantile_agrees_with_numpy(values, share):
    scale = 1e-9 * (1.0 + max(map(abs, values)))
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), abs=scale)


@settings(deadline=None)
@given(some)
def test_interquartile_mean_is_the_mean_of_the_middle_half_of_four_copies(values):
    """Each value four times over: then a quarter is a whole number of them."""
    n = len(values)
    middle = np.repeat(np.sort(values), 4)[n : 3 * n]
    scale = 1e-12 * (1.0 + max(map(abs, values)))
    assert interquartile_mean(values) == pytest.approx(np.mean(middle), abs=scale)


@pytest.mark.parametrize("statistic", [median, quartiles, interquartile_mean])
@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_no_values_and_no_numbers_are_refused(statistic, values):
    with pytest.raises(ValueError, match="values: expected"):
        statistic(values)


def test_bootstrap_of_a_mean_agrees_with_numpys():
    rng = np.random.default_rng(0)
    values = rng.normal(size=50)
    drawn = np.mean(rng.choice(values, size=(20_000, 50)), axis=1)
    theirs = np.quantile(drawn, [0.05, 0.95])
    ours = bootstrap(
        values.tolist(),
        lambda v: sum(v) / len(v),
        rng=random.Random(0),
        confidence=0.9,
        draws=4000,
    )
    assert ours == pytest.approx(theirs, abs=0.02)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng, held = random.Random(1), 0
    for _ in range(200):
        values = [rng.gauss(3.0, 1.0) for _ in range(30)]
        low, high = bootstrap(values, rng=rng, draws=150)
        assert low <= median(values) <= high
        held += low <= 3.0 <= high
    assert 180 <= held <= 200


def test_bootstrap_repeats_itself_with_its_seed_and_narrows_with_confidence():
    values = [random.Random(5).random() * k for k in range(20)]
    one, again = (bootstrap(values, rng=random.Random(3)) for _ in range(2))
    assert one == again
    low, high = bootstrap(values, rng=random.Random(3), confidence=0.5)
    assert one.low < low < high < one.high


@pytest.mark.parametrize(
    "wrong", [{"values": []}, {"confidence": 1.0}, {"confidence": 95}, {"draws": 0}]
)
def test_bootstrap_refuses(wrong):
    (name,) = wrong
    arguments = {"values": [1.0, 2.0], "rng": random.Random(0)} | wrong
    with pytest.raises(ValueError, match=name):
        bootstrap(**arguments)


# ---------------------------------------------------------------- rollouts


def test_a_rollout_writes_the_episode_down():
    way = {(1, 0): NORTH, (0, 0): EAST}
    trajectory = rollout(GridWorld(".G S."), way.__getitem__, seed=0)
    assert trajectory.observations == [(1, 0), (0, 0), (0, 1)]
    assert trajectory.actions == [NORTH, EAST]
    assert trajectory.rewards == [-0.04, 1.0]
    assert trajectory.terminated


def test_a_rollout_stops_at_its_limit_and_says_that_nothing_ended():
    trajectory = rollout(GridWorld(), lambda _: SOUTH, limit=5)
    assert len(trajectory.actions) == 5 and len(trajectory.observations) == 6
    assert not trajectory.terminated
    with pytest.raises(ValueError, match="limit=0"):
        rollout(GridWorld(), lambda _: SOUTH, limit=0)


class Clocked(GridWorld):
    """A world with closing time."""

    def step(self, action):
        return super().step(action)._replace(truncated=True)


def test_closing_time_is_not_an_end():
    trajectory = rollout(Clocked(), lambda _: WEST)
    assert trajectory.actions == [WEST] and not trajectory.terminated


def test_a_seed_decides_a_rollout():
    def walk(seed):
        return rollout(GridWorld(slip=0.3), lambda _: NORTH, seed=seed, limit=30)

    assert walk(1) == walk(1) != walk(2)


def test_an_agent_with_memory_is_told_that_an_episode_begins():
    class Counting:
        def start(self):
            self.steps = 0

        def __call__(self, observation):
            self.steps += 1
            return self.steps % 4

    agent = Counting()
    for _ in range(2):
        assert rollout(GridWorld(), agent, limit=3).actions == [1, 2, 3]


# ---------------------------------------------------------------- trials


def squares(seed):
    return {"seed": seed, "walk": (seed * seed, random.Random(seed).random())}


def fails_at_seven(seed):
    if seed == 7:
        raise ZeroDivisionError("seven")
    return squares(seed)


def test_an_executor_changes_nothing():
    seeds = [9, 4, 7, 1]
    alone = trials(squares, seeds)
    assert alone == [squares(seed) for seed in seeds]
    with ThreadPoolExecutor(3) as threads:
        assert trials(squares, seeds, threads) == alone
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        assert trials(squares, seeds, processes) == alone


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path):
    store = tmp_path / "results.jsonl"
    with pytest.raises(ZeroDivisionError) as caught:
        trials(fails_at_seven, range(12), store=store)
    assert caught.value.__notes__ == ["in the trial with seed 7"]
    asked = []

    def counted(seed):
        asked.append(seed)
        return squares(seed)

    resumed = trials(counted, range(12), store=store)
    assert asked == [7, 8, 9, 10, 11]
    assert resumed == trials(squares, range(12), store=tmp_path / "other.jsonl")
    assert trials(counted, range(12), store=store) == resumed
    assert len(asked) == 5


def test_what_ran_beside_a_failure_is_kept_and_what_had_not_begun_is_called_off(tmp_path):
    store, begun = tmp_path / "results.jsonl", threading.Event()

    def experiment(seed):
        if seed == 0:
            begun.wait(10)  # for seed 1
            raise ZeroDivisionError("zero")
        begun.set()
        time.sleep(0.05)
        return seed

    with ThreadPoolExecutor(2) as threads, pytest.raises(ZeroDivisionError) as caught:
        trials(experiment, range(100), threads, store=store)
    assert caught.value.__notes__ == ["in the trial with seed 0"]
    kept = {json.loads(line)["seed"] for line in store.read_text().splitlines()}
    assert 1 in kept and len(kept) < 99


def test_ctrl_c_keeps_what_was_done(tmp_path):
    def experiment(seed):
        if seed == 3:
            raise KeyboardInterrupt
        return seed

    store = tmp_path / "results.jsonl"
    with pytest.raises(KeyboardInterrupt):
        trials(experiment, range(6), store=store)
    assert trials(lambda seed: -seed, range(6), store=store) == [0, 1, 2, -3, -4, -5]


@pytest.mark.parametrize("cut", range(1, 27))
def test_a_line_cut_short_runs_again(tmp_path, cut):
    store = tmp_path / "results.jsonl"
    trials(float, range(3), store=store)
    store.write_text(store.read_text()[:-cut])
    assert trials(float, range(3), store=store) == [0.0, 1.0, 2.0]
    assert len(store.read_text().splitlines()) == 3


@pytest.mark.parametrize(("text", "row"), [("1\n", 1), ("{}\n", 1), ("shopping list", 1)])
def test_a_file_that_is_no_store_is_left_alone(tmp_path, text, row):
    store = tmp_path / "notes"
    store.write_text(text)
    with pytest.raises(ValueError, match=f"notes:{row}: not a finished trial"):
        trials(float, range(3), store=store)
    assert store.read_text() == text


def test_progress_tells_where_a_sweep_stands(tmp_path):
    heard, store = [], tmp_path / "results.jsonl"
    trials(float, [1, 2], store=store)
    with ThreadPoolExecutor(2) as threads:
        trials(float, [1, 2, 3, 4], threads, store=store, progress=lambda *now: heard.append(now))
    assert heard == [(2, 4), (3, 4), (4, 4)]


def test_a_seed_that_comes_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        trials(float, [1, 2, 1])
