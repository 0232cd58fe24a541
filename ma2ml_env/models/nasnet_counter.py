"""Cost of NASNet networks, for many actions at once: the sums of `models.nasnet.count`, over tables of chains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.models.layers import RELU, Chain, ChainCost, GlobalPool, Linear, Size, chain_cost
from ma2ml_env.models.nasnet import NASNetSkeleton, plan
from ma2ml_env.models.nasnet_cells import cell_plan, operation
from ma2ml_env.search_spaces.nasnet import CELLS, OPERATIONS, Block, Cell, Genotype

Integers = NDArray[np.int64]

_PROBES = tuple(Cell((Block((used, used), ("identity", "identity")),) * Cell.size) for used in (1, 0))
"""Cells in which input 0, or input 1, is not used: their plans contain the cost of an unused input."""


@dataclass(frozen=True)
class NASNetCounter:
    """Counts the networks of one skeleton; equal to `models.nasnet.count` on every action.

    Args:
        skeleton: arrangement of the cells.
        image_size: rows and columns of the square images.
        in_channels: number of channels of the images.
        num_classes: number of logits.
    """

    skeleton: NASNetSkeleton
    image_size: int
    in_channels: int
    num_classes: int

    def __call__(self, actions: Integers) -> Integers:
        """FLOPs and parameters.

        Args:
            actions: actions of the space `nasnet`, shape (B, 50).

        Returns:
            Shape (2, B): multiply-accumulates of one image, trainable parameters.

        Raises:
            ValueError: if the image is too small for the number of reductions.
        """
        cells = dict(zip(CELLS, actions.reshape(len(actions), 2, Cell.size, 5).swapaxes(0, 1), strict=True))
        stem = _stem_cost(self)
        total = np.repeat([[stem.flops], [stem.params]], len(actions), axis=1)
        channels = [np.full(len(actions), self.skeleton.stem_filters)] * 2
        sizes = [stem.size] * 2
        for filters, reduction, previous in self._stack():
            position = _Position(
                filters=filters,
                reduction=reduction,
                raw=self.skeleton.stem_filters if len(sizes) == 2 and not self._enas else None,
                twice=self._enas,
                previous=sizes[previous],
                current=sizes[-1],
            )
            cost, outputs = _cell(position, cells[CELLS[reduction]], channels[previous], channels[-1])
            total = total + cost
            channels.append(outputs)
            sizes.append(position.size)
        return np.asarray(total + _by_key(channels[-1], partial(self._head_cost, size=sizes[-1])))

    @property
    def _enas(self) -> bool:
        return self.skeleton.style == "enas"

    def _stack(self) -> list[tuple[int, bool, int]]:
        """Filters of every cell, whether it reduces, and index of its previous input among the earlier outputs."""
        skeleton, filters = self.skeleton, self.skeleton.filters
        stack = [(filters // 4, True, -2), (filters // 2, True, -2)] if skeleton.stem == "imagenet" else []
        for stage in range(skeleton.stages):
            width = filters * 2**stage
            stack += [(width, True, -2)] if stage else []
            first = -3 if skeleton.skip_reduction_input and stage else -2
            stack += [(width, False, -2 if repeat else first) for repeat in range(skeleton.repeats)]
        return stack

    def _head_cost(self, channels: int, size: Size) -> tuple[int, int]:
        head = (RELU, GlobalPool(), Linear(channels, self.num_classes, bias=not self._enas))
        return chain_cost(head, size)[:2]


@lru_cache(maxsize=256)
def _stem_cost(counter: NASNetCounter) -> ChainCost:
    """Cost and output size of the layers before the cells."""
    size = counter.image_size
    network = plan(
        Genotype(_PROBES[0], _PROBES[0]),
        counter.skeleton,
        image_size=size,
        in_channels=counter.in_channels,
        num_classes=counter.num_classes,
    )
    return chain_cost(network.stem[0], (size, size))


@dataclass(frozen=True)
class _Position:
    """Position of a cell in the network.

    Attributes:
        filters: channels of a block.
        reduction: whether it halves the image.
        raw: channels of the previous input where that is used as it is; None where it is squeezed.
        twice: whether the current input is squeezed twice.
        previous: size of the previous input.
        current: size of the current input.
    """

    filters: int
    reduction: bool
    raw: int | None
    twice: bool
    previous: Size
    current: Size

    @property
    def widths(self) -> tuple[int, int, int]:
        """Possible channels of a state: those of input 1, of a block that adds, of one that concatenates."""
        return (self.filters if self.raw is None else self.raw), self.filters, 2 * self.filters

    @property
    def size(self) -> Size:
        """The size of the output."""
        return chain_cost(operation("identity", self.filters, self.filters, 1 + self.reduction), self.current).size

    def chains(self, probe: int, previous: int, current: int) -> tuple[Chain, Chain, Chain]:
        """Chains that squeeze the current and the previous input, and chain that fits the unused input `probe`."""
        made = cell_plan(
            _PROBES[probe],
            previous,
            current,
            self.filters,
            self.reduction,
            self.previous != self.current,
            self.raw is not None,
            self.twice,
        )
        return made.inputs[0].chain, made.inputs[1].chain, made.outputs[0].chain


def _cell(position: _Position, blocks: Integers, previous: Integers, current: Integers) -> tuple[Integers, Integers]:
    """Cost, shape (2, B), and output channels, shape (B,), of a cell whose inputs have these channels."""
    cost = _by_key(current, partial(_squeeze_current, position)) + _by_key(
        previous, partial(_squeeze_previous, position)
    )
    inputs, operations, concat = blocks[..., :2], blocks[..., 2:4], blocks[..., 4]
    widths = np.concatenate([np.broadcast_to([[1, 0]], (len(blocks), 2)), 1 + concat], axis=1)
    rows = np.arange(len(blocks))[:, None, None]
    of_edges = _edge_costs(position)[:, (inputs < 2).astype(int), widths[rows, inputs], operations]
    used = np.zeros((len(blocks), Cell.size + 2), dtype=bool)
    used[rows, inputs] = True
    free = ~used
    cost = cost + of_edges.sum(axis=(2, 3)) + _unused_costs(position) @ free[:, :2].T
    channels = position.filters * (free[:, :2].sum(axis=1) + (free[:, 2:] * (1 + concat)).sum(axis=1))
    return cost, channels


@lru_cache(maxsize=256)
def _edge_costs(position: _Position) -> Integers:
    """Cost of an operation, shape (2, whether its state is an input, width of its state, operation)."""
    halved = position.size
    table = np.zeros((2, 2, 3, len(OPERATIONS)), dtype=np.int64)
    for is_input, size in enumerate((halved, position.current)):
        stride = 2 if is_input and position.reduction else 1
        for width, channels in enumerate(position.widths):
            for number, name in enumerate(OPERATIONS):
                chain = operation(name, channels, position.filters, stride)
                table[:, is_input, width, number] = chain_cost(chain, size)[:2]
    return table


@lru_cache(maxsize=256)
def _unused_costs(position: _Position) -> Integers:
    """Cost of fitting an input that no block uses to the output, shape (2, input)."""
    width = position.widths[0]
    costs = [chain_cost(position.chains(probe, width, position.filters)[2], position.current)[:2] for probe in (0, 1)]
    return np.array(costs).T


@lru_cache(maxsize=65536)
def _squeeze_current(position: _Position, channels: int) -> tuple[int, int]:
    return chain_cost(position.chains(0, position.widths[0], channels)[0], position.current)[:2]


@lru_cache(maxsize=65536)
def _squeeze_previous(position: _Position, channels: int) -> tuple[int, int]:
    return chain_cost(position.chains(0, channels, position.filters)[1], position.previous)[:2]


def _by_key(keys: Integers, cost: Callable[[int], tuple[int, int]]) -> Integers:
    """`cost` of every key, shape (2, B), computed once for equal keys."""
    listed = keys.tolist()
    costs = {key: cost(key) for key in set(listed)}
    return np.array([costs[key] for key in listed]).T
