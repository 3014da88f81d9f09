"""The map: its moves, its chances, its refusals."""

from collections import Counter

import pytest

from policywerk.world.gridworld import EAST, MOVES, NORTH, SOUTH, WEST, GridWorld


def test_the_standard_map_is_the_one_the_chapter_describes():
    world = GridWorld()
    assert (world.rows, world.columns) == (5, 5)
    assert (world.start, world.walls) == ((4, 0), [(1, 1)])
    assert world.terminals == {(0, 4): 1.0, (1, 3): -1.0}
    assert len(world.states) == 24


@pytest.mark.parametrize(
    ("cell", "action", "there", "reward", "ended"),
    [
        ((4, 0), NORTH, (3, 0), -0.04, False),
        ((4, 0), SOUTH, (4, 0), -0.04, False),  # the edge
        ((4, 0), WEST, (4, 0), -0.04, False),
        ((1, 0), EAST, (1, 0), -0.04, False),  # the wall
        ((0, 3), EAST, (0, 4), 1.0, True),
        ((0, 3), SOUTH, (1, 3), -1.0, True),
        ((1, 4), WEST, (1, 3), -1.0, True),
    ],
)
def test_moves_on_a_dry_floor(cell, action, there, reward, ended):
    assert GridWorld().outcomes(cell, action) == [(1.0, there, reward, ended)]


def test_a_slip_goes_to_either_side_and_never_back():
    world = GridWorld(slip=0.1)
    for action in range(4):
        row, column = MOVES[action]
        chances = {there: chance for chance, there, _, _ in world.outcomes((3, 2), action)}
        assert chances == {
            (3 + row, 2 + column): 0.8,
            (3 + column, 2 + row): 0.1,
            (3 - column, 2 - row): 0.1,
        }


@pytest.mark.parametrize("slip", [0.0, 0.1, 0.25, 0.5])
def test_chances_add_up_in_every_state(slip):
    world = GridWorld(slip=slip)
    for state in world.states:
        for action in world.actions(state):
            assert abs(sum(o.probability for o in world.outcomes(state, action)) - 1.0) < 1e-12


def test_the_end_absorbs():
    world = GridWorld("SG")
    world.reset(seed=0)
    assert world.step(EAST) == ((0, 1), 1.0, True, False, {})
    assert world.step(WEST) == ((0, 1), 0.0, True, False, {})
    assert world.actions((0, 1)) == ()
    assert world.reset()[0] == (0, 0)


def test_steps_happen_as_often_as_the_model_says():
    world = GridWorld(slip=0.2)
    counts: Counter = Counter()
    world.reset(seed=1)
    for _ in range(20_000):
        world.state = (3, 2)
        counts[world.step(NORTH).observation] += 1
    for chance, there, _, _ in world.outcomes((3, 2), NORTH):
        assert abs(counts[there] / 20_000 - chance) < 0.015


def test_a_seed_decides_the_walk():
    def walk(seed):
        world = GridWorld(slip=0.3)
        cells = [world.reset(seed=seed)[0]]
        return cells + [world.step(k % 4).observation for k in range(50)]

    assert walk(7) == walk(7)
    assert walk(7) != walk(8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"slip": 0.6}, "slip=0.6: expected 0 to 0.5"),
        ({"slip": -0.1}, "slip=-0.1: expected 0 to 0.5"),
        ({"layout": "S.. .."}, "rows of one length"),
        ({"layout": "S.x"}, "made of . # S G P"),
        ({"layout": "..G"}, "exactly one S"),
        ({"layout": "S.S"}, "exactly one S"),
    ],
)
def test_bad_maps_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        GridWorld(**arguments)


def test_stepping_before_reset_says_what_to_do():
    with pytest.raises(RuntimeError, match="reset"):
        GridWorld().step(NORTH)
