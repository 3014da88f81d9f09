# Tangled from book/networks.md
"""Networks: layers in a row, forward, and back with the slope of every weight."""

import math
import random
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from policywerk.primitives.activations import Activation, way_back
from policywerk.primitives.matrices import columns, matmul, outer_sum

Batch: TypeAlias = Sequence[Sequence[float]]  # a row for each sample
Rows: TypeAlias = list[list[float]]


class Layer(Protocol):
    """Whatever can be run, walked back through, and taught."""

    def parameters(self) -> Rows:
        """The numbers to learn: the lists themselves, to be changed in place."""

    def forward(self, batch: Batch) -> tuple[Rows, Any]:
        """The outputs, and what the way back will need."""

    def backward(
        self, memory: Any, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        """From slopes towards the outputs: those towards parameters and inputs.

        The former have the shape of `parameters()`. With inputs=False the
        latter are not worked out, and [] is returned for them.
        """


def random_rows(n_in: int, n_out: int, rng: random.Random) -> Rows:
    """A row of biases, all 0, then a row of small weights for each input."""
    reach = math.sqrt(6.0 / (n_in + n_out))
    weights = [
        [reach * (2.0 * rng.random() - 1.0) for _ in range(n_out)]
        for _ in range(n_in)
    ]
    return [[0.0] * n_out, *weights]


class Dense:
    """Every input to every output: rows[0] biases, rows[i] what input i sends."""

    def __init__(
        self, n_in: int, n_out: int, activation: Activation, rng: random.Random
    ) -> None:
        self.rows = random_rows(n_in, n_out, rng)
        self.activation, self.way_back = activation, way_back(activation)

    def parameters(self) -> Rows:
        return self.rows

    def forward(self, batch: Batch) -> tuple[Rows, tuple[Batch, Rows]]:
        batch = [(1.0, *sample) for sample in batch]
        outputs = [self.activation(sums) for sums in matmul(batch, self.rows)]
        return outputs, (batch, outputs)

    def backward(
        self, memory: tuple[Batch, Rows], slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        batch, outputs = memory
        blame = [self.way_back(s, y) for s, y in zip(slopes, outputs, strict=True)]
        gradients = outer_sum(batch, blame)
        return gradients, matmul(blame, columns(self.rows[1:])) if inputs else []


class Chain:
    """Layers in a row, each fed by the one before; itself a layer."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        if not layers:
            raise ValueError("layers: expected at least one")
        self.layers = list(layers)

    def __call__(self, x: Sequence[float]) -> list[float]:
        """The output for a single input."""
        return self.forward([x])[0][0]

    def parameters(self) -> Rows:
        return [row for layer in self.layers for row in layer.parameters()]

    def forward(self, batch: Batch) -> tuple[Rows, list[Any]]:
        outputs, memory = self.layers[0].forward(batch)
        memories = [memory]
        for layer in self.layers[1:]:
            outputs, memory = layer.forward(outputs)
            memories.append(memory)
        return outputs, memories

    def backward(
        self, memory: list[Any], slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        gradients: Rows = []
        first = self.layers[0]
        for layer, layer_memory in zip(
            reversed(self.layers), reversed(memory), strict=True
        ):
            own, slopes = layer.backward(
                layer_memory, slopes, inputs=inputs or layer is not first
            )
            gradients = own + gradients
        return gradients, list(map(list, slopes))

    def state(self) -> Rows:
        """A copy of all parameters, which JSON can keep."""
        return [list(row) for row in self.parameters()]

    def load(self, state: Rows) -> None:
        """Take over the parameters of a chain of the same shape."""
        rows = self.parameters()
        if [len(row) for row in rows] != [len(row) for row in state]:
            raise ValueError("state: expected that of a network of the same shape")
        for row, values in zip(rows, state, strict=True):
            row[:] = values


class Network(Chain):
    """Dense layers: Network([82, 32, 3], [relu, identity], rng)."""

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[Activation],
        rng: random.Random,
    ) -> None:
        if len(sizes) < 2 or len(sizes) != len(activations) + 1 or min(sizes) < 1:
            wrong = f"sizes {list(sizes)} with {len(activations)} activations"
            raise ValueError(
                f"{wrong}: expected two sizes or more, each 1 or more, "
                "and an activation between neighbours"
            )
        shapes = zip(sizes[:-1], sizes[1:], activations, strict=True)
        super().__init__([Dense(*shape, rng) for shape in shapes])
