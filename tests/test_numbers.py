"""The package of the chapter numbers.md: vectors, matrices, chance, the tape."""

import math
import random
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from operator import mul
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywerk.primitives.activations import relu, sigmoid, tanh
from policywerk.primitives.matrices import columns, combine, matmul
from policywerk.primitives.randomness import argmax, below, draw
from policywerk.primitives.tape import SLOPES, Num, apply, explain, gradient, tape
from policywerk.primitives.vectors import dot

SRC = Path(__file__).parent.parent / "src"

numbers = st.floats(-1e3, 1e3)


def vectors_of(n):
    return st.lists(numbers, min_size=n, max_size=n)


def sparse_matrices(rows, width):
    entries = st.one_of(st.just(0.0), numbers)
    return st.lists(st.lists(entries, min_size=width, max_size=width), min_size=rows, max_size=rows)


def near(got, expected, scale):
    """Agreement within rounding, measured against the size of what was added up."""
    return np.all(np.abs(np.asarray(got) - np.asarray(expected)) <= 1e-13 * np.asarray(scale))


# ---------------------------------------------------------------- vectors and matrices


@given(st.integers(0, 40).flatmap(lambda n: st.tuples(vectors_of(n), vectors_of(n))))
def test_dot_agrees_with_numpy(pair):
    a, b = pair
    assert near(dot(a, b), np.dot(a, b), np.dot(np.abs(a), np.abs(b)))


def test_dot_refuses_vectors_of_different_length():
    with pytest.raises(ValueError):
        dot([1.0, 2.0], [1.0])


shapes = st.tuples(st.integers(1, 6), st.integers(1, 30), st.integers(1, 6))


@given(shapes.flatmap(lambda s: st.tuples(sparse_matrices(*s[:2]), sparse_matrices(*s[1:]))))
def test_matmul_agrees_with_numpy(pair):
    a, b = map(np.array, pair)
    assert near(matmul(*pair), a @ b, np.abs(a) @ np.abs(b))


@pytest.mark.parametrize("live", [0, 1, 5, 6, 20, 29, 30, 40])
def test_matmul_is_the_same_however_many_entries_are_zero(live):
    rng = np.random.default_rng(live)
    row = np.zeros(40)
    row[rng.permutation(40)[:live]] = rng.normal(size=live)
    b = rng.normal(size=(40, 7))
    got = matmul([row.tolist()], b.tolist())
    assert np.shape(got) == (1, 7)
    assert near(got, [row @ b], np.abs([row]) @ np.abs(b))


@pytest.mark.parametrize("values", [2, 5, 6])
def test_rows_of_few_values_give_what_dot_products_give_to_the_last_digit(values):
    rng = np.random.default_rng(values)
    few = np.append(rng.normal(size=values), np.zeros(values))
    a, b = rng.choice(few, size=(5, 60)).tolist(), rng.normal(size=(60, 7)).tolist()
    for row, got in zip(a, matmul(a, b), strict=True):
        live = [i for i, weight in enumerate(row) if weight]
        kept = [row[i] for i in live]
        assert got == [dot(kept, [b[i][j] for i in live]) for j in range(7)]


def test_a_row_of_zeros_reads_nothing_of_the_other_matrix():
    assert matmul([[0.0, 0.0]], [[math.inf, 1.0], [2.0, math.nan]]) == [[0.0, 0.0]]
    assert combine([0.0, 2.0], [[math.nan, math.nan], [3.0, 4.0]]) == [6.0, 8.0]


def test_matmul_names_the_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="row of 2, b has 3 rows"):
        matmul([[1.0, 2.0]], [[1.0], [2.0], [3.0]])


def test_columns_are_the_transpose():
    assert columns([[1, 2, 3], [4, 5, 6]]) == [(1, 4), (2, 5), (3, 6)]


# ---------------------------------------------------------------- chance


def test_below_reaches_every_number_and_no_other():
    rng = random.Random(0)
    counts = Counter(below(6, rng) for _ in range(6000))
    assert set(counts) == set(range(6))
    assert all(abs(count - 1000) < 5 * math.sqrt(1000 * 5 / 6) for count in counts.values())


def test_draw_follows_the_weights_and_never_the_impossible():
    rng, weights = random.Random(0), [0.0, 1.0, 0.0, 5.0, 2.0, 0.0]
    counts = Counter(draw(weights, rng) for _ in range(8000))
    assert set(counts) == {1, 3, 4}
    for index, count in counts.items():
        chance = weights[index] / 8
        assert abs(count - 8000 * chance) < 5 * math.sqrt(8000 * chance * (1 - chance))


class Fixed(random.Random):
    """A generator that always deals the same number."""

    def __init__(self, number):
        super().__init__(0)
        self.number = number

    def random(self):
        return self.number


def test_draw_at_the_ends_of_the_line():
    highest = math.nextafter(1.0, 0.0)
    assert draw([0.0, 1.0, 1.0], Fixed(0.0)) == 1
    assert draw([1.0, 1.0, 0.0], Fixed(highest)) == 1
    # a finger that rounding has pushed past the end still lands on something possible
    assert draw([0.1] * 10 + [0.0], Fixed(1.0)) == 9


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [0.5, -0.1], [math.nan]])
def test_draw_refuses_weights_that_are_no_chances(weights):
    with pytest.raises(ValueError, match="draw: weights"):
        draw(weights, random.Random(0))


def test_argmax_breaks_ties_evenly():
    rng = random.Random(0)
    counts = Counter(argmax([1.0, 4.0, -2.0, 4.0], rng) for _ in range(4000))
    assert set(counts) == {1, 3}
    assert abs(counts[1] - 2000) < 5 * math.sqrt(1000)


def test_a_seed_deals_the_same_numbers_on_every_platform():
    rng = random.Random(7)
    dealt = [below(6, rng) for _ in range(8)]
    dealt += [draw([0.2, 0.8], rng) for _ in range(8)] + [argmax([0.0] * 4, rng) for _ in range(8)]
    assert dealt == [1, 0, 3, 0, 3, 2, 0, 3, 0, 1, 0, 0, 1, 1, 0, 1, 2, 3, 2, 1, 3, 0, 3, 1]


# ---------------------------------------------------------------- slopes


def by_nudging(function, point, h=1e-6):
    slopes = []
    for i, x in enumerate(point):
        above, under = list(point), list(point)
        above[i], under[i] = x + h, x - h
        slopes.append((function(*above) - function(*under)) / (2 * h))
    return slopes


FORMULAS = {
    "all operators": lambda a, b, c: (a - b) / c + 2.0 * a * b - (1.0 - c) / 3.0 + 4.0 / b - -a,
    "floats on either side": lambda a, b, c: 3 + a + 1 - (2 * b * 5) / 7 + 1 / c - (8 - c) + b / 2,
    "powers": lambda a, b, c: a**3 + b**-2 + c**0.5,
    "sums from zero": lambda a, b, c: sum([a * b, b * c, c * a]),
    "a number used often": lambda a, b, c: (a * a * b + a) * (a * a * b + a) / c,
    "curves": lambda a, b, c: apply(math.exp, a) * apply(math.log, b) + apply(math.tanh, c * a),
    "roots": lambda a, b, c: apply(math.sqrt, a * b + c),
    "choices": lambda a, b, c: max(a, b, c) * min(a, b) + abs(a - b) + abs(b - a),
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@given(point=st.tuples(*[st.floats(0.5, 3.0)] * 3))
def test_gradients_agree_with_nudging(formula, point):
    a, b, _ = point
    if abs(a - b) < 1e-3 or abs(max(point[:2]) - point[2]) < 1e-3:
        return  # at the corner of a choice there is no slope
    inputs = [Num(x) for x in point]
    result = formula(*inputs)
    assert result.value == pytest.approx(formula(*point), rel=1e-12)
    expected = by_nudging(formula, point)
    largest = max(1.0, *map(abs, expected))
    for got, nudged in zip(gradient(result, inputs), expected, strict=True):
        assert abs(got - nudged) < 1e-7 * largest


@pytest.mark.parametrize("function", SLOPES, ids=lambda function: function.__name__)
def test_every_curve_has_the_right_slope(function):
    for point in (0.3, 1.0, 2.5):
        x = Num(point)
        assert gradient(apply(function, x), [x]) == pytest.approx(by_nudging(function, [point]))


def test_gradients_agree_with_a_backward_pass_written_by_hand():
    rng = np.random.default_rng(5)
    x, first, second = rng.normal(size=6), rng.normal(size=(6, 8)), rng.normal(size=8)
    hidden = np.tanh(x @ first)
    by_hand_first = np.outer(x, second * (1 - hidden**2))

    traced = [[Num(w) for w in row] for row in first]
    traced_second = [Num(w) for w in second]
    output = dot(tanh(matmul([x.tolist()], traced)[0]), traced_second)
    slopes = gradient(output, [w for row in traced for w in row] + traced_second)
    expected = np.concatenate([by_hand_first.ravel(), hidden])
    assert np.max(np.abs(np.array(slopes) - expected)) < 1e-14 * np.max(np.abs(expected))


def test_a_number_made_once_and_used_often_passes_on_its_slope_once():
    x = Num(3.0)
    square = x * x
    fourth = square * square
    assert gradient(fourth + square, [x]) == [4 * 27.0 + 6.0]
    assert len(tape(fourth)) == 3


def test_what_did_not_take_part_has_slope_zero():
    x, bystander = Num(2.0), Num(2.0)
    assert gradient(x * 3.0, [bystander, x]) == [0.0, 3.0]
    assert gradient(x, [x]) == [1.0]


def test_asking_twice_gives_the_same_answer():
    x = Num(2.0)
    y = x * x
    assert gradient(y, [x]) == gradient(y, [x]) == [4.0]


def test_a_num_is_never_taken_for_a_float():
    x = Num(0.0)
    for leak in (float, int, math.tanh, lambda x: math.fsum([x])):
        with pytest.raises(TypeError):
            leak(x)
    with pytest.raises(TypeError):
        Num(x)


def test_a_traced_zero_is_not_skipped():
    weights = [Num(0.0), Num(0.0)]
    assert bool(weights[0]) and weights[0] != 0.0
    (output,) = matmul([weights], [[3.0], [5.0]])[0]
    assert output.value == 0.0
    assert gradient(output, weights) == [3.0, 5.0]


@pytest.mark.parametrize("live", [3, 12, 20])
def test_every_way_of_matmul_takes_nums_on_both_sides(live):
    rng = random.Random(live)
    row = [rng.random() + 0.1 if i < live else 0.0 for i in range(20)]
    matrix = [[Num(rng.random()), rng.random()] for _ in range(20)]
    first, second = matmul([row], matrix)[0]
    assert gradient(first, [r[0] for r in matrix]) == row
    assert not isinstance(second, Num)
    (traced,) = matmul([[Num(x) for x in row]], [[r[1]] for r in matrix])[0]
    assert traced.value == pytest.approx(second, rel=1e-14)


def test_a_deep_chain_needs_no_recursion():
    x = start = Num(1.0)
    for _ in range(20_000):
        x = x * 1.0 + 0.5
    assert gradient(x, [start]) == [1.0]
    assert len(tape(x)) == 1 + 4 * 20_000
    assert len(explain(x).lines) == 40
    del x


def test_gradient_and_explain_refuse_a_float_by_name():
    for question in (lambda x: gradient(x, []), explain):
        with pytest.raises(ValueError, match=r"expected a Num.*got 0\.5"):
            question(0.5)


def test_a_function_without_a_rule_is_refused_by_name():
    assert apply(math.cos, 0.0) == 1.0
    with pytest.raises(ValueError, match="cos has no slope; add it to SLOPES"):
        apply(math.cos, Num(0.0))


# ---------------------------------------------------------------- activations


def test_activations_agree_with_their_definitions():
    points = [-700.0, -3.0, -0.1, 0.0, 0.1, 3.0, 700.0]
    assert relu(points) == [0.0, 0.0, 0.0, 0.0, 0.1, 3.0, 700.0]
    assert tanh(points) == [math.tanh(x) for x in points]
    assert sigmoid(points) == pytest.approx([1 / (1 + math.exp(-x)) for x in points], abs=1e-15)
    assert sigmoid([-1e9, 1e9]) == [0.0, 1.0]


@pytest.mark.parametrize("activation", [relu, tanh, sigmoid])
def test_activations_have_slopes(activation):
    for point in (-1.5, 0.4):
        x = Num(point)
        (y,) = activation([x])
        got = gradient(y, [x]) if isinstance(y, Num) else [0.0]
        assert got == pytest.approx(by_nudging(lambda x: activation([x])[0], [point]), abs=1e-9)


# ---------------------------------------------------------------- explanations


def test_a_backup_explained():
    gamma, value = Num(0.9, name="gamma"), Num(0.81, name="V(0, 3)")
    q = 0.8 * (-0.04 + gamma * value) + 0.2 * gamma
    q.name = "q"
    assert str(explain(q)) == (
        "q\n"
        "  = 0.8 × (−0.04 + gamma × V(0, 3)) + 0.2 × gamma\n"
        "  = 0.5512 + 0.18\n"
        "  = 0.7312\n"
        "    0.8 × (−0.04 + gamma × V(0, 3)) = 0.8 × 0.689 = 0.5512\n"
        "        −0.04 + gamma × V(0, 3) = −0.04 + 0.729 = 0.689\n"
        "            gamma × V(0, 3) = 0.9 × 0.81 = 0.729\n"
        "    0.2 × gamma = 0.2 × 0.9 = 0.18"
    )


def test_a_long_line_is_broken_before_its_equals_signs():
    reward = Num(0.25, name="the reward for the step")
    value = Num(2.0, name="the value of the rest")
    target = reward + 0.5 * value
    target.name = "target"
    assert str(explain(target)).splitlines()[:4] == [
        "target",
        "  = the reward for the step + 0.5 × the value of the rest",
        "  = 0.25 + 1",
        "  = 1.25",
    ]


def test_a_number_without_a_past_is_itself():
    assert str(explain(Num(0.9, name="gamma"))) == "gamma = 0.9"
    assert str(explain(Num(-2.0))) == "−2"


def test_the_digits_are_not_repeated_where_they_are_the_formula():
    assert str(explain(Num(2.0) * 3.0)) == "2 × 3 = 6"


@pytest.mark.parametrize(
    ("build", "formula"),
    [
        (lambda a, b, c: a - (b - c), "a − (b − c)"),
        (lambda a, b, c: a - b - c, "a − b − c"),
        (lambda a, b, c: (a**2) ** 3 * b, "(a ^ 2) ^ 3 × b"),
        (lambda a, b, c: (a + b) * c, "(a + b) × c"),
        (lambda a, b, c: a * b / c, "a × b / c"),
        (lambda a, b, c: a / (b * c), "a / (b × c)"),
        (lambda a, b, c: (a * b) ** 2 + c, "(a × b) ^ 2 + c"),
        (lambda a, b, c: a + (b + c), "a + (b + c)"),
        (lambda a, b, c: a + b + c, "a + b + c"),
        (lambda a, b, c: apply(math.tanh, a + b) * c, "tanh(a + b) × c"),
        (lambda a, b, c: a * -0.5 + b * c, "a × (−0.5) + b × c"),
        (lambda a, b, c: sum([a, b, c, a, b, c]), "a + b + c + … + c"),
    ],
)
def test_formulas_have_the_brackets_they_need_and_no_more(build, formula):
    result = build(Num(5.0, name="a"), Num(3.0, name="b"), Num(2.0, name="c"))
    assert explain(result).lines[0].steps[0] == formula


def test_every_line_computes():
    """Each line of digits, read as Python, gives the value at its end."""
    rng = random.Random(2)
    hidden = tanh(matmul([[0.3, -0.8, 1.5]], [[Num(rng.random()) for _ in range(3)]] * 3)[0])
    result = (2.0 - dot(hidden, [Num(0.25), Num(-0.5), Num(0.125)])) ** 2 / -1.5
    shown = explain(result).lines
    assert len(shown) > 8
    for _, steps in shown:
        *_, calculation, value = (s.replace("−", "-").replace("×", "*") for s in steps)
        calculated = eval(calculation.replace("^", "**"), {"tanh": math.tanh})
        assert calculated == pytest.approx(float(value), rel=2e-5)


def test_what_is_used_twice_is_opened_once():
    a, b = Num(2.0, name="a"), Num(3.0, name="b")
    shared = a * b
    text = str(explain(shared * shared + shared))
    assert text.count("a × b = 2 × 3 = 6") == 1


def test_a_named_part_keeps_its_name_and_opens_below():
    gamma = Num(0.5, name="gamma")
    target = 1.0 + gamma * 2.0
    target.name = "target"
    lines = str(explain(target - 0.5)).splitlines()
    assert lines[0] == "target − 0.5 = 2 − 0.5 = 1.5"
    assert lines[1] == "    target = 1 + gamma × 2 = 1 + 1 = 2"
    assert str(explain(target + 3.0)).splitlines()[0] == "target + 3 = 2 + 3 = 5"


def test_a_large_explanation_shows_the_nearest_steps_and_says_so():
    rows = [[Num(0.01) for _ in range(60)] for _ in range(60)]
    result = dot(tanh(matmul([[0.5] * 60], rows)[0]), [Num(0.1)] * 60)
    explanation = explain(result, limit=10)
    assert [line.depth for line in explanation.lines] == [0] + [1] * 9
    operations = 60 * (60 + 59) + 60 + 60 + 59
    assert str(explanation).splitlines()[-1] == (
        f"The 10 steps nearest to the result, of {operations} operations."
    )
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        explain(result, limit=0)


class Tree(HTMLParser):
    """Checks that tags close in order, and collects the text and the depth of each <details>."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.summaries = [], "", []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "summary":
            self.summaries.append(self.open.count("details"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_tree_is_sound_html_and_says_what_the_text_says():
    gamma, risky = Num(0.9, name="gamma"), Num(0.81, name="<V> & co")
    q = 0.8 * (-0.04 + gamma * risky) + 0.2 * (gamma - gamma * risky)
    explanation = explain(q)
    tree = Tree()
    tree.feed(explanation._repr_html_())
    assert tree.open == []
    assert tree.summaries == [1, 2, 3, 2, 3]
    assert explanation._repr_html_().count("<details open>") == 1
    for _, steps in explanation.lines:
        assert " =\xa0".join(steps) in tree.text


# ---------------------------------------------------------------- other interpreters

SUMPROD = """
import math
from policywerk.primitives.vectors import dot
from policywerk.primitives.matrices import matmul
from policywerk.primitives.activations import tanh
from policywerk.primitives.tape import Num, explain, gradient
assert dot is math.sumprod
a, b = [Num(2.0, name="a"), 0.5, Num(0.0, name="z")], [3.0, 4.0, 5.0]
for y in (dot(a, b), dot(b, a), sum(x * w for x, w in zip(a, b))):
    assert y.value == 8.0 and gradient(y, [a[0], a[2]]) == [3.0, 5.0]
y = dot(tanh(matmul([[1.0, 0.0, -1.0]], [[Num(0.5)]] * 3)[0]), [2.0])
assert y.value == 0.0 and explain(y).lines
deep = start = Num(1.0)
for _ in range(20_000):
    deep = deep * 1.0 + 0.5
assert gradient(deep, [start]) == [1.0]
print("fine")
"""


def interpreters_with_sumprod():
    if sys.version_info >= (3, 12):
        yield sys.executable
    for minor in (12, 13, 14):
        yield f"python3.{minor}"
        yield from Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")


def test_the_tape_works_through_sumprod():
    """From Python 3.12 on dot is math.sumprod: tried on every such interpreter that is here."""
    tried = 0
    for python in interpreters_with_sumprod():
        try:
            subprocess.run([python, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        run = subprocess.run(
            [python, "-c", SUMPROD], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True
        )
        assert run.stdout == "fine\n", f"{python}: {run.stderr}"
        tried += 1
    if not tried:
        pytest.skip("no Python 3.12 or newer here: math.sumprod was not tried")


def test_the_tape_works_through_sum_and_map():
    a = [Num(2.0), 0.5, Num(0.0)]
    y = sum(map(mul, a, [3.0, 4.0, 5.0]))
    assert y.value == 8.0
    assert gradient(y, [a[0], a[2]]) == [3.0, 5.0]
