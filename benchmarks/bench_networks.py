"""How fast the networks are: ratios within one run, each the best of several rounds.

Beside them stand (a) the same arithmetic in layers, with a Python function call for every addition
and multiplication at the bottom, and (b) numpy. The work is that of the chapter on DQN: 82 inputs,
32 hidden neurons, 3 actions, batches of 16 screens of Breakout.
"""

import math
import platform
import random
import sys
import time
from copy import deepcopy

import call_by_call
import numpy as np
from call_by_call import matrix_plus, times
from call_by_call import outer as product

from policywerk.actors.dqn import Memory, Transition, lesson
from policywerk.building_blocks.network import Network
from policywerk.building_blocks.optimisers import Adam
from policywerk.primitives.activations import identity, relu
from policywerk.world.breakout import Breakout

GAMMA, RATE, ROUNDS = 0.95, 0.002, 40
TARGET = 15.0 if sys.version_info >= (3, 12) else 12.0  # of the whole lesson, against (a)


# --- (a) A function call for every addition and multiplication -------------------------------


class Called:
    """The same network and optimiser, sample by sample."""

    def __init__(self, network):
        self.layers = [call_by_call.Layer(layer.parameters()) for layer in network.layers]
        self.optimiser = call_by_call.Adam(self.neurons(), RATE)

    def neurons(self):
        return [neuron for layer in self.layers for neuron in layer.neurons()]

    def forward(self, batch):
        kept = [self.forward_one(sample) for sample in batch]
        return [output for *_, output in kept], kept

    def forward_one(self, sample):
        first, second = self.layers
        hidden = [max(0.0, x) for x in first.forward(sample)]
        return sample, hidden, second.forward(hidden)

    def backward(self, kept, slopes):
        total = None
        for (sample, hidden, _), outer in zip(kept, slopes, strict=True):
            awake = [1.0 if y > 0.0 else 0.0 for y in hidden]
            inner = times(awake, self.layers[1].backward(outer))
            rows = product(inner, [1.0, *sample]) + product(outer, [1.0, *hidden])
            total = matrix_plus(total, rows) if total else rows
        return total

    def adam(self, gradients):
        neurons = iter(self.optimiser.step(self.neurons(), gradients))
        for layer in self.layers:
            layer.learn([next(neurons) for _ in layer.biases])

    def lesson(self, target, batch):
        ahead, _ = target.forward([transition.after for transition in batch])
        values, kept = self.forward([transition.observation for transition in batch])
        self.adam(self.backward(kept, errors(batch, values, ahead)))


# --- (b) numpy -------------------------------------------------------------------------------


class Arrays:
    """The same network and optimiser, in matrices of numpy."""

    def __init__(self, network):
        self.layers = [np.array(layer.rows) for layer in network.layers]
        self.mean = [np.zeros_like(rows) for rows in self.layers]
        self.square = [np.zeros_like(rows) for rows in self.layers]
        self.t = 0

    def forward(self, batch):
        x = np.array(batch)
        hidden = np.maximum(x @ self.layers[0][1:] + self.layers[0][0], 0.0)
        return hidden @ self.layers[1][1:] + self.layers[1][0], (x, hidden)

    def backward(self, kept, slopes):
        x, hidden = kept
        slopes = np.asarray(slopes)
        inner = (slopes @ self.layers[1][1:].T) * (hidden > 0)
        return [
            np.vstack([inner.sum(0), x.T @ inner]), np.vstack([slopes.sum(0), hidden.T @ slopes])
        ]  # fmt: skip

    def adam(self, gradients):
        self.t += 1
        for rows, mean, square, g in zip(
            self.layers, self.mean, self.square, gradients, strict=True
        ):
            mean += 0.1 * (g - mean)
            square += 0.001 * (g * g - square)
            step = (mean / (1 - 0.9**self.t)) / (np.sqrt(square / (1 - 0.999**self.t)) + 1e-8)
            rows -= RATE * step

    def lesson(self, target, batch):
        ahead, _ = target.forward([transition.after for transition in batch])
        values, kept = self.forward([transition.observation for transition in batch])
        self.adam(self.backward(kept, errors(batch, values, ahead)))


def errors(batch, values, ahead):
    """The slopes of Huber's loss, as a lesson has them."""
    rows = []
    for transition, q, q_after in zip(batch, values, ahead, strict=True):
        error = q[transition.action] - transition.reward - transition.discount * max(q_after)
        rows.append([0.0] * len(q))
        rows[-1][transition.action] = min(max(error, -1.0), 1.0) / len(batch)
    return rows


# --- The comparison --------------------------------------------------------------------------


def screens(rng):
    """A memory of random play."""
    memory, world = Memory(3_000), Breakout()
    screen, _ = world.reset(seed=0)
    for _ in range(3_000):
        action = int(rng.random() * 3)
        after, reward, terminated, _, _ = world.step(action)
        memory.add(Transition(screen, action, reward, 0.0 if terminated else GAMMA, after))
        screen = world.reset()[0] if world.over else after
    return memory


def best_of(jobs):
    """The shortest time of each job; the jobs take turns, so that all meet the same weather."""
    times = dict.fromkeys(jobs, math.inf)
    for _ in range(ROUNDS):
        for name, (job, repeats) in jobs.items():
            started = time.process_time()
            for _ in range(repeats):
                job()
            times[name] = min(times[name], (time.process_time() - started) / repeats)
    return times


def main():
    rng = random.Random(0)
    batches = [screens(rng).sample(16, rng) for _ in range(8)]
    network = Network([82, 32, 3], [relu, identity], rng)
    target, ours = deepcopy(network), deepcopy(network)
    optimiser = Adam(ours.parameters(), RATE)
    called, called_target = Called(network), Called(network)
    arrays, arrays_target = Arrays(network), Arrays(network)
    for batch in batches:  # the three do the same work, or there is nothing to compare
        lesson(ours, target, optimiser, batch)
        called.lesson(called_target, batch)
        arrays.lesson(arrays_target, batch)
    for mine, plain, fast in zip(ours.layers, called.layers, arrays.layers, strict=True):
        assert np.allclose(mine.rows, plain.parameters(), atol=1e-9)
        assert np.allclose(mine.rows, fast, atol=1e-9)

    seen = [transition.observation for transition in batches[0]]
    values, memory = ours.forward(seen)
    slopes = errors(batches[0], values, target.forward([t.after for t in batches[0]])[0])
    gradients, _ = ours.backward(memory, slopes, inputs=False)
    kept, array_kept = called.forward(seen)[1], arrays.forward(seen)[1]
    parts, array_parts = called.backward(kept, slopes), arrays.backward(array_kept, slopes)
    work = {
        "forward": (
            lambda: ours.forward(seen), lambda: called.forward(seen), lambda: arrays.forward(seen)
        ),
        "backward": (
            lambda: ours.backward(memory, slopes, inputs=False),
            lambda: called.backward(kept, slopes),
            lambda: arrays.backward(array_kept, slopes),
        ),
        "Adam step": (
            lambda: optimiser.step(gradients),
            lambda: called.adam(parts),
            lambda: arrays.adam(array_parts),
        ),
        "whole lesson": (
            lambda: lesson(ours, target, optimiser, batches[0]),
            lambda: called.lesson(called_target, batches[0]),
            lambda: arrays.lesson(arrays_target, batches[0]),
        ),
    }  # fmt: skip
    print(f"DQN 82-32-3, batch 16, Python {platform.python_version()}")
    print(f"{'':14}{'ours':>10}{'call by call':>14}{'ratio':>8}{'numpy':>10}{'ratio':>8}")
    for name, (mine, plain, fast) in work.items():
        times = best_of({"mine": (mine, 5), "plain": (plain, 1), "fast": (fast, 5)})
        mine_ms, plain_ms, fast_ms = (1e3 * times[key] for key in ("mine", "plain", "fast"))
        print(
            f"{name:14}{mine_ms:8.2f}ms{plain_ms:12.2f}ms{plain_ms / mine_ms:7.1f}x"
            f"{fast_ms:8.3f}ms{mine_ms / fast_ms:7.1f}x"
        )
    print(f"the whole lesson is to be at least {TARGET:.0f} times as fast as call by call")


if __name__ == "__main__":
    main()
