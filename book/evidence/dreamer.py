"""The experiments of the chapter on Dreamer: each a function of a seed, with settings."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from policywerk.actors.dream_learning import reinforce
from policywerk.actors.dreamer import Agent, Wanderer, dreamer
from policywerk.actors.model_learning import Weights
from policywerk.actors.ppo import ppo
from policywerk.actors.world_model import Sight
from policywerk.building_blocks.losses import Loss
from policywerk.building_blocks.mdp import Box, Step
from policywerk.data.rollout import rollout
from policywerk.primitives.activations import sigmoid
from policywerk.world.action_repeat import ActionRepeat
from policywerk.world.pixel_pointmass import PixelPointMass, Place

DIAGONAL, ASIDE = (0.8, 0.8), (1.0, -0.4)  # two targets
LIMIT, REPEAT = 100, 4  # steps of an episode, and of a decision
STARTS = range(1_000_000, 1_000_050)  # seeds of random starts to be judged by
WALKS = range(2_000_000, 2_000_016)  # and of walks on which predictions are compared
WARM, AHEAD = 10, 15  # decisions with open eyes, and with closed ones after them
CURVE = 10  # iterations between looks at how it goes
View = Callable[[ActionRepeat], Any]  # what of a world is shown


def world(start: str, target: Place, repeat: int = REPEAT) -> ActionRepeat:
    return ActionRepeat(PixelPointMass(start, target, LIMIT), repeat)


def one_screen(env: ActionRepeat) -> ActionRepeat:
    return env


class TwoScreens:
    """A world that shows the screen before as well: two of them show how fast something is."""

    def __init__(self, env: ActionRepeat) -> None:
        self.env, self.action_space = env, env.action_space
        low, high = env.observation_space.low, env.observation_space.high
        self.observation_space = Box(2 * low, 2 * high)

    def reset(self, *, seed: int | None = None) -> tuple:
        self.screen, info = self.env.reset(seed=seed)
        return (*self.screen, *self.screen), info

    def step(self, action: Sequence[float]) -> Step:
        before, step = self.screen, self.env.step(action)
        self.screen = step.observation
        return step._replace(observation=(*before, *self.screen))


def judged(
    policy: Callable, start: str, target: Place, repeat: int = REPEAT, view: View = one_screen
) -> dict:
    """Returns of episodes, in steps of the world, and the share that reach the target."""
    seeds = STARTS if start == "random" else range(1)
    played = [rollout(view(world(start, target, repeat)), policy, seed=seed) for seed in seeds]
    return {
        "returns": [round(repeat * sum(episode.rewards), 2) for episode in played],
        "reached": sum(episode.terminated for episode in played) / len(played),
    }


def walk(seed: int, target: Place, repeat: int) -> list[tuple]:
    """Screens, the actions that followed and what was paid before; never to the target."""
    env = ActionRepeat(PixelPointMass("random", target, 10_000), repeat)
    pushes = Wanderer(random.Random(seed))
    screen, _ = env.reset(seed=seed)
    moments, reward = [], 0.0
    for _ in range(WARM + AHEAD + 1):
        moments.append((screen, pushes(screen), reward))
        screen, reward, reached, *_ = env.step(moments[-1][1])
        if reached:
            return walk(seed + len(WALKS), target, repeat)
    return moments


def drift(agent: Agent, target: Place, repeat: int = REPEAT) -> list[float]:
    """The error of the reward dreamed after 0, 1, ... decisions, the screen being dark."""
    errors = [0.0] * (AHEAD + 1)
    model = agent.model
    for seed in WALKS:
        before = model.start
        for number, (screen, action, reward) in enumerate(walk(seed, target, repeat)):
            codes, _ = model.encoder.forward([model.sight.look(screen)])
            (state,) = model.step([before], codes if number <= WARM else None, None).states
            if number >= WARM:
                (said,) = model.reward(state)
                errors[number - WARM] += abs(said - reward) / len(WALKS)
            before = [*state, *action]
    return [round(error, 4) for error in errors]


def pixel_error(output: Sequence[float], seen: Sequence[float]) -> Loss:
    """Half the squared error of every pixel by itself."""
    lit = sigmoid(output)
    errors = [y - x for y, x in zip(lit, seen, strict=True)]
    value = 0.5 * sum(error * error for error in errors)
    slopes = [e * y * (1.0 - y) for e, y in zip(errors, lit, strict=True)]
    return Loss(value, slopes)


PIXELS = Sight(256, tuple, pixel_error)


def trained(
    seed: int,
    *,
    start: str = "random",
    target: Place = DIAGONAL,
    repeat: int = REPEAT,
    **settings,
) -> dict:
    """Train an agent; what it reaches, on the way and at the end, and how its dreams drift."""
    curve = []
    for iteration in dreamer(world(start, target, repeat), rng=random.Random(seed), **settings):
        if iteration.number % CURVE == 0:
            reached = judged(iteration.agent, "random", target, repeat)["reached"]
            curve.append([iteration.number, reached])
    agent = iteration.agent
    return {
        "random": judged(agent, "random", target, repeat),
        "fixed": judged(agent, "fixed", target, repeat),
        "drift": drift(agent, target, repeat),
        "losses": iteration.losses,
        "curve": curve,
    }


def without_a_model(seed: int, *, decisions: int, view: View = one_screen) -> dict:
    """The learner of 2017, with as many decisions; what it reaches."""
    curve, each = [], 230
    env, rng = view(world("random", DIAGONAL)), random.Random(seed)
    for iteration in ppo(env, iterations=decisions // each, rng=rng, steps=each, gamma=0.95):
        if iteration.number % CURVE == 0:
            reached = judged(iteration.actor, "random", DIAGONAL, view=view)["reached"]
            curve.append([iteration.number * each, reached])
    return {
        "random": judged(iteration.actor, "random", DIAGONAL, view=view),
        "fixed": judged(iteration.actor, "fixed", DIAGONAL, view=view),
        "curve": curve,
    }


NOTHING_AGREES = Weights(prior=0.0, posterior=0.0)
ONE_SIDED = Weights(prior=1.0, posterior=0.0)  # the prior learns; the posterior owes nothing
ALONE = Weights(prior=1.0, posterior=0.0, free=0.0)  # the same, for means without draws
CLOSE = Weights(free=0.0)
SHORT = {"iterations": 40}
MEANS = {"deterministic": True, **SHORT}

EXPERIMENTS: dict[str, tuple[Callable[..., dict], dict]] = {
    "dreamer": (trained, {}),
    "dreamer-aside": (trained, {"target": ASIDE}),
    "dreamer-short": (trained, SHORT),
    "dreamer-no-agreement": (trained, {"weights": NOTHING_AGREES, **SHORT}),
    "dreamer-simple": (trained, {"sight": PIXELS, "weights": ALONE, "repeat": 1, **MEANS}),
    "dreamer-simple-held": (trained, {"sight": PIXELS, "weights": ALONE, **MEANS}),
    "dreamer-simple-shadows": (trained, {"weights": ALONE, **MEANS}),
    "dreamer-no-repeat": (trained, {"repeat": 1, **SHORT}),
    "dreamer-deterministic": (trained, {"weights": CLOSE, **MEANS}),
    "dreamer-nothing-free": (trained, {"weights": CLOSE, **SHORT}),
    "dreamer-no-penalty": (trained, {"penalty": 0.0, **SHORT}),
    "dreamer-pixels": (trained, {"sight": PIXELS, **SHORT}),
    "dreamer-no-decoder": (trained, {"weights": Weights(picture=0.0), **SHORT}),
    "dreamer-reinforce": (trained, {"improve": reinforce, **SHORT}),
    "dreamer-no-critic": (trained, {"criticised": False, **SHORT}),
    "dreamer-one-sided": (trained, {"weights": ONE_SIDED, **SHORT}),
    "ppo-pointmass": (without_a_model, {"decisions": 13_800}),
    "ppo-pointmass-long": (without_a_model, {"decisions": 4 * 13_800}),
    "ppo-two-screens": (without_a_model, {"decisions": 13_800, "view": TwoScreens}),
    "ppo-two-screens-long": (without_a_model, {"decisions": 4 * 13_800, "view": TwoScreens}),
}
