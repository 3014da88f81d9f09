# Tangled from book/networks.md
"""Images: convolution and pooling, on pixels in one row after another."""

import random
from itertools import chain, product
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
        fed = [(1.0, *image) for image in batch]
        windows = [[view(image) for view in self.views] for image in fed]
        sights = list(dict.fromkeys(chain.from_iterable(windows)))
        pixels = map(self.activation, matmul(sights, self.rows))
        answers = dict(zip(sights, pixels, strict=True))
        outputs = [
            list(chain.from_iterable(map(answers.__getitem__, row))) for row in windows
        ]
        return outputs, (windows, answers)

    def backward(
        self, memory: Any, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        windows, answers = memory
        cuts = range(0, len(slopes[0]), self.output.channels)
        seen, blame, where = [], [], []
        for image, (row, image_slopes) in enumerate(zip(windows, slopes, strict=True)):
            for window, (sight, cut) in enumerate(zip(row, cuts, strict=True)):
                own = image_slopes[cut : cut + self.output.channels]
                if any(own):
                    seen.append(sight)
                    blame.append(self.way_back(own, answers[sight]))
                    where.append((image, window))
        gradients = outer_sum(seen, blame) if seen else [[0.0] * len(r) for r in self.rows]
        if not inputs:
            return gradients, []
        before = [[0.0] * (self.inputs + 1) for _ in windows]
        back = matmul(blame, columns(self.rows[1:]))
        for (image, window), pixels in zip(where, back, strict=True):
            for place, slope in zip(self.places[window][1:], pixels, strict=True):
                before[image][place] += slope
        return gradients, [image_slopes[1:] for image_slopes in before]


class MaxPooling:
    """The largest number of every window, for each channel by itself."""

    def __init__(self, image: Image, size: int) -> None:
        if size < 2:
            raise ValueError(f"size={size}: a window of one pixel pools nothing")
        self.output = image.seen_through(size, size, image.channels)
        self.inputs = image.rows * image.columns * image.channels
        self.places = [
            channel
            for window in image.windows(size, size)
            for channel in zip(*window, strict=True)
        ]
        self.views = [itemgetter(*places) for places in self.places]

    def parameters(self) -> Rows:
        return []

    def forward(self, batch: Batch) -> tuple[Rows, Batch]:
        return [[max(view(image)) for view in self.views] for image in batch], batch

    def backward(
        self, memory: Batch, slopes: Batch, *, inputs: bool = True
    ) -> tuple[Rows, Rows]:
        if not inputs:
            return [], []
        before = [[0.0] * self.inputs for _ in memory]
        for image_slopes, image, pixels in zip(before, memory, slopes, strict=True):
            for places, slope in zip(self.places, pixels, strict=True):
                if slope:
                    image_slopes[max(places, key=image.__getitem__)] += slope
        return [], before
