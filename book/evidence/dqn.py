"""The experiments of the chapter on DQN: each a function of a seed, with settings."""

import itertools
import random
from collections.abc import Callable, Sequence

from policywerk.actors.dqn import Memory, Transition, between, dqn
from policywerk.building_blocks.convolution import Convolution, Image, MaxPooling
from policywerk.building_blocks.losses import squared_error
from policywerk.building_blocks.network import Chain, Dense
from policywerk.primitives.activations import identity, relu
from policywerk.primitives.randomness import argmax, below
from policywerk.world.breakout import COLUMNS, STAY, WIDTH, Breakout
from policywerk.world.catcher import SIZE, Catcher

Policy = Callable[[Sequence[float]], int]
UNSEEN = range(1_000_000, 1_000_100)  # seeds of starts that nothing was trained on
LIVELY = {"replay": 20_000, "every": 2, "rate": (0.003, 0.0003)}
FRUIT = {**LIVELY, "gamma": 0.98, "steps": 8_000, "exploring": 3_000}
LONG = {"steps": 32_000, "exploring": 12_000}


def best(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def finish(world: Breakout, policy: Policy, screen: Sequence[float]) -> int:
    """Play a game to its end: the bricks that fall from here on."""
    standing = len(world.bricks)
    while not world.over:
        screen, *_ = world.step(policy(screen))
    return standing - len(world.bricks)


def after_random_moves(policy_for: Callable[[Breakout], Policy], moves: int) -> float:
    """Bricks of a fixed serve, on average over all lists of so many first moves."""
    totals = []
    for first in itertools.product(range(3), repeat=moves):
        world = Breakout()
        screen, _ = world.reset(seed=0)
        for action in first:
            screen, *_ = world.step(action)
        before = 12 - len(world.bricks)
        totals.append(before + finish(world, policy_for(world), screen))
    return sum(totals) / len(totals)


def unseen_starts(policy_for: Callable[[Breakout], Policy]) -> list[int]:
    """Bricks, of 8, in each of a hundred lively games."""
    games = []
    for seed in UNSEEN:
        world = Breakout(lively=True)
        screen, _ = world.reset(seed=seed)
        games.append(finish(world, policy_for(world), screen))
    return games


def catcher_of(world: Breakout) -> Policy:
    """A player who knows the game: always under the column that the ball comes to next."""

    def follow(_: Sequence[float]) -> int:
        there = world.column + world.right
        there = there if 0 <= there < COLUMNS else world.column
        middle = world.paddle + WIDTH // 2
        return STAY + (there > middle) - (there < middle)

    return follow


def greedy_of(network: Chain) -> Callable[[Breakout], Policy]:
    """The action of the highest value, in whatever game."""
    return lambda _: lambda screen: best(network(screen))


def fixed(seed: int, **settings) -> dict:
    """Train on the fixed serve; greedy play after 0 to 4 random first moves."""
    *_, last = dqn(Breakout(), rng=random.Random(seed), **settings)
    greedy = greedy_of(last.network)
    return {"bricks": [after_random_moves(greedy, moves) for moves in range(5)]}


def lively(seed: int, **settings) -> dict:
    """Train on the lively game; greedy play on unseen starts, every 5,000 steps."""
    played, done, curve = 0, 0, []
    for episode in dqn(Breakout(lively=True), rng=random.Random(seed), **settings):
        played += episode.length
        if played // 5_000 > done:
            done = played // 5_000
            curve.append([played, sum(unseen_starts(greedy_of(episode.network))) / 100])
    return {"games": unseen_starts(greedy_of(episode.network)), "curve": curve}


# --- Tables, for comparison ------------------------------------------------------------------


def everything(screen: Sequence[float]) -> tuple:
    return tuple(screen)


def without_bricks(screen: Sequence[float]) -> tuple:
    """What somebody who knows the game would look at: ball, direction, paddle."""
    ball = screen.index(0.7) if 0.7 in screen else -1
    return ball, screen[-2:], screen.index(1.0, 9 * COLUMNS)


def table(seed: int, *, lively: bool, steps: int, lessons: int, key=everything) -> dict:
    """Q-learning with a table; `lessons` remembered steps are learned again every two."""
    rng, world, q, memory = random.Random(seed), Breakout(lively), {}, Memory(20_000)
    screen, _ = world.reset(seed=below(2**31, rng))
    for step in range(steps):
        now = q.setdefault(key(screen), [0.0, 0.0, 0.0])
        explores = rng.random() < between(1.0, 0.1, step / 8_000)
        action = below(3, rng) if explores else argmax(now, rng)
        after, reward, terminated, truncated, _ = world.step(action)
        new = Transition(key(screen), action, reward, 0.0 if terminated else 0.95, key(after))
        memory.add(new)
        again = memory.sample(lessons, rng) if step % 2 == 0 else []
        for before, taken, paid, discount, there in (new, *again):
            row = q.setdefault(before, [0.0, 0.0, 0.0])
            goal = paid + discount * max(q.get(there, (0.0,)))
            row[taken] += 0.5 * (goal - row[taken])
        screen = world.reset()[0] if terminated or truncated else after

    def policy_for(_: Breakout) -> Policy:
        return lambda screen: best(q.get(key(screen), (0.0, 0.0, 0.0)))

    if lively:
        return {"games": unseen_starts(policy_for), "rows": len(q)}
    return {"bricks": [after_random_moves(policy_for, 0)], "rows": len(q)}


# --- Catcher ---------------------------------------------------------------------------------


def eyes(rng: random.Random) -> Chain:
    """Convolution, pooling, and two dense layers."""
    convolution = Convolution(Image(SIZE, SIZE), 4, 3, relu, rng)
    pooling = MaxPooling(convolution.output, 2)
    seen = pooling.output.rows * pooling.output.columns * pooling.output.channels
    return Chain([convolution, pooling, Dense(seen, 32, relu, rng), Dense(32, 3, identity, rng)])


def catcher(seed: int, *, convolutional: bool, **settings) -> dict:
    """Train on Catcher; fruit caught in each of a hundred games, of 10."""
    rng = random.Random(seed)
    network = eyes(rng) if convolutional else None
    *_, last = dqn(Catcher(), rng=rng, network=network, **settings)
    games = []
    for start in UNSEEN:
        world, caught = Catcher(), 0
        screen, _ = world.reset(seed=start)
        while not world.over:
            screen, reward, *_ = world.step(best(last.network(screen)))
            caught += reward > 0
        games.append(caught)
    return {"games": games}


EXPERIMENTS: dict[str, tuple[Callable[..., dict], dict]] = {
    "dqn-fixed": (fixed, {}),
    "dqn-lively": (lively, LIVELY),
    "table-fixed": (table, {"lively": False, "steps": 20_000, "lessons": 0}),
    "table-lively": (table, {"lively": True, "steps": 20_000, "lessons": 0}),
    "table-lively-replay": (table, {"lively": True, "steps": 20_000, "lessons": 16}),
    "table-lively-chosen": (
        table, {"lively": True, "steps": 20_000, "lessons": 16, "key": without_bricks}
    ),
    "dqn-newest-16": (fixed, {"replay": 16}),
    "dqn-newest-1": (fixed, {"replay": 1, "batch": 1, "every": 1}),
    "dqn-no-target": (fixed, {"sync": 1}),
    "dqn-epsilon-low": (fixed, {"epsilon": (0.1, 0.1)}),
    "dqn-no-clip": (fixed, {"loss": squared_error}),
    "dqn-rate-high": (fixed, {"rate": (0.01, 0.01)}),
    "dqn-rate-low": (fixed, {"rate": (0.001, 0.001)}),
    "dqn-lively-recipe-of-fixed": (lively, {}),
    "catcher-dense": (catcher, {"convolutional": False, **FRUIT}),
    "catcher-dense-long": (catcher, {"convolutional": False, **FRUIT, **LONG}),
    "catcher-convolution": (catcher, {"convolutional": True, **FRUIT}),
    "table-lively-million": (table, {"lively": True, "steps": 1_000_000, "lessons": 0}),
}  # fmt: skip
