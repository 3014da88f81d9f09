# Tangled from book/networks.md
"""Images: convolution and pooling, on pixels in one row after another."""

import random
from itertools import product
from operator import itemgetter
from typing import Any, NamedTuple

from policywerk.building_blocks.network import Batch, Rows, random_rows
from policywerk.primitives.activations import Activation, way_back
from policywerk.primitives.matrices import columns, matmul, outer_sum


class Image(NamedTuple):
    """The layout of an image: row by row, pixel by pixel, channel by channel."""

    rows: int
    columns: int
    channels: int = 1

    def windows(self, size: int, stride: int) -> list[list[list[int]]]:
        """For each window, for each pixel in it, the places of its channels."""
        corners = product(
            range(0, self.rows - size + 1, stride),
            range(0, self.columns - size + 1, stride),
        )
        inside = list(product(range(size), repeat=2))
        return [
            [self.places(row + down, column + right) for down, right in inside]
            for row, column in corners
        ]

    def places(self, row: int, column: int) -> list[int]:
        first = (row * self.columns + column) * self.channels
        return list(range(first, first + self.channels))

    def seen_through(self, size: int, stride: int, channels: int) -> "Image":
        """The layout of what comes out: one pixel for each window."""
        if not 1 <= size <= min(self.rows, self.columns) or stride < 1:
            raise ValueError(f"size={size}, stride={stride}: no such window on {self}")
        rows, columns = self.rows - size, self.columns - size
        return Image(rows // stride + 1, columns // stride + 1, channels)


class Convolution:
    """The same small dense layer, `channels` wide, at every window of an image."""

    def __init__(
        self,
        image: Image,
        channels: int,
        size: int,
        activation: Activation,
        rng: random.Random,
        *,
        stride: int = 1,
    ) -> None:
        self.output = image.seen_through(size, stride, channels)
        self.rows = random_rows(size * size * image.channels, channels, rng)
        self.activation, self.way_back = activation, way_back(activation)
        self.inputs = image.rows * image.columns * image.channels
        # place 0 is a constant 1 before the image, which carries the bias
        self.places = [
            [0, *(place + 1 for pixel in window for place in pixel)]
            for window in image.windows(size, stride)
        ]
        self.views = [itemgetter(*places) for places in self.places]

    def parameters(self) -> Rows:
        return self.rows

    def forward(self, batch: Batch) -> tuple[Rows, Any]:
        windows = [view((1.0, *image)) for image in batch for view in self.views]
        pixels = [self.activation(sums) for sums in matmul(windows, self.rows)]
        count = len(self.views)
        outputs = [
            [x for pixel in pixels[first : first + count] for x in pixel]
            for first in range(0, len(pixels), count)
        ]
        return outputs, (windows, pixels)

    def backward(
        self, memory: Any, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        windows, pixels = memory
        channels = self.output.channels
        blame = [
            self.way_back(image[first : first + channels], pixels[number])
            for number, (image, first) in enumerate(
                product(slopes, range(0, len(slopes[0]), channels))
            )
        ]
        gradients = outer_sum(windows, blame)
        if not inputs:
            return gradients, []
        back = matmul(blame, columns(self.rows[1:]))
        before = []
        for first in range(0, len(back), len(self.places)):
            image_slopes = [0.0] * (self.inputs + 1)
            for number, places in enumerate(self.places, first):
                for place, slope in zip(places[1:], back[number], strict=True):
                    image_slopes[place] += slope
            before.append(image_slopes[1:])
        return gradients, before


class MaxPooling:
    """The largest number of every window, for each channel by itself."""

    def __init__(self, image: Image, size: int) -> None:
        self.output = image.seen_through(size, size, image.channels)
        self.inputs = image.rows * image.columns * image.channels
        self.places = [
            channel
            for window in image.windows(size, size)
            for channel in zip(*window, strict=True)
        ]

    def parameters(self) -> Rows:
        return []

    def forward(self, batch: Batch) -> tuple[Rows, list[list[int]]]:
        winners = [
            [max(places, key=image.__getitem__) for places in self.places]
            for image in batch
        ]
        outputs = [
            [image[place] for place in places]
            for image, places in zip(batch, winners, strict=True)
        ]
        return outputs, winners

    def backward(
        self, memory: list[list[int]], slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        before = [[0.0] * self.inputs for _ in memory] if inputs else []
        for image_slopes, winners, pixels in zip(before, memory, slopes, strict=inputs):
            for place, slope in zip(winners, pixels, strict=True):
                image_slopes[place] += slope
        return [], before
