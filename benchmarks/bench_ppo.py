"""How fast PPO learns: one pass of actor and critic over 500 steps of Balance.

Networks 2-64-1, a learned spread, the clipped objective, Adam. Beside it stands the same arithmetic
in layers, with a Python function call for every addition and multiplication. The two do the
same work, and it is checked that their weights agree afterwards.
"""

import math
import platform
import random

import call_by_call
from bench_networks import best_of
from call_by_call import Layer, divide, matrix_plus, multiply, outer, over, subtract, times

from policywerk.actors.experience import Player, judged, normalised
from policywerk.actors.ppo import clipped
from policywerk.actors.reinforce import climb, teach
from policywerk.building_blocks.actor import actor_for, two_layers
from policywerk.building_blocks.network import Chain
from policywerk.building_blocks.optimisers import Adam
from policywerk.world.balance import Balance

RATE, CLIP, TARGET = 0.003, 0.2, 5.0
LOG_ROOT_TAU = 0.5 * math.log(2.0 * math.pi)


class Called:
    """A 2-64-1 network, its gradient and Adam, step by step."""

    def __init__(self, chain, extra=()):
        """`extra` are numbers that are learned too, but of no layer."""
        scale, last = chain.layers[:2]
        self.reach = scale.reach
        self.hidden, self.last = Layer(scale.layer.parameters()), Layer(last.parameters())
        self.extra = list(extra)
        self.optimiser = call_by_call.Adam(self.rows(), RATE)

    def rows(self):
        return [*self.hidden.neurons(), *self.last.neurons(), self.extra]

    def forward(self, sample):
        seen = over(sample, self.reach)
        hidden = [math.tanh(x) for x in self.hidden.forward(seen)]
        return self.last.forward(hidden)[0], (seen, hidden)

    def backward(self, kept, slope, extra=()):
        seen, hidden = kept
        bent = [subtract(1.0, x) for x in times(hidden, hidden)]
        inner = times(self.last.backward([slope]), bent)
        return [*outer(inner, [1.0, *seen]), *outer([slope], [1.0, *hidden]), list(extra)]

    def adam(self, gradients):
        *neurons, self.extra = self.optimiser.step(self.rows(), gradients)
        size = len(self.hidden.biases)
        self.hidden.learn(neurons[:size])
        self.last.learn(neurons[size:])

    def climb(self, steps):
        """The actor's half of a pass; steps are (seen, action, old log density, advantage)."""
        sums = [[0.0] * len(row) for row in self.rows()]
        (log_std,) = self.extra
        std = math.exp(log_std)
        for sample, action, before, advantage in steps:
            mean, kept = self.forward(sample)
            off = divide(subtract(action, mean), std)
            square = multiply(off, off)
            density = subtract(subtract(multiply(-0.5, square), log_std), LOG_ROOT_TAU)
            ratio = math.exp(subtract(density, before))
            far = ratio > 1.0 + CLIP if advantage > 0.0 else ratio < 1.0 - CLIP
            weight = 0.0 if far else divide(multiply(ratio, advantage), -len(steps))
            spread = multiply(weight, subtract(square, 1.0))
            slopes = self.backward(kept, multiply(weight, divide(off, std)), [spread])
            sums = matrix_plus(sums, slopes)
        self.adam(sums)

    def teach(self, steps):
        """The critic's half; steps are (seen, goal)."""
        sums = [[0.0] * len(row) for row in self.rows()]
        for sample, goal in steps:
            value, kept = self.forward(sample)
            slopes = self.backward(kept, divide(subtract(value, goal), len(steps)))
            sums = matrix_plus(sums, slopes)
        self.adam(sums)


def main():
    env, rng = Balance(continuous=True), random.Random(0)
    actor, critic = actor_for(env, 64, 0.6, rng), Chain(two_layers(env, 64, 1, rng))
    played = Player(env, rng).play(actor, 500)
    moments = normalised([m for part in played for m in judged(part, critic, 0.99, 0.95)])
    called, called_critic = Called(actor.chain, actor.chain.layers[2].rows[0]), Called(critic)
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
        mine = [row for layer in chain.layers[:2] for row in layer.parameters()]
        theirs_now = plain.hidden.parameters() + plain.last.parameters()
        for one, other in zip(mine, theirs_now, strict=True):
            assert all(math.isclose(a, b, abs_tol=1e-8) for a, b in zip(one, other, strict=True))
    assert math.isclose(actor.chain.layers[2].rows[0][0], called.extra[0], abs_tol=1e-8)

    took = best_of({"ours": [ours], "theirs": [theirs]})
    ratio = took["theirs"] / took["ours"]
    print(f"a PPO pass over 500 steps, actor and critic 2-64-1, Python {platform.python_version()}")
    print(
        f"ours {1e3 * took['ours']:.1f} ms, call by call {1e3 * took['theirs']:.1f} ms: "
        f"{ratio:.1f} times as fast (to be at least {TARGET:.0f})"
    )


if __name__ == "__main__":
    main()
