"""Mazes, the frozen lake, and Dyna with three kinds of memory."""

import itertools
import random
import statistics

import gymnasium
import pytest

from policywerk.actors.bellman import value_iteration
from policywerk.actors.dyna import (
    CuriousMemory,
    Memory,
    UrgentMemory,
    dyna_q,
    dyna_q_plus,
    moments,
    prioritised_sweeping,
)
from policywerk.actors.q_learner import ActionValues, Move, q_learning, update
from policywerk.building_blocks.policies import greedy
from policywerk.data.rollout import rollout
from policywerk.primitives.randomness import below
from policywerk.world.frozen_lake import FrozenLake
from policywerk.world.gridworld import EAST, NORTH, SOUTH, WEST
from policywerk.world.maze import CHANGES, Maze

LEARNERS = (dyna_q, prioritised_sweeping, dyna_q_plus)


def shortest(field):
    """The steps of the shortest way, by going out from the start in rings."""
    ring, seen = {field.start}, {field.start}
    for steps in itertools.count(1):
        ring = {field.neighbour(cell, way) for cell in ring for way in range(4)} - seen
        seen |= ring
        if ring & set(field.terminals):
            return steps


@pytest.mark.parametrize(
    ("kind", "lengths"), [("dyna", (14,)), ("blocking", (10, 16)), ("shortcut", (16, 10))]
)
def test_the_shortest_ways_are_the_textbooks(kind, lengths):
    assert tuple(map(shortest, Maze(kind).maps)) == lengths


def test_the_dyna_maze_is_the_textbooks():
    field = Maze().map
    assert (field.rows, field.columns, field.start) == (6, 9, (2, 0))
    assert list(field.terminals) == [(0, 8)]
    assert set(field.walls) == {(0, 7), (1, 2), (1, 7), (2, 2), (2, 7), (3, 2), (4, 5)}


def test_a_maze_pays_at_the_goal_only_and_then_absorbs():
    maze = Maze("blocking")
    assert maze.reset(seed=3) == ((5, 3), {})
    rewards = [maze.step(way).reward for way in [EAST] * 5 + [NORTH] * 5]
    assert rewards == [0.0] * 9 + [1.0]
    assert maze.step(SOUTH) == ((0, 8), 0.0, True, False, {})
    assert maze.steps == 10


@pytest.mark.parametrize("kind", ["blocking", "shortcut"])
def test_walls_move_when_the_time_has_come_and_not_with_a_reset(kind):
    maze = Maze(kind)
    for k in range(CHANGES[kind]):
        assert maze.map is maze.maps[0]
        if k % 7 == 0:
            maze.reset(seed=k)
        maze.step(WEST)
    assert maze.map is maze.maps[1]
    maze.reset()
    assert maze.map is maze.maps[1]


def test_an_unknown_maze_is_refused_and_a_step_needs_a_reset():
    with pytest.raises(ValueError, match="kind='labyrinth': expected one of dyna, blocking"):
        Maze("labyrinth")
    for world in (Maze(), FrozenLake()):
        with pytest.raises(RuntimeError, match="reset"):
            world.step(0)


@pytest.mark.parametrize("slippery", [False, True])
def test_the_lake_is_gymnasiums_outcome_by_outcome(slippery):
    theirs = gymnasium.make("FrozenLake-v1", is_slippery=slippery).unwrapped.P
    lake = FrozenLake(slippery=slippery)
    assert list(lake.states) == list(theirs)
    for state, action in itertools.product(lake.states, range(4)):
        ours = lake.outcomes(state, action)
        assert [o[1:] for o in ours] == [o[1:] for o in theirs[state][action]]
        chances = [o[0] for o in theirs[state][action]]
        assert [o.probability for o in ours] == pytest.approx(chances, abs=1e-12)
        assert bool(lake.actions(state)) == (not theirs[state][action][0][1:] == (state, 0, True))


def test_the_lake_steps_as_gymnasiums_does():
    env, lake, rng = (
        gymnasium.make("FrozenLake-v1", is_slippery=False),
        FrozenLake(),
        random.Random(5),
    )
    for episode in range(300):
        assert env.reset(seed=episode)[0] == lake.reset(seed=episode)[0]
        over = False
        while not over:
            action = below(2, rng) * 3 if episode % 5 == 0 else below(4, rng)  # some never end
            ours, theirs = lake.step(action), env.step(action)
            assert ours[:4] == tuple(theirs[:4])
            over = ours.terminated or ours.truncated


def test_slippery_ice_does_what_its_model_says():
    lake, counts = FrozenLake(slippery=True), [0] * 16
    lake.reset(seed=1)
    for _ in range(9000):
        lake.state, lake.steps = 10, 0
        counts[lake.step(2).observation] += 1
    for chance, there, _, _ in lake.outcomes(10, 2):
        assert counts[there] / 9000 == pytest.approx(chance, abs=0.02)


def test_without_planning_dyna_is_q_learning_to_the_last_bit():
    for seed in range(3):
        rng = random.Random(seed)
        below(2**31, rng)  # the memory's seed
        plain = q_learning(Maze(), episodes=12, alpha=0.1, gamma=0.95, rng=rng)
        unplanned = dyna_q(Maze(), episodes=12, planning=0, rng=random.Random(seed))
        assert list(plain) == list(unplanned)


def test_the_chapters_three_updates():
    q = ActionValues(4)
    goal, below_it = Move((1, 8), 0, 1.0, 0.0, (0, 8), 0), Move((2, 8), 0, 0.0, 0.95, (1, 8), 0)
    for move in (goal, below_it, goal):
        update(q, move, max(q[move.there]), 0.1)
    assert q[1, 8][0] == pytest.approx(0.19, abs=1e-12)
    assert q[2, 8][0] == pytest.approx(0.0095, abs=1e-12)


def test_a_memory_keeps_the_last_move_of_each_pair_and_recalls_all_alike():
    memory = Memory(random.Random(0))
    first, other, newer = (
        Move("a", 0, 0.0, 1.0, "b", 0),
        Move("b", 1, 0.0, 1.0, "a", 0),
        Move("a", 0, 1.0, 0.0, "c", 0),
    )  # fmt: skip
    for move in (first, other, newer):
        memory.learn(move)
    recalled = [memory.recall() for _ in range(2000)]
    assert set(recalled) == {other, newer}
    assert recalled.count(newer) / 2000 == pytest.approx(0.5, abs=0.05)


def test_moments_relive_only_what_has_been_lived():
    rng, q, memory = random.Random(1), ActionValues(4), Memory(random.Random(2))
    lived = set()
    settings = {"planning": 7, "alpha": 0.1, "gamma": 0.95, "epsilon": 0.1, "rng": rng}
    for move, relived in moments(Maze(), q, memory, **settings):
        lived.add(move._replace(then=0))
        assert len(relived) == 7
        assert {old._replace(then=0) for old in relived} <= lived


def test_urgent_news_travels_a_corridor_in_one_step():
    q = ActionValues(1)
    memory = UrgentMemory(q, random.Random(0), theta=1e-6)
    corridor = [Move(k, 0, 0.0, 0.9, k + 1, 0) for k in range(9)] + [Move(9, 0, 1.0, 0.0, 10, 0)]
    for move in corridor:
        update(q, move, max(q[move.there]), 1.0)
        memory.learn(move)
        memory.settle(move)
    relived = []
    while move := memory.recall():
        update(q, move, max(q[move.there]), 1.0)
        memory.settle(move)
        relived.append(move.state)
    assert relived == list(range(8, -1, -1))
    assert [q[k][0] for k in range(10)] == pytest.approx([0.9 ** (9 - k) for k in range(10)])


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_an_empty_queue_means_that_no_move_is_wrong_by_theta(alpha):
    rng = random.Random(4)
    q = ActionValues(3)
    memory = UrgentMemory(q, random.Random(0), theta=1e-3)
    for _ in range(400):  # a world in which everything changes all the time
        move = Move(below(6, rng), below(3, rng), rng.random(), 0.8, below(6, rng), 0)
        update(q, move, max(q[move.there]), alpha)
        memory.learn(move)
        memory.settle(move)
    while old := memory.recall():
        update(q, old, max(q[old.there]), alpha)
        memory.settle(old)
    for place in range(len(memory.moves)):
        assert memory.error(place) <= 1e-3


def test_curiosity_pays_for_age_and_knows_what_was_never_tried():
    memory = CuriousMemory(2, random.Random(0), kappa=0.1, gamma=0.9)
    for _ in range(9):
        memory.learn(Move("a", 0, 0.5, 0.9, "b", 0))
    memory.learn(Move("b", 1, 0.0, 0.9, "a", 0))
    paid = {(m.state, m.action): (m.reward, m.there) for m in (memory.recall() for _ in range(200))}
    assert paid == {
        ("a", 0): (0.5 + 0.1, "b"),
        ("a", 1): (pytest.approx(0.1 * 10**0.5), "a"),
        ("b", 0): (pytest.approx(0.1 * 10**0.5), "b"),
        ("b", 1): (0.0, "a"),
    }


def test_fifty_memories_a_step_walk_the_maze_by_the_third_episode():
    third = []
    for seed in range(30):
        run = dyna_q(Maze(), episodes=3, planning=50, rng=random.Random(seed))
        third.append([episode.length for episode in run][2])
    assert statistics.median(third) <= 20


def test_planning_pays_and_urgency_pays_more():
    def walked(learner, **settings):
        runs = (learner(Maze(), episodes=5, rng=random.Random(s), **settings) for s in range(20))
        return statistics.median(sum(e.length for e in run) for run in runs)

    none, some = walked(dyna_q, planning=0), walked(dyna_q, planning=5)
    assert walked(prioritised_sweeping, planning=5) < some < none / 2


def test_all_learners_solve_the_lake_that_gymnasium_made():
    for learner in LEARNERS:
        env = gymnasium.make("FrozenLake-v1", is_slippery=False)
        *_, last = learner(env, episodes=400, planning=10, rng=random.Random(3))
        assert rollout(FrozenLake(), greedy(last.q), limit=16).rewards[-1] == 1.0, learner.__name__


@pytest.mark.slow
def test_a_first_walk_is_as_long_as_the_equations_say():
    """868.7 steps: the linear equations for the maze, if all actions are equally likely."""
    firsts = (dyna_q(Maze(), episodes=1, planning=0, rng=random.Random(s)) for s in range(600))
    walks = [next(run).length for run in firsts]
    error = statistics.stdev(walks) / len(walks) ** 0.5
    assert abs(statistics.mean(walks) - 868.7254) < 3 * error


def test_a_clock_is_no_end():
    """The value of a state in which time ran out is that of going on."""
    rng, q, memory = random.Random(0), ActionValues(4), Memory(random.Random(0))
    settings = {"planning": 0, "alpha": 0.1, "gamma": 0.9, "epsilon": 1.0, "rng": rng}
    ends = [list(moments(FrozenLake(), q, memory, **settings))[-1].move for _ in range(40)]
    assert {end.discount for end in ends} == {0.0}  # all fell in, or arrived

    class Shore(FrozenLake):
        def actions(self, state):
            return (0,)

        def outcomes(self, state, action):
            return super().outcomes(0, 0)

    *_, last = moments(Shore(), q, memory, **settings)
    assert last.move.discount == 0.9


def test_dyna_finds_the_values_that_value_iteration_finds():
    run = dyna_q(
        FrozenLake(),
        episodes=300,
        planning=50,
        alpha=0.5,
        epsilon=1.0,
        gamma=0.9,
        rng=random.Random(0),
    )
    *_, last = run
    *_, truth = value_iteration(FrozenLake(), gamma=0.9, theta=1e-9)
    for state in FrozenLake().states:
        if FrozenLake().actions(state):
            assert max(last.q[state]) == pytest.approx(truth.values[state], abs=1e-6)


def test_what_was_yielded_stays_true():
    for learner in LEARNERS:
        run = learner(Maze(), episodes=4, rng=random.Random(0))
        first = next(run)
        kept = {state: list(values) for state, values in first.q.items()}
        list(run)
        assert dict(first.q) == kept, learner.__name__


@pytest.mark.parametrize(
    ("learner", "settings", "words"),
    [
        (dyna_q, {"planning": -1}, "planning=-1: expected 0 or more"),
        (dyna_q, {"alpha": 0.0}, "alpha=0.0"),
        (dyna_q, {"gamma": 1.5}, "gamma=1.5"),
        (dyna_q, {"epsilon": 2.0}, "epsilon=2.0"),
        (prioritised_sweeping, {"theta": 0.0}, "theta=0.0: expected more than 0"),
        (dyna_q_plus, {"kappa": -1.0}, "kappa=-1.0: expected 0 or more"),
    ],
)
def test_bad_settings_are_refused(learner, settings, words):
    with pytest.raises(ValueError, match=words):
        next(learner(Maze(), episodes=1, rng=random.Random(0), **settings))
