"""Dreamer: the world, every slope against the tape, and what is learned."""

import math
import random
from copy import deepcopy

import pytest
from evidence.dreamer import (
    AHEAD,
    ASIDE,
    DIAGONAL,
    EXPERIMENTS,
    WALKS,
    WARM,
    TwoScreens,
    drift,
    judged,
    one_screen,
    walk,
    without_a_model,
    world,
)
from evidence.store import MODULES, digest_of, experiments

from policywerk.actors.dream_learning import dream_lesson, reinforce
from policywerk.actors.dreamer import Agent, Diary, Wanderer, dreamer
from policywerk.actors.imagination import dream, worth
from policywerk.actors.model_learning import Weights, binary_cross_entropy, model_lesson
from policywerk.actors.world_model import SHADOWS, Moment, Sight, WorldModel, observe
from policywerk.building_blocks.gaussian import Belief, certain, disagreement, drawn, gaussian
from policywerk.building_blocks.gradient_check import apart, by_nudging, by_tape
from policywerk.building_blocks.gru import GRU, through
from policywerk.building_blocks.losses import cross_entropy, squared_error
from policywerk.building_blocks.network import Network
from policywerk.building_blocks.optimisers import clipped
from policywerk.building_blocks.returns import lambda_return, lambda_return_back
from policywerk.primitives.activations import identity, sigmoid, softplus, tanh
from policywerk.primitives.tape import lift
from policywerk.world.action_repeat import ActionRepeat
from policywerk.world.pixel_pointmass import PixelPointMass

CLOSE = 1e-10
SMALL = Sight(4, lambda screen: screen, lambda output, seen: cross_entropy(output, seen))


def numbers(count, rng):
    return [rng.gauss(0.0, 1.0) for _ in range(count)]


def small_model(rng, **settings):
    return WorldModel(rng, sight=SMALL, memory=3, drawn=2, code=3, hidden=3, **settings)


def small_life(rng, length=4):
    """Two sequences, one of which holds the end of an episode and the start of the next."""

    def moment(first, ended):
        shares = [rng.random() for _ in range(4)]
        seen = [share / sum(shares) for share in shares]
        if first:
            return Moment(seen, (0.0, 0.0), 0.0, True, False)
        return Moment(seen, numbers(2, rng), rng.random(), False, ended)

    return [
        [moment(k == 0, False) for k in range(length)],
        [moment(k == 2, k == 1) for k in range(length)],
    ]


def still(belief):
    """A belief as plain numbers: what the tape must not look behind."""
    return Belief(*([lift(x).value for x in row] for row in belief))


def by_definition(model, sequences, weights, seed):
    """The model's loss, spelled out; run on a tape, its slopes are the truth."""
    observed = observe(model, sequences, random.Random(seed))
    states, moments = observed.states(), observed.moments
    beliefs = [belief for moved in observed.moved for belief in moved.beliefs]
    sums, _ = model.prior.forward([state[: model.memory] for state in states])
    pictures, _ = model.picture.forward(states)
    rewards, _ = model.reward.forward(states)
    ends, _ = model.goes_on.forward(states)
    total = 0.0
    for row, moment in enumerate(moments):
        total += weights.picture * cross_entropy(pictures[row], moment.seen).value
        if not moment.first:
            total += weights.reward * squared_error(rewards[row], [moment.reward]).value
        total += binary_cross_entropy(ends[row][0], float(not moment.ended)).value
        prior = model.believe(sums[row])
        for weight, first, second in (
            (weights.prior, still(beliefs[row]), prior),
            (weights.posterior, beliefs[row], still(prior)),
        ):
            value = disagreement(first, second).value
            if lift(value).value > weights.free:
                total += weight * value
    return total / len(moments)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("weights", [Weights(), Weights(free=0.0), Weights(0.0, 10.0, 0.0, 0.0)])
def test_every_slope_of_the_model_is_the_tapes(deterministic, weights):
    rng = random.Random(1)
    model = small_model(rng, deterministic=deterministic)
    for row in model.parameters():
        row[:] = [weight + 0.3 * rng.gauss(0.0, 1.0) for weight in row]
    life = small_life(rng)
    lesson = model_lesson(model, life, random.Random(5), weights)
    truth = by_tape(lambda: by_definition(model, life, weights, 5), model.parameters())
    assert apart(lesson.gradients, truth) < CLOSE
    # part by part too, so that no part hides behind another's large slopes
    rows = 0
    for part in (model.encoder, model.gru, model.prior, model.posterior,
                 model.picture, model.reward, model.goes_on):  # fmt: skip
        own = slice(rows, rows := rows + len(part.parameters()))
        assert apart(lesson.gradients[own], truth[own]) < CLOSE
    assert rows == len(truth)


def by_definition_of_the_dream(model, actor, critic, starts, seed, *, lam=0.95, penalty=0.1):
    """Minus the mean return of dreams, spelled out: the actor's loss."""
    dreamed = dream(model, actor, starts, random.Random(seed), horizon=3, spread=0.6)
    total, alive = 0.0, [1.0] * len(starts)
    rewards, discounts, values = [], [], []
    for step in dreamed:
        rewards.append([r for (r,) in model.reward.forward(step.moved.states)[0]])
        ends = [end for (end,) in model.goes_on.forward(step.moved.states)[0]]
        discounts.append([0.9 * chance for chance in sigmoid(ends)])
        values.append([v for (v,) in critic.forward(step.moved.states)[0]])
        total += penalty * sum(output * output for row in step.outputs for output in row)
    for k in range(len(starts)):
        alive = 1.0
        for step in range(3):
            awaited = values[-1][k]
            for later in reversed(range(step, 3)):
                mixed = (1.0 - lam) * values[later][k] + lam * awaited
                if later == 2:
                    mixed = values[later][k]
                awaited = rewards[later][k] + discounts[later][k] * mixed
            total += -1.0 * alive * awaited
            alive *= lift(discounts[step][k]).value / 0.9
    return total / (3 * len(starts))


def dreamers(rng, **settings):
    model = small_model(rng, **settings)
    actor = Network([model.width, 3, 2], [tanh, identity], rng)
    critic = Network([model.width, 3, 1], [tanh, identity], rng)
    for part in (model, actor, critic):
        for row in part.parameters():
            row[:] = [weight + 0.3 * rng.gauss(0.0, 1.0) for weight in row]
    starts = [numbers(model.width, rng) for _ in range(4)]
    return model, actor, critic, starts


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_actors_slopes_through_the_dream_are_the_tapes(deterministic):
    model, actor, critic, starts = dreamers(random.Random(2), deterministic=deterministic)
    dreamed = dream(model, actor, starts, random.Random(6), horizon=3, spread=0.6)
    pushes = [push for step in dreamed for row in step.pushes for push in row]
    assert any(abs(push) > 1 for push in pushes) and any(abs(push) < 1 for push in pushes)
    settings = {"horizon": 3, "gamma": 0.9, "lam": 0.95, "spread": 0.6, "penalty": 0.1}
    lesson = dream_lesson(model, actor, critic, starts, random.Random(6), **settings)
    truth = by_tape(
        lambda: by_definition_of_the_dream(model, actor, critic, starts, 6), actor.parameters()
    )
    assert apart(lesson.actor, truth) < CLOSE


def test_the_critics_slopes_are_the_tapes():
    model, actor, critic, starts = dreamers(random.Random(3))
    dreamed = dream(model, actor, starts, random.Random(6), horizon=3, spread=0.6)
    found = worth(model, critic, starts, dreamed, gamma=0.9, lam=0.95)
    states = [*starts, *(state for step in dreamed[:-1] for state in step.moved.states)]

    def error():
        values, _ = critic.forward(states)
        rows = zip(values, found.returns, found.alive, strict=True)
        return sum(0.5 * alive * (v - goal) * (v - goal) for (v,), goal, alive in rows) / len(
            states
        )

    settings = {"horizon": 3, "gamma": 0.9, "spread": 0.6}
    lesson = dream_lesson(model, actor, critic, starts, random.Random(6), **settings)
    assert apart(lesson.critic, by_tape(error, critic.parameters())) < CLOSE


def test_reinforce_follows_the_log_probability():
    model, actor, critic, starts = dreamers(random.Random(4))
    dreamed = dream(model, actor, starts, random.Random(6), horizon=3, spread=0.6)
    found = worth(model, critic, starts, dreamed, gamma=0.9, lam=0.95)
    gains = [g - v for g, v in zip(found.returns, found.values, strict=False)]
    mean = sum(gains) / len(gains)
    scale = math.sqrt(sum((g - mean) ** 2 for g in gains) / len(gains)) + 1e-6
    states = [starts, *(step.moved.states for step in dreamed[:-1])]

    def loss():
        total, number = 0.0, 0
        for before, step in zip(states, dreamed, strict=True):
            outputs, _ = actor.forward(before)
            for row, pushes in zip(outputs, step.pushes, strict=True):
                centres = tanh(row)
                off = sum((p - c) * (p - c) for p, c in zip(pushes, centres, strict=True))
                log_probability = -1.0 * off / (2.0 * 0.6**2)
                total += -found.alive[number] * gains[number] / scale * log_probability
                total += 0.1 * sum(output * output for output in row)
                number += 1
        return total / number

    settings = {"horizon": 3, "gamma": 0.9, "spread": 0.6, "penalty": 0.1}
    rng = random.Random(6)
    lesson = dream_lesson(model, actor, critic, starts, rng, improve=reinforce, **settings)
    assert apart(lesson.actor, by_tape(loss, actor.parameters())) < CLOSE


def test_without_a_critic_a_dream_pays_what_it_pays():
    model, actor, _, starts = dreamers(random.Random(5))
    dreamed = dream(model, actor, starts, random.Random(6), horizon=3, spread=0.6)
    found = worth(model, None, starts, dreamed, gamma=0.9, lam=0.95)
    rewards, discounts = [], []
    for step in dreamed:
        (reward,) = model.reward(step.moved.states[0])
        ((end,),), _ = model.goes_on.forward([step.moved.states[0]])
        rewards.append(reward)
        discounts.append(0.9 * sigmoid([end])[0])
    paid = rewards[0] + discounts[0] * (rewards[1] + discounts[1] * rewards[2])
    assert math.isclose(found.returns[0], paid)
    lesson = dream_lesson(model, actor, None, starts, random.Random(6), horizon=3)
    assert lesson.critic == []


# --- The parts ---------------------------------------------------------------------------------


def test_a_gru_by_hand_and_by_the_tape():
    rng = random.Random(0)
    gru = GRU(3, 2, rng)
    batch = [numbers(5, rng) for _ in range(4)]
    aims = [numbers(3, rng) for _ in range(4)]

    def loss():
        outputs, _ = gru.forward(batch)
        return sum(squared_error(y, t).value for y, t in zip(outputs, aims, strict=True))

    outputs, memory = gru.forward(batch)
    slopes = [squared_error(y, t).slopes for y, t in zip(outputs, aims, strict=True)]
    gradients, before = gru.backward(memory, slopes)
    assert apart(gradients, by_tape(loss, gru.parameters())) < CLOSE
    assert apart(before, by_tape(loss, batch)) < CLOSE
    assert gru.backward(memory, slopes, inputs=False) == (gradients, [])


def test_through_is_backward_without_the_gradients():
    rng = random.Random(0)
    network = Network([4, 5, 2], [tanh, identity], rng)
    _, memory = network.forward([numbers(4, rng) for _ in range(3)])
    slopes = [numbers(2, rng) for _ in range(3)]
    _, before = network.backward(memory, slopes)
    assert apart(through(network.layers, memory, slopes), before) < 1e-15


@pytest.mark.parametrize("believe", [gaussian, certain])
def test_a_disagreements_slopes(believe):
    rng = random.Random(0)
    sums = [numbers(6, rng), numbers(6, rng)]

    def distance():
        return disagreement(*map(believe, sums)).value

    found = disagreement(*map(believe, sums))
    assert found.value > 0.0
    assert disagreement(believe(sums[0]), believe(sums[0])).value == pytest.approx(0.0)
    assert apart([found.first, found.second], by_tape(distance, sums)) < CLOSE
    assert apart([found.first, found.second], by_nudging(distance, sums)) < 1e-8


def test_the_divergence_is_the_mean_difference_of_log_densities():
    first, second = Belief([0.3], [0.5], [0.0]), Belief([-0.2], [0.8], [0.0])
    rng, total, draws = random.Random(0), 0.0, 20_000

    def log_density(belief, z):
        return -0.5 * ((z - belief.means[0]) / belief.stds[0]) ** 2 - math.log(belief.stds[0])

    for _ in range(draws):
        (z,) = drawn(first, [rng.gauss(0.0, 1.0)])
        total += log_density(first, z) - log_density(second, z)
    assert total / draws == pytest.approx(disagreement(first, second).value, abs=0.02)


def test_softplus_has_no_kink_at_zero_and_does_not_overflow():
    assert softplus([-800.0, 0.0, 800.0]) == [0.0, math.log(2.0), 800.0]
    row = [[0.0]]
    assert by_tape(lambda: softplus(row[0])[0], row) == [[0.5]]


@pytest.mark.parametrize("output", [-30.0, -0.4, 0.0, 2.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_cross_entropy(output, target):
    loss = binary_cross_entropy(output, target)
    (chance,) = sigmoid([output])
    if abs(output) < 5:
        right = chance if target else 1.0 - chance
        assert loss.value == pytest.approx(-math.log(right))
    assert loss.slopes == [chance - target]


def test_lambda_returns_backwards():
    rng = random.Random(0)
    rows = [numbers(5, rng) for _ in range(3)]
    weights = numbers(5, rng)
    returns = lambda_return(*rows, 0.7)
    back = lambda_return_back(weights, rows[1], rows[2], returns, 0.7)

    def weighed():
        found = lambda_return(*rows, 0.7)
        return sum(w * g for w, g in zip(weights, found, strict=True))

    assert apart(list(back), by_tape(weighed, rows)) < CLOSE


def test_clipping_keeps_the_direction():
    assert clipped([[3.0], [4.0]], 5.0) == [[3.0], [4.0]]
    assert clipped([[3.0], [4.0]], 1.0) == [[pytest.approx(0.6)], [pytest.approx(0.8)]]


# --- The world ---------------------------------------------------------------------------------


def test_a_constant_push_solves_the_fixed_start():
    env, total = PixelPointMass(), 0.0
    env.reset(seed=0)
    while not env.over:
        _, reward, reached, late, _ = env.step((1.0, 1.0))
        total += reward
    assert reached and not late and env.steps == 20
    assert total == pytest.approx(-14.35, abs=0.005)


def test_a_push_by_hand():
    env = PixelPointMass(limit=2)
    env.reset(seed=0)
    step = env.step((1.0, -2.0))  # no push is stronger than 1
    assert env.velocity == (pytest.approx(0.0475), pytest.approx(-0.0475))
    assert env.place == (pytest.approx(0.00475), pytest.approx(-0.00475))
    assert step.reward == pytest.approx(-math.hypot(0.79525, 0.80475))
    assert not step.terminated and not step.truncated
    assert env.step((0.0, 0.0)).truncated
    with pytest.raises(RuntimeError, match="reset"):
        env.step((0.0, 0.0))


def test_the_screen_shows_point_and_target_and_the_edge_holds():
    env = PixelPointMass("random", limit=10_000)
    screen, _ = env.reset(seed=3)
    assert sorted(screen)[-2:] == [0.7, 1.0] and sum(screen) == 1.7
    assert screen[10 * 16 + 10] == 0.7
    for _ in range(400):
        screen, *_ = env.step((-1.0, -1.0))
    assert env.place == (-2.0, -2.0) and screen[0] == 1.0
    shares = SHADOWS.look(screen)
    assert shares[0] == shares[16] == pytest.approx(1 / 1.7)
    assert sum(shares[:16]) == pytest.approx(1.0) == sum(shares[16:])


def test_random_starts_are_seeded_and_wide():
    env, places = PixelPointMass("random"), []
    for seed in range(200):
        env.reset(seed=seed)
        places.append(env.place)
    env.reset(seed=7)
    assert env.place == places[7]
    across = [x for x, _ in places]
    assert -1.5 <= min(across) < -1.3 and 1.3 < max(across) <= 1.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PixelPointMass("middle"), "start='middle'"),
        (lambda: PixelPointMass(limit=0), "limit=0"),
        (lambda: ActionRepeat(PixelPointMass(), 0), "times=0"),
        (lambda: next(dreamer(world("fixed", ASIDE), rng=random.Random(0), batch=0)), "batch=0"),
        (lambda: next(dreamer(world("fixed", ASIDE), rng=random.Random(0), wander=9)), "wander=9"),
    ],
)
def test_nonsense_is_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_action_is_held_and_its_mean_is_paid():
    plain, held = PixelPointMass(limit=6), ActionRepeat(PixelPointMass(limit=6), 4)
    plain.reset(seed=0)
    held.reset(seed=0)
    rewards = [plain.step((1.0, 0.5)).reward for _ in range(6)]
    first, second = held.step((1.0, 0.5)), held.step((1.0, 0.5))
    assert first.reward == pytest.approx(sum(rewards[:4]) / 4) and not first.truncated
    assert second.reward == pytest.approx(sum(rewards[4:]) / 4) and second.truncated


# --- The learner -------------------------------------------------------------------------------

QUICK = {"iterations": 2, "wander": 40, "warm_up": 2, "lessons": 1, "decisions": 30}


def test_a_diary_is_what_happened():
    diary = Diary(world("random", DIAGONAL), SHADOWS.look, random.Random(0))
    returns = diary.live(60, Wanderer(random.Random(1)))
    firsts = [k for k, moment in enumerate(diary.moments) if moment.first]
    assert firsts[0] == 0 and len(diary.moments) == 60 + len(firsts)
    assert len(returns) == len(firsts) - (not diary.over)
    first_episode = diary.moments[: firsts[1]]
    assert sum(moment.reward for moment in first_episode) == pytest.approx(returns[0])
    pieces = diary.draw(5, 7)
    assert [len(piece) for piece in pieces] == [7] * 5


def test_what_an_iteration_yields_stays_true():
    kept = []
    for iteration in dreamer(world("random", DIAGONAL), rng=random.Random(0), **QUICK):
        agent = iteration.agent
        kept.append((agent, deepcopy(agent.model.parameters()), agent.actor.state()))
    for agent, model, actor in kept:
        assert agent.model.parameters() == model and agent.actor.state() == actor
    assert kept[0][1] != kept[1][1] and kept[0][2] != kept[1][2]


def test_a_seed_decides_everything():
    first, second, third = (
        list(dreamer(world("random", DIAGONAL), rng=random.Random(seed), **QUICK))
        for seed in (0, 0, 1)
    )
    assert [x.losses for x in first] == [x.losses for x in second] != [x.losses for x in third]


def test_an_agent_without_chance_plays_the_same_twice():
    *_, last = dreamer(world("random", DIAGONAL), rng=random.Random(0), **QUICK)
    assert judged(last.agent, "fixed", ASIDE) == judged(last.agent, "fixed", ASIDE)
    drawing = Agent(last.agent.model, last.agent.actor, spread=0.5, rng=random.Random(0))
    assert judged(drawing, "fixed", ASIDE) != judged(last.agent, "fixed", ASIDE)


def test_a_model_learns_what_it_lives_through():
    rng = random.Random(0)
    diary = Diary(world("random", DIAGONAL), SHADOWS.look, rng)
    diary.live(200, Wanderer(rng))
    model = WorldModel(rng)
    before = model_lesson(model, diary.draw(8, 16), rng).losses
    for lesson in dreamer(world("random", DIAGONAL), rng=rng, **{**QUICK, "warm_up": 60}):
        after = lesson.losses
    assert after.picture < 0.9 * before.picture and after.reward < 0.5 * before.reward


@pytest.mark.slow
def test_a_seed_reaches_the_target():
    *_, last = dreamer(world("random", DIAGONAL), rng=random.Random(7))
    assert judged(last.agent, "random", DIAGONAL)["reached"] >= 0.6
    assert judged(last.agent, "fixed", DIAGONAL)["reached"] == 1.0


def test_walks_never_end_and_a_dream_of_them_drifts():
    for seed in list(WALKS)[:4]:
        moments = walk(seed, DIAGONAL, 4)
        assert len(moments) == WARM + AHEAD + 1
        assert all(reward < 0.0 for _, _, reward in moments[1:])
        assert walk(seed, DIAGONAL, 4) == moments
    *_, last = dreamer(world("random", DIAGONAL), rng=random.Random(0), **QUICK)
    errors = drift(last.agent, DIAGONAL)
    assert len(errors) == AHEAD + 1 and min(errors) > 0.0


def test_two_screens_show_where_something_was_and_where_it_is():
    env, double = (view(world("random", DIAGONAL)) for view in (one_screen, TwoScreens))
    seen, _ = env.reset(seed=0)
    both, _ = double.reset(seed=0)
    for push in ((1.0, 0.0), (0.0, -1.0), (-1.0, 1.0)):
        assert both[256:] == tuple(seen) and len(both) == len(double.observation_space.high)
        before, (seen, reward, *_) = seen, env.step(push)
        both, again, *_ = double.step(push)
        assert both[:256] == tuple(before) and again == reward
    lived = without_a_model(0, decisions=230, view=TwoScreens)
    assert len(lived["random"]["returns"]) == 50


def test_every_experiment_has_its_own_digest():
    digests = {digest_of(name, "evidence.dreamer") for name in EXPERIMENTS}
    assert len(digests) == len(EXPERIMENTS) == len(experiments("evidence.dreamer"))
    assert "evidence.dreamer" in MODULES
