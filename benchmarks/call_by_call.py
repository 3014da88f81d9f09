"""Arithmetic with a Python function call for every addition and multiplication, in two ways.

`Number` is a float whose operators are Python functions: the package's own code runs on it, and
does the same operations in the same order. The rest is written from the ground up, as a
beginner's library is, on three floors: numbers, vectors of numbers, matrices of vectors. No
formula of a floor is written out on the next, and zeros are multiplied like all other numbers.
"""

import math


class Number(float):
    """Whatever is made of it by arithmetic is another one."""

    __slots__ = ()

    def __add__(self, other):
        return Number(float.__add__(self, other))

    def __sub__(self, other):
        return Number(float.__sub__(self, other))

    def __rsub__(self, other):
        return Number(float.__rsub__(self, other))

    def __mul__(self, other):
        return Number(float.__mul__(self, other))

    def __truediv__(self, other):
        return Number(float.__truediv__(self, other))

    def __rtruediv__(self, other):
        return Number(float.__rtruediv__(self, other))

    def __neg__(self):
        return Number(float.__neg__(self))

    __radd__, __rmul__ = __add__, __mul__


# --- Numbers ---------------------------------------------------------------------------------


def add(a, b):
    return a + b


def subtract(a, b):
    return a - b


def multiply(a, b):
    return a * b


def divide(a, b):
    return a / b


# --- Vectors ---------------------------------------------------------------------------------


def plus(a, b):
    return [add(x, y) for x, y in zip(a, b, strict=True)]


def minus(a, b):
    return [subtract(x, y) for x, y in zip(a, b, strict=True)]


def times(a, b):
    """Number by number."""
    return [multiply(x, y) for x, y in zip(a, b, strict=True)]


def over(a, b):
    return [divide(x, y) for x, y in zip(a, b, strict=True)]


def scaled(factor, a):
    return [multiply(factor, x) for x in a]


def total(a):
    result = 0.0
    for x in a:
        result = add(result, x)
    return result


def dot(a, b):
    return total(times(a, b))


# --- Matrices, as lists of rows ----------------------------------------------------------------


def transposed(a):
    return [list(column) for column in zip(*a, strict=True)]


def matrix_plus(a, b):
    return [plus(x, y) for x, y in zip(a, b, strict=True)]


def applied(a, x):
    """The product of a matrix and a vector."""
    return [dot(row, x) for row in a]


def outer(a, b):
    """Each number of a times the vector b."""
    return [scaled(x, b) for x in a]


# --- Learning ----------------------------------------------------------------------------------


class Layer:
    """A row of weights for each neuron, and their biases."""

    def __init__(self, parameters):
        """Parameters as the package keeps them: the biases, then a row for each input."""
        self.biases, *rows = (list(row) for row in parameters)
        self.weights = transposed(rows)

    def parameters(self):
        return [self.biases, *transposed(self.weights)]

    def neurons(self):
        """For each neuron its bias and its weights."""
        return [[b, *row] for b, row in zip(self.biases, self.weights, strict=True)]

    def learn(self, neurons):
        self.biases, self.weights = [row[0] for row in neurons], [row[1:] for row in neurons]

    def forward(self, x):
        return plus(self.biases, applied(self.weights, x))

    def backward(self, slopes):
        """The slopes of its inputs."""
        return applied(transposed(self.weights), slopes)


class Adam:
    """Means and mean squares of slopes, for a list of rows; a step returns the new rows."""

    def __init__(self, rows, rate):
        self.rate, self.number = rate, 0
        self.means = [[0.0] * len(row) for row in rows]
        self.squares = [[0.0] * len(row) for row in rows]

    def step(self, rows, gradients):
        self.number += 1
        fresh1, fresh2 = 1.0 / (1.0 - 0.9**self.number), 1.0 / (1.0 - 0.999**self.number)
        after = []
        for i, (row, g) in enumerate(zip(rows, gradients, strict=True)):
            self.means[i] = plus(scaled(0.9, self.means[i]), scaled(0.1, g))
            self.squares[i] = plus(scaled(0.999, self.squares[i]), scaled(0.001, times(g, g)))
            sizes = [add(math.sqrt(x), 1e-8) for x in scaled(fresh2, self.squares[i])]
            after.append(minus(row, scaled(self.rate, over(scaled(fresh1, self.means[i]), sizes))))
        return after
