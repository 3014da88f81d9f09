"""Poles, boxes, traces and the two learners of 1983, held against Gymnasium and arithmetic."""

import itertools
import math
import random

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywerk.actors.barto_sutton import (
    BALANCE_BOXES,
    CARTPOLE_BOXES,
    FAINT,
    Constants,
    Neurons,
    ace_ase,
)
from policywerk.actors.michie_chambers import Demon, boxes_1968
from policywerk.building_blocks.boxes import Boxes
from policywerk.building_blocks.mdp import Box, Discrete
from policywerk.building_blocks.traces import Traces
from policywerk.data.statistics import median
from policywerk.world.balance import Balance
from policywerk.world.cartpole import LEAN, TRACK, CartPole

# ---------------------------------------------------------------- traces


def test_traces_by_hand():
    piled, fresh = Traces(0.5), Traces(0.5, replacing=True)
    for traces in (piled, fresh):
        for key in ("a", "b", "a"):
            traces.visit(key)
    assert piled.strength == {"a": 1.25, "b": 0.5}
    assert fresh.strength == {"a": 1.0, "b": 0.5}
    table = {"a": 1.0, "b": 1.0, "c": 1.0}
    piled.credit(table, 2.0)
    assert table == {"a": 3.5, "b": 2.0, "c": 1.0}
    piled.clear()
    piled.credit(table, 2.0)
    assert table == {"a": 3.5, "b": 2.0, "c": 1.0}


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-1.0, 0.5, 1.0])), max_size=60),
    st.floats(0.0, 1.0),
    st.booleans(),
)
def test_sparse_traces_are_the_full_ones(visits, decay, replacing):
    sparse, full = Traces(decay, replacing=replacing), [0.0] * 5
    for key, mark in visits:
        sparse.visit(key, mark)
        full = [decay * strength for strength in full]
        full[key] = mark if replacing else full[key] + mark
    for key, strength in enumerate(full):
        assert sparse.strength.get(key, 0.0) == pytest.approx(strength, abs=1e-12)


def test_faint_traces_are_forgotten_and_strong_ones_of_either_sign_kept():
    traces = Traces(0.5, faintest=0.2)
    traces.visit("old", -1.0)
    for _ in range(3):
        traces.visit("new")
    assert traces.strength["old"] == -0.125
    traces.visit("new")
    assert set(traces.strength) == {"new"}


@pytest.mark.parametrize("wrong", [{"decay": 1.1}, {"decay": -0.1}, {"decay": math.nan}])
def test_traces_refuse(wrong):
    with pytest.raises(ValueError, match="decay"):
        Traces(**wrong)
    with pytest.raises(ValueError, match="faintest"):
        Traces(0.5, faintest=-1.0)


# ---------------------------------------------------------------- boxes


def test_every_box_has_its_own_number():
    assert BALANCE_BOXES.count == 36
    assert CARTPOLE_BOXES.count == 162
    places, speeds = (-1.0, 0.0, 1.0), (-1.0, 0.0, 1.0)
    angles = [math.radians(degrees) for degrees in (-9, -3, -0.5, 0.5, 3, 9)]
    spins = [math.radians(degrees) for degrees in (-60, 0, 60)]
    numbers = [CARTPOLE_BOXES(seen) for seen in itertools.product(places, speeds, angles, spins)]
    assert numbers == list(range(162))


def test_boxes_refuse():
    with pytest.raises(ValueError, match="rising"):
        Boxes((0.0, 0.0))
    with pytest.raises(ValueError, match="rising"):
        Boxes(())
    with pytest.raises(ValueError, match="expected 2 numbers"):
        BALANCE_BOXES((0.0, 0.0, 0.0))


# ---------------------------------------------------------------- the hinge


def test_the_hinge_by_hand():
    env = Balance()
    assert env.reset(seed=3) == ((0.01, 0.0), {})
    (angle, velocity), reward, fell, late, _ = env.step(1)
    assert velocity == pytest.approx(0.02 * (9.8 * math.sin(0.01) + 5.0), abs=1e-15)
    assert angle == pytest.approx(0.01 + 0.02 * velocity, abs=1e-15)
    assert (reward, fell, late) == (1.0, False, False)


def test_the_hinge_falls_and_pays_nothing_for_it():
    env = Balance()
    env.reset()
    steps = [env.step(0) for _ in range(60)]
    first = next(k for k, step in enumerate(steps) if step.terminated)
    assert [step.reward for step in steps] == [1.0] * first + [0.0] * (60 - first)
    assert abs(steps[first].observation[0]) > 0.3 >= abs(steps[first - 1].observation[0])
    assert steps[-1].observation == steps[first].observation  # the end absorbs


def test_time_on_the_hinge_is_up_after_500_steps():
    env = Balance()
    seen, _ = env.reset()
    for number in range(1, 501):
        seen, reward, fell, late, _ = env.step(int(seen[0] + seen[1] < 0))
        assert (reward, fell, late) == (1.0, False, number == 500)


def test_a_share_of_power():
    whole, shared = Balance(), Balance(continuous=True)
    assert whole.action_space == Discrete(2)
    assert shared.action_space == Box((-1.0,), (1.0,))
    for action, share in ((0, -1.0), (1, 1.0), (1, 7.0), (0, -math.inf)):
        whole.reset()
        shared.reset()
        assert whole.step(action) == shared.step((share,))
    assert shared.torque([0.5]) == 2.5


@pytest.mark.parametrize(
    ("env", "action"),
    [(Balance(), 2), (Balance(), -1), (Balance(continuous=True), (math.nan,)), (CartPole(), 0.5)],
)
def test_a_world_refuses_what_is_no_action(env, action):
    with pytest.raises(RuntimeError, match="reset"):
        env.step(action)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action="):
        env.step(action)


# ---------------------------------------------------------------- the cart


def test_the_cart_agrees_with_gymnasium_step_by_step():
    theirs, rng = gymnasium.make("CartPole-v1"), random.Random(1)
    ours, falls, far = CartPole(), 0, 0
    for episode in range(60):
        theirs.reset(seed=episode)
        ours.reset(seed=episode)
        ours.state = tuple(map(float, theirs.unwrapped.state))
        if episode % 3 == 0:  # begin near the end of the track, and fast
            ours.state = (2.3 * rng.choice((-1, 1)), rng.uniform(-2, 2), 0.1, rng.uniform(-2, 2))
            theirs.unwrapped.state = ours.state
        over = False
        while not over:
            x, v, angle, spin = ours.state
            steer = angle + 0.5 * spin + 0.01 * x + 0.05 * v > 0
            action = int(steer) if episode % 2 else int(rng.random() < 0.5)
            observed = theirs.step(action)
            step = ours.step(action)
            for a, b in zip(step.observation, theirs.unwrapped.state, strict=True):
                assert abs(a - b) < 1e-12
            ours.state = tuple(map(float, theirs.unwrapped.state))  # or rounding would pile up
            assert (step.reward, step.terminated, step.truncated) == observed[1:4]
            over = step.terminated or step.truncated
        falls += step.terminated
        far += abs(step.observation[0]) > TRACK
    assert 0 < far < falls < 60  # off the track, fallen over, and time up


def test_the_spaces_are_gymnasiums():
    space = gymnasium.make("CartPole-v1").observation_space
    ours = CartPole().observation_space
    assert ours.low == pytest.approx(space.low.tolist())
    assert ours.high == pytest.approx(space.high.tolist())


def test_starts_are_drawn_from_the_seed():
    env = CartPole()
    first, _ = env.reset(seed=5)
    second, _ = env.reset()
    assert first != second
    assert env.reset(seed=5)[0] == first
    assert all(abs(number) <= 0.05 for number in first + second)
    assert CartPole(spread=0.0).reset(seed=5)[0] == (0.0, 0.0, 0.0, 0.0)


def test_friction_slows_the_cart_and_the_pole():
    rough, smooth = CartPole(friction=True), CartPole()
    state = (0.0, 1.0, 0.0, 0.0)
    slower, free = rough.moved(state, 0.0), smooth.moved(state, 0.0)
    assert 0 < free[1] - slower[1] < 2e-5
    state = (0.0, 0.0, 0.0, 1.0)
    assert 0 < smooth.moved(state, 0.0)[3] - rough.moved(state, 0.0)[3] < 1e-5


def test_the_cart_without_a_clock_runs_on():
    env = CartPole(spread=0.0, limit=None)
    x, v, angle, spin = env.reset()[0]
    for _ in range(1200):
        step = env.step(int(angle + 0.5 * spin + 0.01 * x + 0.05 * v > 0))
        x, v, angle, spin = step.observation
        assert not (step.terminated or step.truncated)


@pytest.mark.parametrize("wrong", [{"spread": LEAN}, {"spread": -1.0}, {"limit": 0}])
def test_the_cart_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CartPole(**wrong)


# ---------------------------------------------------------------- the two neurons


def equations(path, actions, fell, constants):
    """The paper's equations, written out with a trace for every box at every step."""
    c, n = constants, 3
    w, v, e, x = ([0.0] * n for _ in range(4))
    for k, (box, right) in enumerate(zip(path, actions, strict=False)):
        e = [c.lambda_actor * t if abs(t) > FAINT else 0.0 for t in e]
        x = [c.lambda_critic * t if abs(t) > FAINT else 0.0 for t in x]
        e[box] += (1 - c.lambda_actor) * (1 if right else -1)
        x[box] += 1 - c.lambda_critic
        ended = fell and k == len(actions) - 1
        delta = -1 - v[box] if ended else c.gamma * v[path[k + 1]] - v[box]
        w = [a + c.alpha * delta * t for a, t in zip(w, e, strict=True)]
        v = [a + c.beta * delta * t for a, t in zip(v, x, strict=True)]
    return w, v


@given(st.lists(st.integers(0, 2), min_size=2, max_size=25), st.booleans())
def test_the_neurons_follow_the_equations(path, fell):
    constants = Constants()
    neurons, actions = Neurons(range(3), random.Random(0), constants), []
    for k, (box, there) in enumerate(itertools.pairwise(path)):
        actions.append(neurons.push(box))
        neurons.learn(there, fell and k == len(path) - 2)
    w, v = equations(path, actions, fell, constants)
    assert [neurons.actor[box] for box in range(3)] == pytest.approx(w, abs=1e-6)
    assert [neurons.critic[box] for box in range(3)] == pytest.approx(v, abs=1e-9)


def test_a_fresh_actor_tosses_a_fair_coin():
    neurons = Neurons(["here"], random.Random(0), Constants())
    rights = sum(neurons.push("here") for _ in range(2000))
    assert abs(rights - 1000) < 4 * math.sqrt(500)


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma", "lambda_actor", "sigma"])
def test_constants_refuse(name):
    with pytest.raises(ValueError, match=name):
        next(ace_ase(Balance(), episodes=1, rng=random.Random(0), **{name: -0.1}))
    with pytest.raises(ValueError, match=name):
        Constants(**{name: math.nan})


def test_the_hinge_is_held_by_the_tenth_trial_at_thirty_seeds():
    firsts = []
    for seed in range(30):
        run = ace_ase(Balance(), episodes=12, rng=random.Random(seed))
        held = [trial.length == 500 for trial in run]
        assert all(held[9:])
        firsts.append(held.index(True) + 1)
    assert median(firsts) <= 5


def test_a_trial_that_was_handed_out_stays_as_it_was():
    learner = ace_ase(Balance(), episodes=5, rng=random.Random(0))
    first = next(learner)
    actor, critic = dict(first.actor), dict(first.critic)
    assert [trial.number for trial in learner] == [2, 3, 4, 5]
    assert (first.actor, first.critic) == (actor, critic)


def test_a_seed_decides_a_run():
    def play(seed):
        return list(ace_ase(Balance(), episodes=6, rng=random.Random(seed)))

    assert play(1) == play(1)
    assert [trial.length for trial in play(1)] != [trial.length for trial in play(29)]


def test_time_that_is_up_is_not_a_fall():
    """A pole held from beginning to end, with nothing feared: no news ever comes."""

    class Held(Balance):
        def step(self, action):
            return super().step(int(self.state[0] + self.state[1] < 0))

    (trial,) = ace_ase(Held(), episodes=1, rng=random.Random(0))
    assert trial.length == 500
    assert set(trial.actor.values()) == set(trial.critic.values()) == {0.0}


def test_it_learns_on_gymnasiums_cart_unchanged():
    best = []
    for seed in range(3):
        env = gymnasium.make("CartPole-v1")
        env.reset(seed=seed)
        learner = ace_ase(env, episodes=50, rng=random.Random(seed), boxes=CARTPOLE_BOXES)
        best.append(max(trial.length for trial in learner))
    assert median(best) >= 200  # random pushes: about 20


# ---------------------------------------------------------------- BOXES


def test_a_demon_by_hand():
    demon = Demon(push=1)
    demon.book([10, 8], 0.5)
    demon.book([4], 0.5)
    assert (demon.life, demon.usage) == ([0.0, 13.0], [0.0, 2.0])
    demon.choose(merit=6.0, weight=2.0, rng=random.Random(0))
    assert demon.push == 1  # (13 + 12) / 4 = 6.25 against 6
    demon.choose(merit=7.0, weight=2.0, rng=random.Random(0))
    assert demon.push == 0  # (13 + 14) / 4 = 6.75 against 7


def test_demons_keep_to_their_push_for_a_trial():
    class Watched(Balance):
        def __init__(self):
            super().__init__()
            self.pushes = {}

        def step(self, action):
            self.pushes.setdefault(BALANCE_BOXES(self.state), set()).add(action)
            return super().step(action)

    env = Watched()
    learner = boxes_1968(env, episodes=20, rng=random.Random(0), boxes=BALANCE_BOXES)
    for trial in learner:
        assert all(len(pushes) == 1 for pushes in env.pushes.values())
        env.pushes.clear()
        assert set(trial.pushes) <= {0, 1}


@pytest.mark.parametrize("wrong", [{"decay": 0.0}, {"decay": 1.1}, {"weight": 0.0}])
def test_boxes_1968_refuses(wrong):
    learner = boxes_1968(
        Balance(), episodes=1, rng=random.Random(0), boxes=BALANCE_BOXES, **wrong
    )
    with pytest.raises(ValueError, match=next(iter(wrong))):
        next(learner)


# ---------------------------------------------------------------- the paper's figure


def longest(learner, horizon):
    """The longest trial of a run that ends when its time is used up."""
    best = used = 0
    for trial in learner:
        best, used = max(best, trial.length), used + trial.length
        if used >= horizon:
            break
    return best, used


def runs(learner, horizon, seeds, **constants):
    for seed in range(seeds):
        env = CartPole(friction=True, spread=0.0, limit=horizon)
        rng = random.Random(seed)
        found = learner(env, episodes=100, rng=rng, boxes=CARTPOLE_BOXES, **constants)
        yield longest(found, horizon)


def test_the_critic_is_what_holds_the_cart():
    whole = [best for best, _ in runs(ace_ase, 20_000, 8)]
    deaf = [best for best, _ in runs(ace_ase, 20_000, 8, beta=0.0)]
    assert median(whole) > 4 * median(deaf)


@pytest.mark.slow
def test_ten_runs_to_the_papers_horizon():
    new = list(runs(ace_ase, 500_000, 10))
    old = list(runs(boxes_1968, 500_000, 10))
    assert sum(used >= 500_000 for _, used in new) >= 5
    assert sum(used >= 500_000 for _, used in old) <= 2
    assert median([best for best, _ in new]) > 50 * median([best for best, _ in old])
