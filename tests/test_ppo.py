"""Distributions, actors, policy gradients and the pendulum: the chapter 2017-ppo.md."""

import math
import random

import gymnasium
import numpy as np
import pytest
from evidence.ppo import EXPERIMENTS, Unscaled, Watched, holds, learn, lost, played, stands, starts
from evidence.store import digest_of

from policywerk.actors.experience import Moment, Player, Segment, handfuls, judged, normalised
from policywerk.actors.ppo import clipped, ppo, ratio_of, surrogate, surrogate_slope
from policywerk.actors.reinforce import by_score, climb, reinforce
from policywerk.building_blocks.actor import Scaled, Spread, actor_for, reach_of, two_layers
from policywerk.building_blocks.distributions import Categorical, Gaussian
from policywerk.building_blocks.gradient_check import apart, by_tape
from policywerk.building_blocks.mdp import Box, Discrete, Step
from policywerk.building_blocks.network import Chain, Dense
from policywerk.building_blocks.optimisers import SGD
from policywerk.data.rollout import rollout
from policywerk.primitives.activations import identity, tanh
from policywerk.primitives.tape import Num, gradient
from policywerk.world.balance import Balance
from policywerk.world.cartpole import CartPole
from policywerk.world.pendulum import Pendulum

BELLS = [0.3, -1.2, -0.5, 0.7]  # two means, two log stds
DIE = [0.4, -1.0, 2.5]

# ---------------------------------------------------------------- distributions


def test_a_bell_curve_has_the_textbook_density():
    bells = Gaussian(BELLS)
    expected = 0.0
    for x, mean, log_std in ((0.1, 0.3, -0.5), (-2.0, -1.2, 0.7)):
        std = math.exp(log_std)
        expected += math.log(
            math.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
        )
    assert bells.log_probability([0.1, -2.0]) == pytest.approx(expected, rel=1e-12)
    assert bells.mode() == [0.3, -1.2]
    assert bells.entropy() == pytest.approx(
        sum(0.5 * math.log(2 * math.pi * math.e * math.exp(2 * s)) for s in (-0.5, 0.7))
    )


def test_a_die_has_shares_that_add_up_to_one():
    die = Categorical(DIE)
    total = sum(map(math.exp, DIE))
    for side, x in enumerate(DIE):
        assert die.log_probability(side) == pytest.approx(math.log(math.exp(x) / total))
    assert sum(die.shares) == pytest.approx(1.0)
    assert die.mode() == 2
    assert Categorical([0.0] * 8).entropy() == pytest.approx(math.log(8))
    assert Categorical([2000.0, 0.0]).log_probability(1) == -2000.0  # and no overflow


@pytest.mark.parametrize(
    "kind, row, action",
    [(Gaussian, BELLS, [0.1, -2.0]), (Gaussian, [0.5, -1.0], [0.5]), (Categorical, DIE, 1)],
)
def test_slopes_agree_with_the_tape(kind, row, action):
    traced = [Num(x) for x in row]
    distribution = kind(traced)
    plain = kind(row)
    assert plain.score(action) == pytest.approx(
        gradient(distribution.log_probability(action), traced), rel=1e-12
    )
    assert plain.entropy_slopes() == pytest.approx(
        gradient(distribution.entropy(), traced), rel=1e-12, abs=1e-12
    )


def test_samples_have_the_mean_spread_and_shares_they_should():
    rng, bells, die = random.Random(0), Gaussian(BELLS), Categorical(DIE)
    drawn = np.array([bells.sample(rng) for _ in range(20_000)])
    assert np.allclose(drawn.mean(0), BELLS[:2], atol=0.05)
    assert np.allclose(drawn.std(0), np.exp(BELLS[2:]), rtol=0.03)
    counts = np.bincount([die.sample(rng) for _ in range(20_000)], minlength=3)
    assert np.allclose(counts / 20_000, die.shares, atol=0.015)


@pytest.mark.parametrize(
    "one, other",
    [
        (Gaussian(BELLS), Gaussian([0.0, -1.0, 0.2, 0.3])),
        (Categorical(DIE), Categorical([0.0, 0.5, 1.0])),
    ],
)
def test_divergence_is_the_mean_log_ratio(one, other):
    rng = random.Random(1)
    drawn = [one.sample(rng) for _ in range(40_000)]
    ratios = [one.log_probability(a) - other.log_probability(a) for a in drawn]
    assert one.divergence(other) == pytest.approx(np.mean(ratios), rel=0.03)
    assert one.divergence(other) > 0.0 == pytest.approx(one.divergence(one), abs=1e-12)


# ---------------------------------------------------------------- actors


def test_inputs_are_scaled_by_half_their_bounds():
    assert reach_of(Balance().observation_space) == [0.3, 1.0]
    assert reach_of(Pendulum().observation_space) == [0.5, 0.5, 4.0]
    assert reach_of(Box((-3.0, -1e38), (1.0, 1e38))) == [1.5, 1.0]
    theirs = reach_of(gymnasium.make("CartPole-v1").observation_space)
    assert theirs == pytest.approx(reach_of(CartPole().observation_space), rel=1e-6)


def test_a_scaled_layer_and_the_spread_agree_with_the_tape():
    rng = random.Random(2)
    layers = [Scaled(Dense(2, 4, tanh, rng), [0.3, 2.0]), Dense(4, 1, identity, rng)]
    chain = Chain([*layers, Spread([2.0], 0.3)])
    batch, weights = [[0.1, -0.7], [-0.2, 1.5], [0.05, 0.3]], [[0.5, -1.0], [1.0, 2.0], [-2.0, 0.3]]

    def loss():
        rows, _ = chain.forward(batch)
        return sum(x * w for row, ws in zip(rows, weights, strict=True)
                   for x, w in zip(row, ws, strict=True))  # fmt: skip

    gradients, _ = chain.backward(chain.forward(batch)[1], weights, inputs=False)
    assert apart(gradients, by_tape(loss, chain.parameters())) < 1e-12
    assert chain([0.1, 0.1])[1] == pytest.approx(math.log(0.6))
    _, slopes = chain.backward(chain.forward(batch)[1], weights)
    nudged = [[0.1 + 1e-6, -0.7], *batch[1:]]
    before = loss()
    batch[:] = nudged
    assert slopes[0][0] == pytest.approx((loss() - before) / 1e-6, rel=1e-4)


def test_the_world_decides_the_kind_of_actor():
    rng = random.Random(0)
    assert actor_for(CartPole(), 8, 0.6, rng).kind is Categorical
    actor = actor_for(Pendulum(), 8, 0.6, rng)
    seen, _ = Pendulum().reset(seed=0)
    policy = actor.distribution(seen)
    assert isinstance(policy, Gaussian)
    assert policy.stds == pytest.approx([1.2]) and actor(seen) == policy.mode()
    assert abs(actor(seen)[0]) < 0.6


# ---------------------------------------------------------------- what was played


class Clock:
    """Counts: pays its number at each step; ends at 3, or is stopped after `limit` steps."""

    action_space, observation_space = Discrete(2), Box((0.0,), (2.0,))

    def __init__(self, limit):
        self.limit = limit

    def reset(self, *, seed=None):
        self.count = 0
        return (0.0,), {}

    def step(self, action):
        self.count += 1
        ends = self.count == 3
        late = not ends and self.count == self.limit
        return Step((float(self.count),), float(self.count), ends, late, {})


def test_the_player_cuts_at_ends_and_goes_on_where_it_was():
    actor = actor_for(Clock(9), 4, 0.6, random.Random(0))
    player = Player(Clock(9), random.Random(0))
    first = player.play(actor, 5)
    assert [part.rewards for part in first] == [[1.0, 2.0, 3.0], [1.0, 2.0]]
    assert [part.terminated for part in first] == [True, False]
    assert first[1].observations == [[0.0], [1.0], [2.0]]
    assert player.totals == [6.0]
    second = player.play(actor, 2)
    assert [part.observations for part in second] == [[[2.0], [3.0]], [[0.0], [1.0]]]
    assert player.totals == [6.0]  # what was earned before the cut counts
    whole = Player(Clock(9), random.Random(0)).play(actor, 4, whole=True)
    assert [len(part.actions) for part in whole] == [3, 3]


def says(value):
    chain = Chain([Dense(1, 1, identity, random.Random(0))])
    chain.load([[value], [0.0]])
    return chain


def goals(terminated, critic, lam, gamma=0.5):
    part = Segment([[0.0]] * 3, [None] * 2, [0, 0], [1.0, 2.0], terminated)
    return list(judged(part, critic, gamma, lam))


def test_a_fall_is_the_end_and_the_clock_is_not():
    # rewards are halved by 1 - gamma: 0.5 and 1
    fallen, stopped = goals(True, says(8.0), 1.0), goals(False, says(8.0), 1.0)
    assert [m.goal for m in fallen] == [0.5 + 0.5 * 1.0, 1.0]
    assert [m.goal for m in stopped] == [0.5 + 0.5 * (1.0 + 0.5 * 8.0), 1.0 + 0.5 * 8.0]
    assert [m.advantage for m in stopped] == [m.goal - 8.0 for m in stopped]
    one_step = goals(False, says(8.0), 0.0)
    assert [m.goal for m in one_step] == [0.5 + 4.0, 1.0 + 4.0]
    assert [m.goal for m in goals(False, None, 1.0)] == [1.0, 1.0]


def test_advantages_are_the_discounted_sum_of_later_errors():
    """Schulman's form of the generalised advantage."""
    rng = random.Random(3)
    gamma, lam, critic = 0.9, 0.7, Chain(two_layers(Balance(), 6, 1, rng))
    seen = [[rng.uniform(-0.2, 0.2), rng.uniform(-1, 1)] for _ in range(8)]
    rewards = [rng.random() for _ in range(7)]
    for terminated in (False, True):
        part = Segment(seen, [None] * 7, [0] * 7, rewards, terminated)
        v = [critic(x)[0] for x in seen]
        v[-1] = 0.0 if terminated else v[-1]
        deltas = [0.1 * r + gamma * b - a for r, a, b in zip(rewards, v, v[1:], strict=False)]
        for k, moment in enumerate(judged(part, critic, gamma, lam)):
            later = sum((gamma * lam) ** n * d for n, d in enumerate(deltas[k:]))
            assert moment.advantage == pytest.approx(later, abs=1e-12)


def test_normalised_and_handfuls():
    moments = [Moment([0.0], None, 0, float(a), 0.0) for a in range(10)]
    advantages = [m.advantage for m in normalised(moments)]
    assert np.mean(advantages) == pytest.approx(0.0, abs=1e-12)
    assert np.std(advantages) == pytest.approx(1.0, abs=1e-6)
    parts = list(handfuls(moments, 4, random.Random(0)))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert sorted(m.advantage for part in parts for m in part) == list(range(10))


# ---------------------------------------------------------------- gradients


def some_moments(env, seed, count=6):
    rng = random.Random(seed)
    actor = actor_for(env, 5, 0.6, rng)
    moments = [
        moment._replace(advantage=rng.uniform(-2, 2))
        for part in Player(env, rng).play(actor, count)
        for moment in judged(part, None, 0.9, 1.0)
    ]
    return actor, moments


@pytest.mark.parametrize("env", [Balance(continuous=True), CartPole(), Pendulum()])
def test_the_gradients_of_the_clipped_objective_agree_with_the_tape(env):
    actor, moments = some_moments(env, 4, 12)
    rng = random.Random(5)
    for row in actor.chain.parameters():  # another policy than the one that played
        row[:] = [x + rng.gauss(0.0, 0.2) for x in row]
    ratios = [ratio_of(actor.distribution(m.observation), m) for m in moments]
    clip = sorted(abs(ratio - 1.0) for ratio in ratios)[len(ratios) // 2]  # one at the corner
    bonus = 0.05

    def objective():
        rows, _ = actor.chain.forward([moment.observation for moment in moments])
        total = 0.0
        for row, moment in zip(rows, moments, strict=True):
            policy = actor.kind(row)
            total += surrogate(ratio_of(policy, moment), moment.advantage, clip)
            total += bonus * policy.entropy()
        return total * (1.0 / len(moments))

    expected = by_tape(objective, actor.chain.parameters())
    before = actor.chain.state()
    climb(actor, SGD(actor.chain.parameters(), 1.0), moments, clipped(clip, bonus))
    moved = [[b - a for a, b in zip(*rows, strict=True)]
             for rows in zip(before, actor.chain.state(), strict=True)]  # fmt: skip
    assert apart(moved, expected) < 1e-9


@pytest.mark.parametrize("advantage", [1.5, -1.5])
@pytest.mark.parametrize("ratio", [0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.6])
def test_the_slope_of_the_surrogate_on_both_sides_and_at_the_corners(ratio, advantage):
    clip = 0.25  # 0.75 and 1.25 are its corners, without rounding
    log_ratio = Num(math.log(ratio))
    traced = Num(ratio, "exp", (log_ratio,), (ratio,))
    value = surrogate(traced, advantage, clip)
    slope = surrogate_slope(ratio, advantage, clip)
    expected = gradient(value, [log_ratio])[0] if isinstance(value, Num) else 0.0
    assert slope == pytest.approx(expected, abs=1e-12)
    # from the middle, the slope is still there at the corner, and gone beyond it
    gone = ratio > 1.25 if advantage > 0 else ratio < 0.75
    assert (slope == 0.0) == gone


def test_at_the_policy_that_played_the_surrogate_climbs_like_reinforce():
    actor, moments = some_moments(Balance(continuous=True), 6)
    for moment in moments:
        policy = actor.distribution(moment.observation)
        assert clipped(0.2, 0.0)(policy, moment) == by_score(policy, moment)


def test_actions_are_not_clamped_before_their_probability_is_taken():
    """A spread far beyond the motor's power: samples beyond 1 stay as they were drawn."""
    env, rng = Balance(continuous=True), random.Random(7)
    actor = actor_for(env, 4, 5.0, rng)
    (part,) = Player(env, rng).play(actor, 5)
    assert max(abs(action[0]) for action in part.actions) > 1.0
    for policy, action in zip(part.policies, part.actions, strict=True):
        z = (action[0] - policy.means[0]) / 5.0
        assert policy.score(action)[1] == pytest.approx(z * z - 1.0)


# ---------------------------------------------------------------- learners


@pytest.mark.parametrize(
    "name, value",
    [("clip", 0.0), ("epochs", 0), ("kl_stop", 0.0), ("gamma", 1.0), ("lam", 1.1), ("steps", 0),
     ("minibatch", 0), ("iterations", 0)],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        next(ppo(Balance(continuous=True), rng=random.Random(0), **{name: value}))


def test_records_stay_true_and_seeds_decide():
    def run():
        env = Balance(continuous=True)
        return list(ppo(env, iterations=3, rng=random.Random(8), steps=60, epochs=2))

    one, other = run(), run()
    assert [r.actor.chain.state() for r in one] == [r.actor.chain.state() for r in other]
    assert one[0].actor.chain.state() != one[1].actor.chain.state()
    assert [r.epochs for r in one] == [2, 2, 2] and [r.number for r in one] == [1, 2, 3]


def test_the_kl_stop_ends_an_iteration_early():
    env, rng = CartPole(), random.Random(9)
    settings = {"iterations": 4, "steps": 200, "epochs": 10, "rate": 0.02, "kl_stop": 0.005}
    for record in ppo(env, rng=rng, **settings):
        assert (record.kl > 0.005) == (record.epochs < 10)
        assert math.isnan(record.std) and record.entropy <= math.log(2) + 1e-12
    assert record.epochs < 10


def test_ppo_holds_the_pole():
    *_, last = ppo(Balance(continuous=True), rng=random.Random(1234))
    assert holds(last.actor)
    assert sum(holds(last.actor, (a, v)) for a in (-0.1, 0.1) for v in (-0.4, 0.4)) >= 3
    trajectory = rollout(Balance(continuous=True), last.actor)
    assert len(trajectory.actions) == 500 and not trajectory.terminated


def test_reinforce_learns_and_its_critic_does_only_when_asked():
    records = list(reinforce(Balance(continuous=True), iterations=12, rng=random.Random(0)))
    assert records[-1].reward > 2 * records[0].reward
    assert records[0].critic.state() == records[-1].critic.state()
    with_critic = list(
        reinforce(Balance(continuous=True), iterations=2, rng=random.Random(0), baseline=True)
    )
    assert with_critic[0].critic.state() != with_critic[1].critic.state()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_ten_of_ten_hold_the_pole(seed):
    *_, last = ppo(Balance(continuous=True), rng=random.Random(seed))
    assert holds(last.actor)


@pytest.mark.slow
def test_ppo_solves_gymnasiums_cartpole():
    env = gymnasium.make("CartPole-v1")
    *_, last = ppo(env, iterations=40, steps=1000, rng=random.Random(0))
    totals = [sum(rollout(env, last.actor, seed=10_000 + game).rewards) for game in range(100)]
    assert sum(totals) / 100 >= 475.0


# ---------------------------------------------------------------- Pendulum


def test_the_pendulum_is_gymnasiums_step_by_step():
    theirs, ours, rng = gymnasium.make("Pendulum-v1"), Pendulum(), random.Random(0)
    for episode in range(5):
        theirs.reset(seed=episode)
        ours.reset(seed=episode)
        theirs.unwrapped.state = np.array(ours.state)
        for step in range(200):
            action = [rng.uniform(-3.0, 3.0)]
            one, other = ours.step(action), theirs.step(np.array(action))
            assert np.allclose(one.observation, other[0], atol=1e-5)
            assert one.reward == pytest.approx(float(other[1]), abs=1e-6)
            assert (one.terminated, one.truncated) == other[2:4] == (False, step == 199)


def test_the_pendulum_starts_like_gymnasiums_and_says_when_it_cannot_step():
    env = Pendulum()
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        env.step([0.0])
    starts = [env.reset(seed=seed) and env.state for seed in range(300)]
    assert max(abs(a) for a, _ in starts) <= math.pi and max(abs(v) for _, v in starts) <= 1.0
    assert min(a for a, _ in starts) < -3.0 and max(a for a, _ in starts) > 3.0
    assert env.reset(seed=5) == Pendulum().reset(seed=5)
    theirs = gymnasium.make("Pendulum-v1")
    assert theirs.observation_space.high.tolist() == list(env.observation_space.high)
    assert theirs.action_space.low.tolist() == list(env.action_space.low)


# ---------------------------------------------------------------- the evidence


def test_what_physics_allows_is_what_a_formula_saves():
    field = starts(200)
    assert len(set(field)) == 200
    assert max(abs(a) for a, _ in field) <= 0.3 and max(abs(v) for _, v in field) <= 1.5
    for start in field:
        assert lost(start) != holds(lambda seen: [-20 * seen[0] - 6 * seen[1]], start)
    assert lost((0.29, 1.5)) and not lost((0.29, -0.5))
    assert stands(lambda _: [0.0], (0.0, 0.0))[0] == 500


def test_a_watched_world_counts_and_may_call_the_clock_an_end():
    plain, wrong = Watched(Balance(continuous=True)), Watched(Balance(continuous=True), an_end=True)
    for env, ends in ((plain, (False, True)), (wrong, (True, False))):
        env.reset()
        env.world.steps = 499
        answer = env.step([0.0])
        assert (answer.terminated, answer.truncated) == ends and env.steps == 1
    assert reach_of(Unscaled(Balance(continuous=True)).observation_space) == [1.0, 1.0]


def test_learning_stops_at_its_budget_and_writes_down_each_round():
    env = Watched(CartPole())
    rounds, last = learn(ppo, env, 0, 300, steps=100, epochs=1)
    assert [row[0] for row in rounds] == [100, 200, 300] and env.steps == 300
    assert all(row[2] is None and row[5] == 1 for row in rounds)  # a die has no spread
    games = played(CartPole, last.actor)
    assert len(games) == 20 and min(games) > 5 and games == played(CartPole, last.actor)


def test_each_experiment_has_its_own_digest():
    digests = {digest_of(name, "evidence.ppo") for name in EXPERIMENTS}
    assert len(digests) == len(EXPERIMENTS)
