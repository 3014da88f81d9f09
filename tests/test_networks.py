"""The package of the chapter networks.md: layers, losses, optimisers, gradients."""

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policywerk.building_blocks.convolution import Convolution, Image, MaxPooling
from policywerk.building_blocks.gradient_check import apart, by_nudging, by_tape
from policywerk.building_blocks.layer_norm import LayerNorm
from policywerk.building_blocks.losses import (
    cross_entropy,
    huber,
    squared_error,
    symexp,
    symlog,
    symlog_error,
    two_hot,
    two_hot_error,
    two_hot_mean,
)
from policywerk.building_blocks.network import Chain, Dense, Network
from policywerk.building_blocks.optimisers import SGD, Adam
from policywerk.primitives.activations import (
    BACK,
    elu,
    identity,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from policywerk.primitives.matrices import outer_sum
from policywerk.primitives.vectors import dot

EXACT = 1e-12
seeds = st.integers(0, 10**6)
sizes = st.integers(1, 6)


def numbers(rng, rows, width, zeros=0.0):
    """Rows of numbers on both sides of zero, some of them exactly zero."""
    return [
        [0.0 if rng.random() < zeros else 4.0 * rng.random() - 2.0 for _ in range(width)]
        for _ in range(rows)
    ]


def assert_gradients(layer, batch, rng, *, cancels=False):
    """A layer's way back agrees with the tape, for its parameters and its inputs.

    Where everything cancels in the inputs' slopes, they are measured beside those that came in.
    """
    for row in layer.parameters():
        row[:] = [x + rng.random() - 0.5 for x in row]
    outputs, memory = layer.forward(batch)
    slopes = numbers(rng, len(outputs), len(outputs[0]), zeros=0.3)

    def loss():
        produced, _ = layer.forward(batch)
        # the extra term is a Num where the output does not depend on the row in question
        pairs = zip(produced, slopes, strict=True)
        return 0.0 * batch[0][0] + sum(dot(row, weights) for row, weights in pairs)

    gradients, before = layer.backward(memory, slopes)
    came_in = slopes if cancels else []
    assert apart([*before, *came_in], [*by_tape(loss, batch), *came_in]) < EXACT
    if layer.parameters():
        assert apart(gradients, by_tape(lambda: loss() + 0.0 * layer.parameters()[0][0],
                                        layer.parameters())) < EXACT  # fmt: skip
    alone, nothing = layer.backward(memory, slopes, inputs=False)
    assert alone == gradients
    assert nothing == []


# ---------------------------------------------------------------- kernels


@given(seeds, sizes, st.integers(1, 30), sizes, st.sampled_from([0.0, 0.5, 0.9]))
def test_outer_sum_agrees_with_numpy(seed, rows, width, other, zeros):
    rng = random.Random(seed)
    a, b = numbers(rng, rows, width, zeros), numbers(rng, rows, other, zeros)
    scale = np.abs(a).T @ np.abs(b)
    assert np.all(np.abs(np.array(outer_sum(a, b)) - np.array(a).T @ np.array(b)) <= 1e-13 * scale)


# ---------------------------------------------------------------- activations


@pytest.mark.parametrize("activation", BACK, ids=lambda activation: activation.__name__)
@given(seed=seeds, width=st.integers(1, 8))
def test_the_way_back_through_an_activation_agrees_with_the_tape(activation, seed, width):
    rng = random.Random(seed)
    (point,), (slopes,) = numbers(rng, 1, width), numbers(rng, 1, width)
    rows = [point]
    by_hand = BACK[activation](slopes, activation(point))

    def loss():
        return dot(activation(rows[0]), slopes) + 0.0 * sum(rows[0])

    assert apart([by_hand], by_tape(loss, rows)) < EXACT


def test_activations_agree_with_numpy():
    points = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    powers = np.exp(points)
    assert softmax(points.tolist()) == pytest.approx(powers / powers.sum(), rel=1e-14)
    assert elu(points.tolist()) == pytest.approx(np.where(points > 0, points, powers - 1))
    assert identity(points.tolist()) == points.tolist()


def test_softmax_does_not_overflow():
    assert softmax([1000.0, 0.0, -1000.0]) == [1.0, 0.0, 0.0]
    assert cross_entropy([1000.0, 0.0], [0.0, 1.0]).value == 1000.0


# ---------------------------------------------------------------- losses

BINS = [-2.0, -1.0, -0.5, 0.0, 0.7, 1.5, 3.0]


@pytest.mark.parametrize("loss", [squared_error, huber, symlog_error])
@given(seed=seeds, width=st.integers(1, 8))
def test_slopes_of_losses_agree_with_the_tape(loss, seed, width):
    rng = random.Random(seed)
    outputs, (target,) = numbers(rng, 1, width), numbers(rng, 1, width)
    assert apart([loss(outputs[0], target).slopes],
                 by_tape(lambda: loss(outputs[0], target).value + 0.0 * outputs[0][0],
                         outputs)) < EXACT  # fmt: skip


@given(seed=seeds, width=st.integers(1, 8))
def test_the_slope_of_cross_entropy_agrees_with_the_tape(seed, width):
    rng = random.Random(seed)
    outputs = numbers(rng, 1, width)
    target = softmax(numbers(rng, 1, width)[0])
    assert apart([cross_entropy(outputs[0], target).slopes],
                 by_tape(lambda: cross_entropy(outputs[0], target).value, outputs)) < EXACT


@given(seed=seeds)
def test_the_slope_of_the_two_hot_error_agrees_with_the_tape(seed):
    rng = random.Random(seed)
    outputs, target = numbers(rng, 1, len(BINS)), 20.0 * rng.random() - 10.0
    assert apart([two_hot_error(outputs[0], target, BINS).slopes],
                 by_tape(lambda: two_hot_error(outputs[0], target, BINS).value, outputs)) < EXACT


@pytest.mark.parametrize(("function", "other"), [(symlog, symexp), (symexp, symlog)])
@given(x=st.floats(-20.0, 20.0))
def test_symlog_and_symexp_undo_each_other_and_have_slopes(function, other, x):
    assert other(function(x)) == pytest.approx(x, rel=1e-9, abs=1e-12)
    expected = 1 / (1 + abs(x)) if function is symlog else math.exp(abs(x))
    rows = [[x]]
    assert by_tape(lambda: function(rows[0][0]), rows)[0] == pytest.approx([expected])


@given(x=st.floats(-2.0, 3.0))
def test_two_hot_balances_at_the_number(x):
    shares = two_hot(x, BINS)
    assert dot(shares, BINS) == pytest.approx(x, abs=1e-12)
    assert math.fsum(shares) == pytest.approx(1.0)
    live = [place for place, share in enumerate(shares) if share]
    assert live[-1] - live[0] <= 1
    assert min(shares) >= 0.0


def test_two_hot_at_and_beyond_the_ends():
    assert two_hot(-9.0, BINS) == two_hot(-2.0, BINS) == [1.0] + [0.0] * 6
    assert two_hot(9.0, BINS) == two_hot(3.0, BINS) == [0.0] * 6 + [1.0]
    certain = [100.0 if b == 0.7 else 0.0 for b in BINS]
    assert two_hot_mean(certain, BINS) == pytest.approx(math.exp(0.7) - 1)


def test_huber_is_squared_error_near_and_straight_far():
    assert huber([0.5], [0.0]) == squared_error([0.5], [0.0])
    assert huber([-3.0, 1.0], [0.0, 0.0]) == (2.5 + 0.5, [-1.0, 1.0])


# ---------------------------------------------------------------- layers


@settings(deadline=None, max_examples=40)
@given(seed=seeds, shape=st.tuples(sizes, sizes, sizes), activation=st.sampled_from(list(BACK)),
       zeros=st.sampled_from([0.0, 0.7]))  # fmt: skip
def test_a_dense_layer_walks_back_as_the_tape_does(seed, shape, activation, zeros):
    rng = random.Random(seed)
    samples, n_in, n_out = shape
    batch = numbers(rng, samples, n_in, zeros)
    assert_gradients(Dense(n_in, n_out, activation, rng), batch, rng)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, widths=st.lists(sizes, min_size=2, max_size=5), samples=sizes)
def test_a_network_walks_back_as_the_tape_does(seed, widths, samples):
    rng = random.Random(seed)
    curves = [tanh, relu, sigmoid, elu]
    activations = [curves[k % 4] for k in range(len(widths) - 1)]
    network = Network(widths, activations, rng)
    assert_gradients(network, numbers(rng, samples, widths[0]), rng)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, samples=sizes, size=st.integers(2, 8))
def test_layer_norm_walks_back_as_the_tape_does(seed, samples, size):
    rng = random.Random(seed)
    assert_gradients(LayerNorm(size), numbers(rng, samples, size), rng, cancels=True)


images = st.builds(Image, st.integers(2, 6), st.integers(2, 6), st.integers(1, 3))


@settings(deadline=None, max_examples=40)
@given(seed=seeds, image=images, size=st.integers(1, 3), stride=st.integers(1, 3),
       channels=st.integers(1, 3), zeros=st.sampled_from([0.0, 0.8]))  # fmt: skip
def test_a_convolution_walks_back_as_the_tape_does(seed, image, size, stride, channels, zeros):
    rng = random.Random(seed)
    size = min(size, image.rows, image.columns)
    layer = Convolution(image, channels, size, tanh, rng, stride=stride)
    batch = numbers(rng, 2, image.rows * image.columns * image.channels, zeros)
    assert_gradients(layer, batch, rng)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, image=images, size=st.integers(2, 3))
def test_pooling_walks_back_as_the_tape_does(seed, image, size):
    rng = random.Random(seed)
    layer = MaxPooling(image, min(size, image.rows, image.columns))
    batch = numbers(rng, 2, image.rows * image.columns * image.channels)
    assert_gradients(layer, batch, rng)


@settings(deadline=None, max_examples=10)
@given(seed=seeds)
def test_a_chain_of_all_layers_walks_back_as_the_tape_does(seed):
    rng = random.Random(seed)
    convolution = Convolution(Image(6, 6, 2), 3, 3, relu, rng)
    pooling = MaxPooling(convolution.output, 2)
    width = pooling.output.rows * pooling.output.columns * 3
    chain = Chain([convolution, pooling, LayerNorm(width), Dense(width, 2, softmax, rng)])
    assert_gradients(chain, numbers(rng, 2, 72), rng, cancels=True)


@given(seed=seeds, image=images, size=st.integers(1, 3), stride=st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_a_convolution_agrees_with_numpy(seed, image, size, stride):
    rng = random.Random(seed)
    size = min(size, image.rows, image.columns)
    layer = Convolution(image, 2, size, identity, rng, stride=stride)
    layer.rows[0][:] = [0.25, -1.0]
    (flat,) = numbers(rng, 1, image.rows * image.columns * image.channels, zeros=0.5)
    pixels = np.array(flat).reshape(image)
    weights = np.array(layer.rows[1:]).reshape(size, size, image.channels, 2)
    expected = [
        np.tensordot(pixels[r : r + size, c : c + size], weights, 3) + layer.rows[0]
        for r in range(0, image.rows - size + 1, stride)
        for c in range(0, image.columns - size + 1, stride)
    ]
    ((got,), _) = layer.forward([flat])
    assert np.reshape(got, (-1, 2)) == pytest.approx(np.array(expected), abs=1e-12)
    assert layer.output == (
        (image.rows - size) // stride + 1, (image.columns - size) // stride + 1, 2
    )  # fmt: skip


def test_pooling_agrees_with_numpy():
    rng = random.Random(1)
    (flat,) = numbers(rng, 1, 6 * 4 * 3)
    ((got,), _) = MaxPooling(Image(6, 4, 3), 2).forward([flat])
    blocks = np.array(flat).reshape(3, 2, 2, 2, 3)
    assert got == blocks.max(axis=(1, 3)).ravel().tolist()


def test_a_network_agrees_with_numpy():
    rng = random.Random(5)
    network = Network([4, 7, 2], [tanh, identity], rng)
    batch = numbers(rng, 3, 4)
    first, second = (np.array(layer.rows) for layer in network.layers)
    hidden = np.tanh(np.array(batch) @ first[1:] + first[0])
    assert network.forward(batch)[0] == pytest.approx(hidden @ second[1:] + second[0])
    assert network(batch[1]) == pytest.approx(network.forward(batch)[0][1])


def test_state_goes_through_json_and_shares_nothing():
    network = Network([3, 4, 2], [relu, identity], random.Random(1))
    other = Network([3, 4, 2], [relu, identity], random.Random(2))
    x = [0.5, -1.0, 2.0]
    assert network(x) != other(x)
    state = network.state()
    other.load(json.loads(json.dumps(state)))
    assert network(x) == other(x)
    state[0][0] += 1.0
    other.parameters()[0][1] += 1.0
    assert network.parameters()[0] == [0.0] * 4


def test_mistakes_are_named_at_the_door():
    rng = random.Random(0)
    with pytest.raises(ValueError, match="no way back is known"):
        Dense(2, 2, abs, rng)
    with pytest.raises(ValueError, match="sizes"):
        Network([3, 2], [relu, relu], rng)
    with pytest.raises(ValueError, match="at least one"):
        Chain([])
    with pytest.raises(ValueError, match="same shape"):
        Network([3, 2], [relu], rng).load([[0.0]])
    with pytest.raises(ValueError, match="size=5"):
        MaxPooling(Image(4, 6), 5)
    with pytest.raises(ValueError, match="size=1"):
        MaxPooling(Image(4, 6), 1)
    with pytest.raises(ValueError, match="bins"):
        two_hot(0.0, [1.0])


# ---------------------------------------------------------------- the three ways


def test_the_check_finds_a_wrong_slope_and_leaves_the_numbers_alone():
    rows = [[2.0, -1.0]]

    def loss():
        return rows[0][0] * rows[0][0] * rows[0][1]

    assert by_tape(loss, rows) == [[-4.0, 4.0]]
    assert apart(by_nudging(loss, rows), [[-4.0, 4.0]]) < 1e-8
    assert rows == [[2.0, -1.0]]
    assert apart([[-4.0, 4.0]], [[-4.0, 3.0]]) == 0.25
    assert apart([[0.0]], [[0.0]]) == 0.0


# ---------------------------------------------------------------- optimisers


def reference(kind, start, gradients, beta1, beta2):
    """The rule as its paper writes it, in numpy."""
    x, m, v = np.array(start), np.zeros_like(start), np.zeros_like(start)
    for t, g in enumerate(gradients, 1):
        if kind == "adam":
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            x = x - 0.01 * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
        else:
            m = (0.8 if kind == "momentum" else 0.0) * m - 0.01 * g
            x = x + m
    return x


@pytest.mark.parametrize(
    ("kind", "beta1", "beta2"),
    [("plain", 0, 0), ("momentum", 0, 0), ("adam", 0.9, 0.999), ("adam", 0.0, 0.99)],
)
def test_optimisers_take_the_steps_of_their_papers(kind, beta1, beta2):
    rng = random.Random(3)
    rows = [[1.0, -2.0, 0.5], [3.0]]
    start = [x for row in rows for x in row]
    gradients = numbers(rng, 25, 4)
    for g in gradients[:2] + gradients[10:14]:
        g[3] = 0.0  # a row without slopes: before it had any, and on its way
    optimiser = {
        "plain": lambda: SGD(rows, 0.01),
        "momentum": lambda: SGD(rows, 0.01, momentum=0.8),
        "adam": lambda: Adam(rows, 0.01, beta1, beta2),
    }[kind]()
    for g in gradients:
        optimiser.step([g[:3], g[3:]])
    got = [x for row in rows for x in row]
    expected = reference(kind, start, np.array(gradients), beta1, beta2)
    assert got == pytest.approx(expected, rel=1e-12)
