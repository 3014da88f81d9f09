"""How fast the networks are: ratios within one run, each of the best of several rounds.

Beside them stand (a) the same arithmetic in layers, with a Python function call for every addition
and multiplication at the bottom, and (b) numpy. The work is that of the chapter on DQN: 82 inputs,
32 hidden neurons, 3 actions, batches of 16 screens of Breakout as they are drawn in the middle of
a run, for as many lessons as lie between two renewals of the target network. "Nothing known" is a
lesson that asks the target network about all of its screens; in a run it keeps what it has said.
"""

import math
import platform
import random
import sys
import time
from copy import deepcopy
from functools import partial

import call_by_call
import numpy as np
from call_by_call import matrix_plus, times
from call_by_call import outer as product

from policywerk.actors.dqn import Memory, Target, Transition, dqn, lesson
from policywerk.building_blocks.optimisers import Adam
from policywerk.primitives.randomness import argmax, below
from policywerk.world.breakout import Breakout

USUAL = dqn.__kwdefaults__
GAMMA, (RATE, _) = USUAL["gamma"], USUAL["rate"]
LESSONS = USUAL["sync"] // USUAL["every"]  # from one renewal to the next
TARGET = 15.0 if sys.version_info >= (3, 12) else 12.0  # of a lesson in a run, against (a)


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


def of_a_run(rng):
    """The network in the middle of a run, and what is drawn from its memory."""
    *_, episode = dqn(Breakout(), rng=rng, steps=6_000)
    memory, world, network = Memory(USUAL["replay"]), Breakout(), episode.network
    screen, _ = world.reset(seed=0)
    for _ in range(memory.size):
        explores = rng.random() < episode.epsilon
        action = below(3, rng) if explores else argmax(network(screen), rng)
        after, reward, terminated, _, _ = world.step(action)
        memory.add(Transition(screen, action, reward, 0.0 if terminated else GAMMA, after))
        screen = world.reset()[0] if world.over else after
    return network, [memory.sample(USUAL["batch"], rng) for _ in range(LESSONS)]


def best_of(jobs, rounds=40):
    """What each job takes, the mean over its tasks of their shortest times.

    The jobs take turns in each round, so that all meet the same weather.
    """
    times = {name: [math.inf] * len(work) for name, work in jobs.items()}
    for _ in range(rounds):
        for name, work in jobs.items():
            for i, task in enumerate(work):
                started = time.process_time()
                task()
                times[name][i] = min(times[name][i], time.process_time() - started)
    return {name: sum(best) / len(best) for name, best in times.items()}


def tasks(function, *arguments):
    """A task for each lesson: the function with that lesson's arguments."""
    return [partial(function, *each) for each in zip(*arguments, strict=True)]


def main():
    rng = random.Random(0)
    network, batches = of_a_run(rng)
    ours, target = deepcopy(network), Target(network)
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

    seen = [[transition.observation for transition in batch] for batch in batches]
    values, kept = zip(*map(ours.forward, seen), strict=True)
    _, called_kept = zip(*map(called.forward, seen), strict=True)
    _, array_kept = zip(*map(arrays.forward, seen), strict=True)
    ahead = [target.values([t.after for t in batch]) for batch in batches]
    slopes = list(map(errors, batches, values, ahead))
    back = partial(ours.backward, inputs=False)
    gradients = [back(*each)[0] for each in zip(kept, slopes, strict=True)]
    parts = list(map(called.backward, called_kept, slopes))
    array_parts = list(map(arrays.backward, array_kept, slopes))

    def ask_anew(batch):
        target.said.clear()
        lesson(ours, target, optimiser, batch)

    def in_a_run(batch):
        if batch is batches[0]:
            target.renew(ours)
        lesson(ours, target, optimiser, batch)

    fast_lesson = tasks(partial(arrays.lesson, arrays_target), batches)
    plain_lesson = tasks(partial(called.lesson, called_target), batches)
    work = {
        "forward": (
            tasks(ours.forward, seen), tasks(called.forward, seen), tasks(arrays.forward, seen)
        ),
        "backward": (
            tasks(back, kept, slopes),
            tasks(called.backward, called_kept, slopes),
            tasks(arrays.backward, array_kept, slopes),
        ),
        "Adam step": (
            tasks(optimiser.step, gradients),
            tasks(called.adam, parts),
            tasks(arrays.adam, array_parts),
        ),
        "nothing known": (tasks(ask_anew, batches), plain_lesson, fast_lesson),
        "lesson in a run": (tasks(in_a_run, batches), plain_lesson, fast_lesson),
    }  # fmt: skip
    print(f"DQN 82-32-3, batch 16, Python {platform.python_version()}")
    print(f"{'':16}{'ours':>10}{'call by call':>14}{'ratio':>8}{'numpy':>10}{'ratio':>8}")
    for name, jobs in work.items():
        named = dict(zip(("ours", "call by call", "numpy"), jobs, strict=True))
        mine, plain, fast = (1e3 * took for took in best_of(named, rounds=10).values())
        print(
            f"{name:16}{mine:8.2f}ms{plain:12.2f}ms{plain / mine:7.1f}x"
            f"{fast:8.3f}ms{mine / fast:7.1f}x"
        )
    print(f"a lesson in a run is to be at least {TARGET:.0f} times as fast as call by call")


if __name__ == "__main__":
    main()
