"""The cliff, policies, and the four learners of 1989."""

import itertools
import math
import random
from collections import Counter
from fractions import Fraction

import gymnasium
import pytest

from policywerk.actors import q_learner
from policywerk.actors.q_learner import (
    ActionValues,
    Move,
    double_q_learning,
    expected,
    expected_sarsa,
    q_learning,
    sarsa,
    update,
)
from policywerk.building_blocks.mdp import Discrete, Step
from policywerk.building_blocks.policies import epsilon_greedy, greedy, softmax
from policywerk.data.rollout import rollout
from policywerk.data.statistics import median
from policywerk.world.cliffworld import CliffWorld
from policywerk.world.gridworld import EAST, NORTH, SOUTH, WEST, GridWorld

LEARNERS = [q_learning, sarsa, expected_sarsa, double_q_learning]


def last(learner, env, seed=0, **settings):
    *_, episode = learner(env, rng=random.Random(seed), **settings)
    return episode


def road(q, world=None):
    """The rewards along the greedy road."""
    walk = rollout(world or CliffWorld(), greedy(q), limit=100)
    return walk.rewards if walk.terminated else None


# ---------------------------------------------------------------- the cliff


def test_cliff_steps_as_gymnasiums():
    theirs, ours = gymnasium.make("CliffWalking-v1"), CliffWorld(goal_reward=-1.0)
    rng = random.Random(0)
    for seed in range(20):
        place, _ = theirs.reset(seed=seed)
        cell, _ = ours.reset(seed=seed)
        for _ in range(400):
            assert divmod(int(place), 12) == cell
            action = EAST if rng.random() < 0.4 else int(rng.random() * 4)
            place, reward, terminated, _, _ = theirs.step(action)
            cell, our_reward, our_end, truncated, _ = ours.step(action)
            assert (reward, terminated, truncated) == (our_reward, our_end, False)
            if terminated:
                break
        else:
            continue
        break
    assert terminated  # one of the walks arrived, so the goal was compared as well


def test_the_short_way_and_the_end():
    world = CliffWorld()
    world.reset()
    steps = [world.step(action) for action in [NORTH, *[EAST] * 11, SOUTH]]
    assert [step.reward for step in steps] == [-1.0] * 12 + [0.0]
    assert [step.terminated for step in steps] == [False] * 12 + [True]
    assert world.step(WEST) == ((3, 11), 0.0, True, False, {})
    assert world.reset()[0] == (3, 0)


def test_a_fall_goes_on_from_the_start():
    world = CliffWorld()
    world.reset()
    assert world.step(EAST) == ((3, 0), -100.0, False, False, {})
    assert world.step(WEST) == ((3, 0), -1.0, False, False, {})


def test_stepping_before_reset_says_what_to_do():
    with pytest.raises(RuntimeError, match="reset"):
        CliffWorld().step(NORTH)


# ---------------------------------------------------------------- policies


def shares(policy, draws=20_000):
    counts = Counter(policy("here") for _ in range(draws))
    return [counts[action] / draws for action in range(4)]


def test_greedy_breaks_ties_by_chance_or_takes_the_first():
    q = {"here": [1.0, 3.0, 3.0, 2.0]}
    assert shares(greedy(q)) == [0.0, 1.0, 0.0, 0.0]
    assert shares(greedy(q, random.Random(0))) == pytest.approx([0.0, 0.5, 0.5, 0.0], abs=0.02)


def test_epsilon_greedy_follows_its_chances():
    q = {"here": [1.0, 3.0, 3.0, 2.0]}
    chosen = shares(epsilon_greedy(q, 0.2, random.Random(0)))
    assert chosen == pytest.approx([0.05, 0.45, 0.45, 0.05], abs=0.02)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_softmax_follows_its_chances_however_large_the_values(shift):
    q = {"here": [shift + value for value in (0.0, 1.0, 2.0, -1000.0)]}
    weights = [math.exp(value / 2.0) for value in (0.0, 1.0, 2.0)]
    chosen = shares(softmax(q, 2.0, random.Random(0)))
    assert chosen == pytest.approx([w / sum(weights) for w in weights] + [0.0], abs=0.02)


def test_a_policy_sees_what_the_table_learns():
    q = {"here": [1.0, 0.0]}
    policy = greedy(q)
    q["here"][1] = 2.0
    assert policy("here") == 1


def test_policies_refuse():
    with pytest.raises(ValueError, match=r"epsilon=1.5"):
        epsilon_greedy({}, 1.5, random.Random(0))
    with pytest.raises(ValueError, match="temperature=0"):
        softmax({}, 0.0, random.Random(0))


# ---------------------------------------------------------------- updates by hand


class Script:
    """A world of two places in which only the script is followed, one step an episode."""

    action_space, observation_space = Discrete(2), Discrete(2)

    def __init__(self, *, reward, terminated):
        self.answer = Step("there", reward, terminated, not terminated, {})

    def reset(self, *, seed=None):
        return "here", {}

    def step(self, action):
        return self.answer


def test_update_moves_by_alpha_towards_reward_and_discounted_future():
    q = ActionValues(4)
    q["here"][2] = 10.0
    update(q, Move("here", 2, 4.0, 0.5, "there", 0), 8.0, 0.25)
    assert q["here"] == [0.0, 0.0, 10.0 + 0.25 * (4.0 + 0.5 * 8.0 - 10.0), 0.0]


@pytest.mark.parametrize("learner", LEARNERS)
def test_closing_time_is_bootstrapped_through_and_the_end_is_not(learner):
    settings = {"episodes": 1, "alpha": 0.5, "gamma": 0.9, "initial": 10.0}
    cut_short = last(learner, Script(reward=1.0, terminated=False), **settings)
    ended = last(learner, Script(reward=1.0, terminated=True), **settings)
    share = 0.5 if learner is double_q_learning else 1.0  # one table of two has learned
    assert max(map(abs, (v - 10.0 for v in cut_short.q["here"]))) == 0.0  # 1 + 0.9 * 10 = 10
    assert min(ended.q["here"]) == pytest.approx(10.0 + share * 0.5 * (1.0 - 10.0))


def test_expected_is_the_average_over_the_choices():
    values, epsilon = [3, -7, 11, 2], Fraction(1, 5)
    chances = [epsilon / 4 + (1 - epsilon) * (value == 11) for value in values]
    assert sum(chances) == 1
    exact = sum(chance * value for chance, value in zip(chances, values, strict=True))
    assert expected(values, 0.2) == pytest.approx(float(exact))


# ---------------------------------------------------------------- the learners


def test_they_differ_in_what_they_take_to_be_the_future(monkeypatch):
    """With the future nailed to the same number, all but the doubled one learn the same."""
    monkeypatch.setattr(q_learner, "update", lambda q, move, _, alpha: update(q, move, 1.0, alpha))
    tables = [last(learner, CliffWorld(), episodes=3).q for learner in LEARNERS[:3]]
    assert tables[0] == tables[1] == tables[2]


def test_q_learning_knows_the_edge_and_sarsa_a_longer_way_at_every_seed():
    for seed in range(6):
        assert road(last(q_learning, CliffWorld(), seed, episodes=400).q) == [-1.0] * 12 + [0.0]
        careful = road(last(expected_sarsa, CliffWorld(), seed, episodes=400).q)
        assert careful == [-1.0] * 14 + [0.0]
        wary = road(last(sarsa, CliffWorld(), seed, episodes=400).q)
        assert wary is None or len(wary) > 13


def test_while_learning_sarsa_is_paid_more():
    def late(learner, seed):
        run = learner(CliffWorld(), episodes=300, rng=random.Random(seed))
        return sum(episode.reward for episode in itertools.islice(run, 200, None)) / 100

    q_paid, sarsa_paid = ([late(each, s) for s in range(10)] for each in (q_learning, sarsa))
    assert median(q_paid) < -40 < -30 < median(sarsa_paid)


def test_the_best_way_is_learned_from_walking_at_random():
    learned = last(q_learning, GridWorld(), episodes=200, gamma=0.9, epsilon=1.0).q
    assert max(learned[4, 0]) == pytest.approx(0.270, abs=5e-4)  # V(start) of 1957


def test_a_slippery_map_is_learned_with_small_steps():
    """Off-policy, with chance in the world: V(start) of value iteration, roughly."""
    from policywerk.actors.bellman import value_iteration

    *_, exact = value_iteration(GridWorld(slip=0.1))
    found = last(
        q_learning, GridWorld(slip=0.1), episodes=1500, alpha=0.03, gamma=0.9, epsilon=0.3
    ).q
    assert max(found[4, 0]) == pytest.approx(exact.values[4, 0], abs=0.05)


class Integers(gymnasium.ObservationWrapper):
    """Numbers of numpy as plain ones, no more: they hash alike and print shorter."""

    def observation(self, observation):
        return int(observation)


@pytest.mark.parametrize("wrap", [lambda env: env, Integers])
def test_gymnasiums_cliff_is_learned_unchanged(wrap):
    env = wrap(gymnasium.make("CliffWalking-v1"))
    learned = last(q_learning, env, episodes=200).q
    walk = rollout(env, greedy(learned), seed=0, limit=100)
    assert walk.terminated and sum(walk.rewards) == -13


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_seed_decides_a_life_and_records_stay_true(learner):
    one, two = (
        list(learner(CliffWorld(), episodes=20, rng=random.Random(3))) for _ in range(2)
    )
    assert one == two
    *_, other = learner(CliffWorld(), episodes=20, rng=random.Random(4))
    assert other.q != one[-1].q
    run = learner(CliffWorld(), episodes=20, rng=random.Random(3))
    first = next(run)
    kept = {state: list(values) for state, values in first.q.items()}
    list(run)
    assert dict(first.q) == kept
    assert [episode.number for episode in one] == list(range(1, 21))
    assert all(episode.reward <= 1 - episode.length for episode in one)


def test_epsilon_may_be_a_plan():
    asked = []

    def plan(number):
        asked.append(number)
        return 0.0

    last(sarsa, CliffWorld(), episodes=5, epsilon=plan)
    assert asked == [1, 2, 3, 4, 5]


class Levers:
    """One place, ten levers of no worth, a coin each: what is the best of them worth?"""

    action_space, observation_space = Discrete(10), Discrete(3)

    def reset(self, *, seed=None):
        self.rng, self.place = random.Random(seed), "door"
        return self.place, {}

    def step(self, action):
        if self.place == "door":
            self.place = "room"
            return Step("room", 0.0, False, False, {})
        return Step("out", 1.0 if self.rng.random() < 0.5 else -1.0, True, False, {})


def test_the_maximum_is_too_hopeful_and_two_tables_are_not():
    def door(learner, seed):
        return max(last(learner, Levers(), seed, episodes=200, alpha=0.1, epsilon=1.0).q["door"])

    hopeful = median([door(q_learning, seed) for seed in range(10)])
    sober = median([door(double_q_learning, seed) for seed in range(10)])
    assert hopeful > 0.2 > 0.1 > abs(sober)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"gamma": -0.1}, "gamma=-0.1"),
        ({"epsilon": 2.0}, "epsilon=2.0"),
    ],
)
def test_bad_rates_are_refused(learner, settings, words):
    with pytest.raises(ValueError, match=words):
        last(learner, CliffWorld(), episodes=1, **settings)


def test_a_world_without_numbered_actions_is_refused():
    with pytest.raises(ValueError, match="numbered"):
        last(q_learning, gymnasium.make("Pendulum-v1"), episodes=1)
