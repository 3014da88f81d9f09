"""The experiments of the chapter on PPO: each a function of a seed, with settings."""

import itertools
import math
import random
from collections.abc import Callable

from policywerk.actors.ppo import ppo
from policywerk.actors.reinforce import reinforce
from policywerk.building_blocks.mdp import Box, Step
from policywerk.world.balance import FALL, LIMIT, Balance, Pole
from policywerk.world.cartpole import CartPole
from policywerk.world.pendulum import Pendulum

UNSEEN = range(1_000_000, 1_000_020)  # seeds of starts that nothing was trained on
Push = Callable[[Pole], list[float]]


def starts(count: int) -> list[Pole]:
    """Poles anywhere in the field, and moving at up to 1.5 radians per second."""
    rng = random.Random(0)
    return [(FALL * (2 * rng.random() - 1), 1.5 * (2 * rng.random() - 1)) for _ in range(count)]


def stands(push: Push, start: Pole | None = None) -> tuple[int, Pole]:
    """How many steps the pole stands, from its usual start or another, and its last state."""
    env = Balance(continuous=True)
    seen, _ = env.reset()
    if start is not None:
        env.state = seen = start
    for steps in itertools.count(1):
        seen, _, fell, late, _ = env.step(push(seen))
        if fell or late:
            return steps, seen


def holds(push: Push, start: Pole | None = None) -> bool:
    steps, (angle, _) = stands(push, start)
    return steps == LIMIT and abs(angle) <= FALL


def lost(start: Pole) -> bool:
    """Whether the pole falls over the other way although the motor pushes with all its power.

    More push at any moment means a larger angle ever after, so then no player can save it.
    """
    for power in (-1.0, 1.0):
        _, (angle, _) = stands(lambda _, power=power: [power], start)
        if abs(angle) > FALL and angle * power < 0.0:
            return True
    return False


class Watched:
    """A world, and how many steps were taken in it. A clock that is `an_end` ends episodes."""

    def __init__(self, world, an_end: bool = False) -> None:
        self.world, self.an_end, self.steps = world, an_end, 0
        self.action_space, self.observation_space = world.action_space, world.observation_space

    def reset(self, *, seed=None):
        return self.world.reset(seed=seed)

    def step(self, action) -> Step:
        self.steps += 1
        answer = self.world.step(action)
        if self.an_end and answer.truncated:
            return answer._replace(terminated=True, truncated=False)
        return answer


class Unscaled(Watched):
    """A world that does not say how large its numbers get."""

    def __init__(self, world) -> None:
        super().__init__(world)
        count = len(world.observation_space.low)
        self.observation_space = Box((-math.inf,) * count, (math.inf,) * count)


def learn(learner, env: Watched, seed: int, budget: int, **settings):
    """Rounds of learning for so many steps of the world: how each went, and the last record."""
    rounds = []
    for record in learner(env, iterations=budget, rng=random.Random(seed), **settings):
        known = [record.reward, record.std, record.entropy, record.kl]
        known = [None if math.isnan(x) else round(x, 5) for x in known]
        rounds.append([env.steps, *known, record.epochs])
        if env.steps >= budget:
            return rounds, record


def balance(seed: int, *, learner=ppo, world=Watched, an_end: bool = False, **settings) -> dict:
    """The pole with a motor: the rounds, then the mean policy from the usual start and others."""
    env = world(Balance(continuous=True))
    env.an_end = an_end
    rounds, last = learn(learner, env, seed, 20_000, **settings)
    saved = sum(holds(last.actor, start) for start in starts(100))
    return {"rounds": rounds, "steps": stands(last.actor)[0], "starts": saved}


def played(world, actor) -> list[float]:
    """What the likeliest actions earn in each of twenty unseen games."""
    totals = []
    for start in UNSEEN:
        env, total, over = world(), 0.0, False
        seen, _ = env.reset(seed=start)
        while not over:
            seen, reward, fell, late, _ = env.step(actor(seen))
            total, over = total + reward, fell or late
        totals.append(round(total, 2))
    return totals


def cartpole(seed: int, *, learner=ppo, **settings) -> dict:
    rounds, last = learn(learner, Watched(CartPole()), seed, 30_000, steps=1_000, **settings)
    return {"rounds": rounds, "games": played(CartPole, last.actor)}


def pendulum(seed: int, *, learner=ppo, **settings) -> dict:
    rounds, last = learn(learner, Watched(Pendulum()), seed, 40_000, steps=1_000, **settings)
    state = [[round(x, 6) for x in row] for row in last.actor.chain.state()]
    return {"rounds": rounds, "games": played(Pendulum, last.actor), "actor": state}


BASELINE = {"learner": reinforce, "baseline": True}
ACTOR_CRITIC = {**BASELINE, "lam": 0.95}
CART = {"rate": 0.01}
SWING = {"gamma": 0.9, "rate": 0.01, "minibatch": 200, "epochs": 10}

EXPERIMENTS: dict[str, tuple[Callable[..., dict], dict]] = {
    "ppo-balance": (balance, {}),
    "ppo-cartpole": (cartpole, CART),
    "ppo-cartpole-clip-100": (cartpole, {**CART, "clip": 100.0}),
    "ppo-cartpole-kl": (cartpole, {**CART, "epochs": 10, "kl_stop": 0.015}),
    "ppo-cartpole-clip-100-kl": (
        cartpole, {**CART, "clip": 100.0, "epochs": 10, "kl_stop": 0.015}
    ),
    "ppo-pendulum": (pendulum, SWING),
    "ppo-pendulum-1-epoch": (pendulum, {**SWING, "epochs": 1}),
    "reinforce-pendulum": (pendulum, {**BASELINE, "gamma": 0.9}),
    "ppo-balance-clip-100": (balance, {"clip": 100.0}),
    "ppo-balance-1-epoch": (balance, {"epochs": 1}),
    "ppo-balance-10-epochs": (balance, {"epochs": 10}),
    "ppo-balance-lambda-0": (balance, {"lam": 0.0}),
    "ppo-balance-lambda-1": (balance, {"lam": 1.0}),
    "ppo-balance-not-normalised": (balance, {"normalise": False}),
    "ppo-balance-clock-ends": (balance, {"an_end": True}),
    "ppo-balance-unscaled": (balance, {"world": Unscaled}),
    "reinforce-balance-slow": (balance, {"learner": reinforce, "rate": 0.003}),
    "reinforce-balance": (balance, {"learner": reinforce}),
    "baseline-balance": (balance, BASELINE),
    "actor-critic-balance": (balance, ACTOR_CRITIC),
    "reinforce-cartpole": (cartpole, {"learner": reinforce}),
    "baseline-cartpole": (cartpole, BASELINE),
    "actor-critic-cartpole": (cartpole, ACTOR_CRITIC),
}  # fmt: skip
