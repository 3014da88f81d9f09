"""How fast PPO learns: one pass of actor and critic over 500 steps of Balance.

Networks 2-64-1, a learned spread, the clipped objective, Adam. Beside it stands the same arithmetic
with a Python function call for every addition and multiplication, step by step. The two do the
same work, and it is checked that their weights agree afterwards.
"""

import math
import platform
import random
from copy import deepcopy

from bench_networks import add, best_of, dot, multiply

from policywerk.actors.experience import Player, judged, normalised
from policywerk.actors.ppo import clipped
from policywerk.actors.reinforce import climb, teach
from policywerk.building_blocks.actor import actor_for, two_layers
from policywerk.building_blocks.network import Chain
from policywerk.building_blocks.optimisers import Adam
from policywerk.primitives.matrices import columns
from policywerk.world.balance import Balance

RATE, CLIP, TARGET = 0.003, 0.2, 5.0
LOG_ROOT_TAU = 0.5 * math.log(2.0 * math.pi)


def subtract(a, b):
    return a - b


def divide(a, b):
    return a / b


class Called:
    """A 2-64-1 network, its gradient and Adam, each formula as a book has it, step by step."""

    def __init__(self, chain, reach, extra=()):
        # a row of weights for each neuron, its bias in front; last, numbers of no neuron
        scaled, last = chain.layers[:2]
        layers = scaled.layer, last
        self.layers = [[list(row) for row in columns(layer.parameters())] for layer in layers]
        self.layers.append([list(extra)])
        self.reach = reach
        self.mean = [[[0.0] * len(row) for row in rows] for rows in self.layers]
        self.square = deepcopy(self.mean)
        self.t = 0

    def forward(self, sample):
        seen = [divide(x, reach) for x, reach in zip(sample, self.reach, strict=True)]
        hidden = [math.tanh(add(row[0], dot(row[1:], seen))) for row in self.layers[0]]
        (row,) = self.layers[1]
        return add(row[0], dot(row[1:], hidden)), seen, hidden

    def backward(self, total, seen, hidden, slope):
        (outer,), (weights,) = total[1], self.layers[1]
        outer[0] = add(outer[0], slope)
        for i, y in enumerate(hidden):
            outer[i + 1] = add(outer[i + 1], multiply(slope, y))
            blame = multiply(multiply(slope, weights[i + 1]), subtract(1.0, multiply(y, y)))
            row = total[0][i]
            row[0] = add(row[0], blame)
            for j, x in enumerate(seen, start=1):
                row[j] = add(row[j], multiply(blame, x))

    def nothing(self):
        return [[[0.0] * len(row) for row in rows] for rows in self.layers]

    def adam(self, gradients):
        self.t += 1
        rest1, rest2 = 1.0 - 0.9**self.t, 1.0 - 0.999**self.t
        for rows, means, squares, slopes in zip(
            self.layers, self.mean, self.square, gradients, strict=True
        ):
            for i, row in enumerate(rows):
                for j, g in enumerate(slopes[i]):
                    mean = add(multiply(0.9, means[i][j]), multiply(0.1, g))
                    square = add(multiply(0.999, squares[i][j]), multiply(0.001, multiply(g, g)))
                    means[i][j], squares[i][j] = mean, square
                    size = add(math.sqrt(divide(square, rest2)), 1e-8)
                    row[j] = subtract(row[j], multiply(RATE, divide(divide(mean, rest1), size)))

    def climb(self, steps):
        """The actor's half of a pass; steps are (seen, action, old log density, advantage)."""
        total = self.nothing()
        for sample, action, before, advantage in steps:
            mean, seen, hidden = self.forward(sample)
            ((log_std,),) = self.layers[2]
            std = math.exp(log_std)
            off = divide(subtract(action, mean), std)
            half = multiply(-0.5, multiply(off, off))
            density = subtract(subtract(half, log_std), LOG_ROOT_TAU)
            ratio = math.exp(subtract(density, before))
            far = ratio > 1.0 + CLIP if advantage > 0.0 else ratio < 1.0 - CLIP
            weight = 0.0 if far else divide(multiply(ratio, advantage), -len(steps))
            self.backward(total, seen, hidden, multiply(weight, divide(off, std)))
            ((spread,),) = total[2]
            total[2][0][0] = add(spread, multiply(weight, subtract(multiply(off, off), 1.0)))
        self.adam(total)

    def teach(self, steps):
        """The critic's half; steps are (seen, goal)."""
        total = self.nothing()
        for sample, goal in steps:
            value, seen, hidden = self.forward(sample)
            self.backward(total, seen, hidden, divide(subtract(value, goal), len(steps)))
        self.adam(total)


def main():
    env, rng = Balance(continuous=True), random.Random(0)
    actor, critic = actor_for(env, 64, 0.6, rng), Chain(two_layers(env, 64, 1, rng))
    played = Player(env, rng).play(actor, 500)
    moments = normalised([m for part in played for m in judged(part, critic, 0.99, 0.95)])
    reach = actor.chain.layers[0].reach
    called = Called(actor.chain, reach, extra=actor.chain.layers[2].rows[0])
    called_critic = Called(critic, reach)
    climbs, lessons = [], []
    for moment in moments:
        before = moment.policy.log_probability(moment.action)
        climbs.append((moment.observation, moment.action[0], before, moment.advantage))
        lessons.append((moment.observation, moment.goal))
    actor_steps = Adam(actor.chain.parameters(), RATE)
    critic_steps = Adam(critic.parameters(), RATE)
    uphill = clipped(CLIP, 0.0)

    def ours():
        climb(actor, actor_steps, moments, uphill)
        teach(critic, critic_steps, moments)

    def theirs():
        called.climb(climbs)
        called_critic.teach(lessons)

    for _ in range(8):  # the two do the same work, or there is nothing to compare
        ours()
        theirs()
    for chain, plain in ((actor.chain, called), (critic, called_critic)):
        mine = [row for layer in chain.layers[:2] for row in columns(layer.parameters())]
        for one, other in zip(mine, plain.layers[0] + plain.layers[1], strict=True):
            assert all(math.isclose(a, b, abs_tol=1e-8) for a, b in zip(one, other, strict=True))
    assert math.isclose(actor.chain.layers[2].rows[0][0], called.layers[2][0][0], abs_tol=1e-8)

    times = best_of({"ours": (ours, 3), "theirs": (theirs, 1)})
    ratio = times["theirs"] / times["ours"]
    print(f"a PPO pass over 500 steps, actor and critic 2-64-1, Python {platform.python_version()}")
    print(
        f"ours {1e3 * times['ours']:.1f} ms, call by call {1e3 * times['theirs']:.1f} ms: "
        f"{ratio:.1f} times as fast (to be at least {TARGET:.0f})"
    )


if __name__ == "__main__":
    main()
