"""How fast a pass through the world model is: the loss of a lesson and all of its slopes.

Beside it stand (a) the same pass, operation by operation, on numbers whose additions and
multiplications are Python function calls, and (b) numpy. The work is that of the chapter on
Dreamer: 8 sequences of 16 moments.
"""

import math
import platform
import random
from copy import deepcopy
from unittest.mock import patch

import numpy as np
from bench_networks import best_of
from call_by_call import Number

from policywerk.actors.dreamer import Diary, Wanderer
from policywerk.actors.model_learning import RECIPE, model_lesson
from policywerk.actors.world_model import SHADOWS, WorldModel
from policywerk.building_blocks.gaussian import FLOOR
from policywerk.world.action_repeat import ActionRepeat
from policywerk.world.pixel_pointmass import PixelPointMass

TARGET = 12.0  # times as fast as (a)


# --- (a) A function call for every addition and multiplication -------------------------------


def numbered(curve):
    return lambda x: Number(curve(x))


CURVES = {curve.__name__: numbered(curve) for curve in (math.exp, math.log, math.tanh)}


def numbers(values):
    return [Number(value) for value in values]


def by_calls(model, sequences):
    """The same model and sequences, of such numbers."""
    model = deepcopy(model)
    for row in model.parameters():
        row[:] = numbers(row)
    return model, [
        [
            moment._replace(seen=numbers(moment.seen), action=numbers(moment.action),
                            reward=Number(moment.reward))
            for moment in sequence
        ]
        for sequence in sequences
    ]  # fmt: skip


# --- (b) numpy -------------------------------------------------------------------------------


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def linear(rows, x):
    return x @ rows[1:] + rows[0]


def gradient(x, blame):
    return np.vstack([blame.sum(0), x.T @ blame])


def believe(sums):
    half = sums.shape[-1] // 2
    spread = np.logaddexp(0.0, sums[..., half:])
    return sums[..., :half], FLOOR + spread, 1.0 - np.exp(-spread)


class Arrays:
    """The same model, in matrices of numpy."""

    def __init__(self, model):
        hidden, last = model.reward.layers
        parts = (model.encoder, model.gru, model.prior, model.posterior, model.picture,
                 hidden, last, model.goes_on)  # fmt: skip
        self.rows = [np.array(part.parameters()) for part in parts]
        self.memory, self.width = model.memory, model.width

    def lesson(self, batch, rng):
        seen, actions, rewards, first, ended = batch  # each by time, then by sequence
        encoder, recurrent, prior, posterior, *_ = self.rows
        length, many, n = *first.shape, self.memory
        count, codes = length * many, np.tanh(linear(encoder, seen))
        state, steps, states = np.zeros((many, self.width)), [], []
        for t in range(length):
            before = np.hstack([state, actions[t]]) * (1.0 - first[t])[:, None]
            h, sums = before[:, :n], linear(recurrent, before)
            reset, said = sigmoid(sums[:, :n]), sums[:, n : 2 * n]
            update, new = sigmoid(sums[:, 2 * n :]), np.tanh(reset * said)
            looked = np.hstack([h + update * (new - h), codes[t]])
            belief = believe(linear(posterior, looked))
            noise = np.array([[rng.gauss(0.0, 1.0) for _ in row] for row in belief[0]])
            state = np.hstack([looked[:, :n], belief[0] + belief[1] * noise])
            steps.append((before, said, reset, update, new, looked, belief, noise))
            states.append(state)
        flat = np.vstack(states)
        slopes, heads = self.heads(flat, seen, rewards, first, ended, count)
        prior_belief = believe(linear(prior, flat[:, :n]))
        m, s, s_slant = (np.vstack([step[6][k] for step in steps]) for k in range(3))
        mean, std, slant = prior_belief
        size = s * s + (m - mean) ** 2
        value = (np.log(std / s) + size / (2.0 * std * std) - 0.5).sum(1)
        counts = ((value > RECIPE.free) / count)[:, None]
        pull = (m - mean) / (std * std)
        own = RECIPE.posterior * counts * np.hstack([pull, (s / std**2 - 1.0 / s) * s_slant])
        to_prior = RECIPE.prior * counts * np.hstack([-pull, (1.0 - size / std**2) / std * slant])
        slopes[:, :n] += to_prior @ prior[1:].T
        blames, gru_blames, to_codes = [], [], []
        carried = np.zeros((many, self.width))
        for t in reversed(range(length)):
            before, said, reset, update, new, looked, belief, noise = steps[t]
            total = slopes[t * many : (t + 1) * many] + carried
            z = total[:, n:]
            blame = np.hstack([z, z * noise * belief[2]]) + own[t * many : (t + 1) * many]
            back = blame @ posterior[1:].T
            d = total[:, :n] + back[:, :n]
            inner = d * update * (1.0 - new * new)
            turn = d * (new - before[:, :n]) * update * (1.0 - update)
            sums = np.hstack([inner * said * reset * (1.0 - reset), inner * reset, turn])
            down = sums @ recurrent[1:].T
            down[:, :n] += d * (1.0 - update)
            carried = down[:, : self.width] * (1.0 - first[t])[:, None]
            blames.append(blame)
            gru_blames.append(sums)
            to_codes.append(back[:, n:] * (1.0 - codes[t] ** 2))
        late = [np.vstack(part[::-1]) for part in (to_codes, gru_blames, blames)]
        inputs = (seen.reshape(count, -1), np.vstack([s[0] for s in steps]),
                  np.vstack([s[5] for s in steps]))  # fmt: skip
        encoded, gated, believed = (gradient(x, b) for x, b in zip(inputs, late, strict=True))
        return [encoded, gated, gradient(flat[:, :n], to_prior), believed, *heads]

    def heads(self, flat, seen, rewards, first, ended, count):
        *_, picture, hidden, last, goes_on = self.rows
        sums = linear(picture, flat).reshape(count, 2, -1)
        powers = np.exp(sums - sums.max(-1, keepdims=True))
        shares = (powers / powers.sum(-1, keepdims=True)).reshape(count, -1)
        drawn = (shares - seen.reshape(count, -1)) / count
        inner = np.tanh(linear(hidden, flat))
        error = (linear(last, inner)[:, 0] - rewards.ravel()) * (1.0 - first.ravel())
        paid = (RECIPE.reward * error / count)[:, None]
        guess = paid @ last[1:].T * (1.0 - inner * inner)
        chance = sigmoid(linear(goes_on, flat)[:, 0])
        end = ((chance - (1.0 - ended.ravel())) / count)[:, None]
        slopes = drawn @ picture[1:].T + guess @ hidden[1:].T + end @ goes_on[1:].T
        blames = ((flat, drawn), (flat, guess), (inner, paid), (flat, end))
        return slopes, [gradient(*pair) for pair in blames]


def arrays_of(sequences):
    """Seen, actions, rewards, firsts and ends of moments, by time and then by sequence."""
    side_by_side = list(zip(*sequences, strict=True))
    return [
        np.array([[getattr(moment, name) for moment in now] for now in side_by_side], dtype=float)
        for name in ("seen", "action", "reward", "first", "ended")
    ]


# --- The comparison --------------------------------------------------------------------------


def main():
    rng = random.Random(0)
    diary = Diary(ActionRepeat(PixelPointMass("random", limit=100), 4), SHADOWS.look, rng)
    diary.live(500, Wanderer(rng))
    sequences, model = diary.draw(8, 16), WorldModel(rng)
    slow, slow_sequences = by_calls(model, sequences)
    arrays, batch = Arrays(model), arrays_of(sequences)

    def ours():
        return model_lesson(model, sequences, random.Random(1)).gradients

    def called():
        with patch.multiple(math, **CURVES):
            return model_lesson(slow, slow_sequences, random.Random(1)).gradients

    def fast():
        return arrays.lesson(batch, random.Random(1))

    # the three do the same work, or there is nothing to compare
    for mine, plain in zip(ours(), called(), strict=True):
        assert np.allclose(mine, plain, rtol=0.0, atol=1e-12)
        assert all(type(slope) is Number for slope in plain if slope)
    assert np.allclose(
        [x for row in ours() for x in row],
        np.concatenate([part.ravel() for part in fast()]), rtol=0.0, atol=1e-12,
    )  # fmt: skip
    jobs = {"ours": [ours], "call by call": [called], "numpy": [fast]}
    mine, plain, quick = best_of(jobs).values()
    print(f"Dreamer's world model, 8 sequences of 16, Python {platform.python_version()}")
    print(f"  ours          {1e3 * mine:8.1f} ms")
    print(f"  call by call  {1e3 * plain:8.1f} ms   {plain / mine:5.1f}x ours, to be {TARGET:.0f}x")
    print(f"  numpy         {1e3 * quick:8.1f} ms   ours is {mine / quick:.1f}x that")


if __name__ == "__main__":
    main()
