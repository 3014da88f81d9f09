"""The worlds and the learner of the chapter 2013-dqn.md, and the evidence it reads."""

import ast
import itertools
import json
import math
import random
from copy import copy

import pytest
from evidence.__main__ import confirm, run
from evidence.dqn import (
    EXPERIMENTS,
    after_random_moves,
    best,
    catcher_of,
    eyes,
    finish,
    table,
    unseen_starts,
)
from evidence.store import MODULES, Sources, _skeleton, digest_of, evidence, experiments, path_of

from policywerk.actors.dqn import Memory, Target, Transition, between, dqn, lesson
from policywerk.building_blocks.losses import squared_error
from policywerk.building_blocks.network import Network
from policywerk.building_blocks.optimisers import SGD
from policywerk.primitives.activations import identity
from policywerk.world.breakout import COLUMNS, LEFT, RIGHT, ROWS, STAY, WALL, Breakout
from policywerk.world.catcher import SIZE, Catcher

# ---------------------------------------------------------------- Breakout


def served(**changes):
    world = Breakout()
    world.reset(seed=0)
    for name, value in changes.items():
        setattr(world, name, value)
    return world


def test_the_serve_and_the_screen():
    screen, info = Breakout().reset(seed=0)
    pixels = [screen[row * COLUMNS : (row + 1) * COLUMNS] for row in range(ROWS)]
    assert len(screen) == 82 and screen[80:] == (1.0, 1.0) and info == {}
    assert pixels[0] == pixels[1] == (0.0, *(0.5,) * 6, 0.0)
    assert [place for place, x in enumerate(screen) if x == 0.7] == [3 * COLUMNS + 4]
    assert pixels[9] == (0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)


def test_an_untouched_paddle_misses_after_six_steps():
    world = served()
    rewards = [world.step(LEFT).reward for _ in range(5)]
    last = world.step(LEFT)
    assert rewards == [-0.01] * 5
    assert (last.reward, last.terminated, last.truncated) == (-1.0, True, False)
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        world.step(STAY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((4, 7, 1, 1), (5, 7, 1, -1)),  # a side wall turns the ball, which keeps its column
        ((4, 0, -1, -1), (3, 0, -1, 1)),
        ((0, 0, -1, -1), (0, 0, 1, 1)),  # the ceiling, and the wall at once
        ((2, 3, -1, 1), (2, 4, 1, 1)),  # a brick turns it, and it keeps its row
        ((8, 2, 1, 1), (8, 3, -1, 1)),  # the paddle
    ],
)
def test_the_ball_bounces(before, after):
    names = ("row", "column", "down", "right")
    world = served(**dict(zip(names, before, strict=True)))
    world.step(STAY)
    assert tuple(getattr(world, name) for name in names) == after


def test_a_brick_pays_and_the_last_one_ends_the_game():
    world = served(row=2, column=3, down=-1, right=1)
    assert world.step(STAY).reward == 1.0
    assert world.bricks == frozenset(WALL) - {(1, 4)}
    world = served(row=2, column=3, down=-1, right=1, bricks=frozenset({(1, 4)}))
    step = world.step(STAY)
    assert (step.reward, step.terminated, step.truncated) == (1.0, True, False)


def test_the_clock_truncates():
    world = served()
    for _ in range(200):
        world.steps = max(world.steps, 150)
        world.bricks = frozenset(WALL)
        step = world.step(catcher_of(world)(()))
        if world.over:
            break
    assert world.steps == 200 and step.truncated and not step.terminated


def test_the_fixed_game_has_570_screens_and_perfect_play_takes_101_steps():
    world = served()
    seen, waiting = {world.screen()}, [world]
    while waiting:
        before = waiting.pop()
        for action in range(3):
            after = copy(before)
            after.steps = 0
            screen, *_ = after.step(action)
            if screen not in seen:
                seen.add(screen)
                waiting += [] if after.over else [after]
    assert len(seen) == 570
    world = served()
    assert finish(world, catcher_of(world), world.screen()) == 12
    assert world.steps == 101


def test_a_lively_game_begins_anywhere_and_a_seed_repeats_it():
    world = Breakout(lively=True)
    starts = set()
    for seed in range(400):
        screen, _ = world.reset(seed=seed)
        assert len(world.bricks) == 8 and world.bricks <= set(WALL)
        assert (world.row, world.down) == (3, 1)
        starts.add((world.column, world.right, world.bricks))
        assert world.reset(seed=seed)[0] == screen
    assert len(starts) > 380
    assert {(column, right) for column, right, _ in starts} == set(
        itertools.product(range(8), (-1, 1))
    )


def test_screens_lie_in_their_space():
    for world in (Breakout(lively=True), Catcher()):
        space, rng = world.observation_space, random.Random(0)
        screen, _ = world.reset(seed=0)
        for _ in range(300):
            assert len(screen) == len(space.low) == len(space.high)
            assert all(map(lambda low, x, high: low <= x <= high, space.low, screen, space.high))
            screen, *_ = world.step(int(rng.random() * 3)) if not world.over else world.reset()


# ---------------------------------------------------------------- Catcher


def follow(world):
    return STAY + (world.column > world.paddle + 1) - (world.column < world.paddle + 1)


def test_catcher_can_be_played_to_the_end():
    for seed in range(20):
        world, total = Catcher(), 0.0
        world.reset(seed=seed)
        while not world.over:
            step = world.step(follow(world))
            total += step.reward
        assert total == 10.0 and step.truncated and not step.terminated


def test_a_missed_fruit_ends_catcher():
    world = Catcher()
    world.reset(seed=0)
    world.column, world.paddle = 15, 0
    rewards = [world.step(LEFT).reward for _ in range(14)]
    step = world.step(LEFT)
    assert rewards == [0.0] * 14 and (step.reward, step.terminated) == (-1.0, True)
    assert world.row == SIZE - 1


def test_catchers_screen():
    world = Catcher()
    screen, _ = world.reset(seed=4)
    assert screen[world.column] == 1.0
    assert [x for x in screen if x] == [1.0, 0.7, 0.7, 0.7]
    world.step(RIGHT)
    assert world.screen()[16 + world.column] == 1.0


# ---------------------------------------------------------------- the learner


def test_the_memory_keeps_the_newest():
    memory = Memory(3)
    for number in range(8):
        memory.add(number)
    assert sorted(memory.transitions) == [5, 6, 7]
    assert set(memory.sample(100, random.Random(0))) == {5, 6, 7}


def test_a_lesson_by_hand():
    online, copied = (Network([2, 2], [identity], random.Random(s)) for s in (0, 1))
    online.load([[0.5, 0.1], [0.0, 0.0], [0.0, 0.0]])
    copied.load([[0.25, 0.75], [0.0, 0.0], [0.0, 0.0]])
    target = Target(copied)
    batch = [
        Transition((1.0, 0.0), 0, 1.0, 0.5, (0.0, 0.0)),  # goal 1.375, error -0.875
        Transition((0.0, 0.0), 1, -2.0, 0.0, (0.0, 0.0)),  # goal -2, error 2.1, slope 1
    ]
    loss = lesson(online, target, SGD(online.parameters(), 1.0), batch)
    assert loss == pytest.approx((0.5 * 0.875**2 + 1.6) / 2)
    assert online.state()[0] == pytest.approx([0.5 + 0.4375, 0.1 - 0.5])
    assert online.state()[1] == pytest.approx([0.4375, 0.0])
    assert target.copy.state()[0] == [0.25, 0.75]


def test_the_target_is_a_copy_and_is_asked_once_until_it_is_renewed(monkeypatch):
    asked, forward = [], Network.forward
    monkeypatch.setattr(Network, "forward", lambda self, x: asked.extend(x) or forward(self, x))
    network = Network([2, 3], [identity], random.Random(0))
    target, screens = Target(network), [(0.0, 1.0), (1.0, 0.0), (0.0, 1.0)]
    first = forward(network, screens)[0]
    network.parameters()[0][0] += 1.0
    assert target.values(screens[:2]) == first[:2] and asked == screens[:2]
    assert target.values([*screens, (1.0, 1.0)])[:3] == first and asked[2:] == [(1.0, 1.0)]
    target.renew(network)
    assert target.values(screens) == forward(network, screens)[0] != first


def test_a_loss_that_is_not_finite_is_an_error():
    network = Network([1, 2], [identity], random.Random(0))
    bad = [Transition((1.0,), 0, math.inf, 0.0, (1.0,))]
    with pytest.raises(FloatingPointError, match="smaller rate"):
        lesson(network, Target(network), SGD(network.parameters(), 0.1), bad, squared_error)


def test_between():
    assert [between(1.0, 0.0, share) for share in (0.0, 0.25, 1.0, 3.0)] == [1.0, 0.75, 0.0, 0.0]


class Lever:
    """Two actions, one step: the second pays 1, the first nothing."""

    class action_space:
        n = 2

    def reset(self, *, seed=None):
        return (1.0,), {}

    def step(self, action):
        return (1.0,), float(action), True, False, {}


def test_it_learns_a_lever_and_its_records_stay_true():
    records = list(dqn(Lever(), steps=402, rng=random.Random(0), warm_up=10, exploring=200))
    assert len(records) == 402 and records[-1].length == 1
    assert records[-1].network([1.0]) == pytest.approx([0.0, 1.0], abs=0.1)
    assert math.isnan(records[0].loss) and records[-1].loss < 0.1
    assert records[0].epsilon == 1.0 and records[-1].epsilon == pytest.approx(0.1)
    states = [record.network.state() for record in records]
    assert states[0] != states[-1]
    again = list(dqn(Lever(), steps=402, rng=random.Random(0), warm_up=10, exploring=200))
    assert [record.network.state() for record in again] == states


def test_the_last_episode_is_played_out():
    *_, last = records = list(dqn(Breakout(), steps=50, rng=random.Random(0)))
    total = sum(record.length for record in records)
    assert total >= 50 > total - last.length


def test_it_is_given_eyes():
    eyes_of_zero = eyes(random.Random(0))
    before = eyes_of_zero.state()
    *_, last = dqn(Catcher(), steps=24, warm_up=8, rng=random.Random(0), network=eyes_of_zero)
    assert len(last.network([0.0] * SIZE**2)) == 3
    assert eyes_of_zero.state() == before != last.network.state()


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"gamma": 1.5}, {"epsilon": (1.0, -0.1)}, {"sync": 0}, {"replay": 0}]
)
def test_mistakes_are_named_at_the_door(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        next(dqn(Breakout(), rng=random.Random(0), **wrong))


def test_it_runs_on_gymnasium_as_it_is():
    gymnasium = pytest.importorskip("gymnasium")
    *_, last = dqn(gymnasium.make("CartPole-v1"), steps=150, rng=random.Random(0))
    assert len(last.network([0.0] * 4)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [101, 102])
def test_the_recipe_clears_the_wall(seed):
    *_, last = dqn(Breakout(), rng=random.Random(seed))
    assert after_random_moves(lambda _: lambda screen: best(last.network(screen)), 0) >= 11


# ---------------------------------------------------------------- evidence


def test_the_ceilings_that_the_page_quotes():
    assert [after_random_moves(catcher_of, moves) for moves in range(4)] == [12.0] * 4
    assert sum(unseen_starts(catcher_of)) / 100 > 7.5


def test_a_table_solves_the_fixed_game():
    assert table(5, lively=False, steps=20_000, lessons=0)["bricks"] == [12.0]


def test_every_experiment_has_its_own_digest():
    digests = {digest_of(name, "evidence.dqn") for name in EXPERIMENTS}
    assert len(digests) == len(EXPERIMENTS) == len(experiments("evidence.dqn"))
    assert "evidence.dqn" in MODULES


def test_only_what_can_change_a_result_is_in_the_digest():
    def skeleton(text):
        return _skeleton(ast.parse(text).body)

    plain = "def f(x):\n    if x < 0:\n        raise ValueError('no')\n    return x + 1"
    said = plain.replace("x):\n", 'x):\n    "Says."  # why\n').replace("'no'", "'not so'")
    assert skeleton(plain) == skeleton(said)
    assert skeleton(plain) != skeleton(plain.replace("+ 1", "+ 2"))


def test_results_of_other_code_are_stale_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr("evidence.store.FOLDER", tmp_path)
    line = '{"seed": %d, "result": {"bricks": [%d]}}\n'
    missing = evidence("dqn-fixed", "evidence.dqn")
    assert missing.results == [] and not missing.stale
    tmp_path.joinpath("dqn-fixed-000000000000.jsonl").write_text(line % (0, 3))
    old = evidence("dqn-fixed", "evidence.dqn")
    assert old.stale and old.of("bricks") == [[3]]
    assert "Stale" in Sources(old)._repr_html_() and "STALE" in repr(Sources(old))
    path_of("dqn-fixed", "evidence.dqn").write_text(line % (1, 12) + line % (0, 11))
    new = evidence("dqn-fixed", "evidence.dqn")
    assert not new.stale and new.of("bricks") == [[11], [12]]
    assert "Stale" not in Sources(new)._repr_html_()


def test_results_are_taken_over_only_if_todays_code_gives_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("evidence.store.FOLDER", tmp_path)
    name, module = "table-fixed", "evidence.dqn"
    older, current = tmp_path / f"{name}-000000000000.jsonl", path_of(name, module)
    result = run(module, name, 3)
    for bricks, holds in ([0.0], False), (result["bricks"], True):
        kept = [{"seed": 3, "result": {**result, "bricks": bricks, "seconds": 0.0}},
                {"seed": 1, "result": {**result, "bricks": [-1.0], "seconds": 9.0}}]  # fmt: skip
        older.write_text("".join(f"{json.dumps(record)}\n" for record in kept))
        assert confirm({name: module}) == holds
        assert (older.exists(), current.exists()) == (not holds, holds)
    assert len(evidence(name, module).results) == 2
    capsys.readouterr()
    assert confirm({name: module})
    assert capsys.readouterr().out.startswith("nothing to confirm")
