"""DARTS's networks: from a genotype and a skeleton to a plan, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ma2ml_env.errors import require_known, require_range
from ma2ml_env.models.layers import (
    MOST_CELLS,
    MOST_FILTERS,
    RELU,
    Chain,
    Conv,
    FactorizedReduction,
    GlobalPool,
    Linear,
    Norm,
    Pool,
    chain_cost,
    relu_conv,
    separable,
)
from ma2ml_env.models.plan import Auxiliary, BlockPlan, CellPlan, Edge, NetworkPlan
from ma2ml_env.search_spaces.darts import Cell, Genotype
from ma2ml_env.types import Cost

if TYPE_CHECKING:
    from ma2ml_env.models.modules import CellNetwork

STEMS = ("cifar", "imagenet")


@dataclass(frozen=True)
class DARTSSkeleton:
    """Arrangement of cells: reductions at one and at two thirds of the depth.

    Attributes:
        filters: C, channels of a node before the first reduction; they double at each.
        layers: L, number of cells, at least 3.
        stem: `"cifar"`, a 3x3 convolution with 3 C channels; or `"imagenet"`, three strided ones.
        auxiliary: whether there is an auxiliary classifier, on the second reduction cell.

    Raises:
        ValueError: for an unknown stem or a number that is too small.

    Source: DARTS, section 3, and its code; CIFAR has C = 36 and L = 20, ImageNet C = 48 and L = 14.
    """

    filters: int = 36
    layers: int = 20
    stem: str = "cifar"
    auxiliary: bool = False

    def __post_init__(self) -> None:
        require_known(self.stem, STEMS, "stem")
        require_range("filters", self.filters, 2, MOST_FILTERS)
        require_range("layers", self.layers, 3, MOST_CELLS)

    @property
    def reductions(self) -> tuple[int, int]:
        """The places of the two reduction cells."""
        return self.layers // 3, 2 * self.layers // 3


def build(
    genotype: Genotype,
    skeleton: DARTSSkeleton,
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    drop_path: float = 0.0,
) -> CellNetwork:
    """The network as a torch module; arguments and errors as for `ma2ml_env.models.build_network`.

    Source: DARTS's code.
    """
    from ma2ml_env.models.modules import CellNetwork

    network = plan(genotype, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
    network.cost(image_size)
    return CellNetwork(network, drop_path)


def count(genotype: Genotype, skeleton: DARTSSkeleton, *, image_size: int, in_channels: int, num_classes: int) -> Cost:
    """Cost of the network, by arithmetic on the choices alone; arguments and errors as for `build`."""
    network = plan(genotype, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
    return network.cost(image_size)


def plan(
    genotype: Genotype, skeleton: DARTSSkeleton, *, image_size: int, in_channels: int, num_classes: int
) -> NetworkPlan:
    """The network as data; arguments as for `build`.

    Source: DARTS's code.
    """
    filters = skeleton.filters
    imagenet = skeleton.stem == "imagenet"
    stem = _imagenet_stem(in_channels, filters) if imagenet else _cifar_stem(in_channels, filters)
    channels = [filters if imagenet else 3 * filters] * 2
    halve_previous = imagenet
    cells: list[CellPlan] = []
    auxiliary = None
    for layer in range(skeleton.layers):
        reduction = layer in skeleton.reductions
        filters *= 1 + reduction
        cell = genotype.reduction if reduction else genotype.normal
        cells.append(cell_plan(cell, *channels, filters, reduction, halve_previous))
        halve_previous = reduction
        channels = [channels[1], cells[-1].channels]
        if skeleton.auxiliary and layer == skeleton.reductions[1]:
            size = image_size
            for chain in (*stem, (Pool("max", 3, 2, 1),) * 2):
                size = chain_cost(chain, (size, size)).size[0]
            auxiliary = Auxiliary(layer, _auxiliary_chain(channels[1], size, num_classes, imagenet))
    head = (GlobalPool(), Linear(channels[1], num_classes))
    return NetworkPlan(stem, tuple(cells), head, auxiliary, depth_scaled=False)


@lru_cache(maxsize=4096)
def operation(name: str, channels: int, stride: int) -> Chain:
    """The layers of one of the 7 operations; a strided skip connection is a factorized reduction.

    Args:
        name: name of the operation.
        channels: in and out.
        stride: 1 or 2.

    Source: DARTS's code.
    """
    kind, _, window = name.rpartition("_")
    match kind:
        case "skip":
            return _reduce(channels, channels) if stride > 1 else ()
        case "avg_pool" | "max_pool":
            return (Pool("avg" if kind == "avg_pool" else "max", 3, stride, 1),)
        case "dil_conv":
            return separable(channels, channels, int(window[0]), stride, dilation=2)
        case _:
            size = int(window[0])
            return separable(channels, channels, size, stride) + separable(channels, channels, size)


@lru_cache(maxsize=4096)
def cell_plan(cell: Cell, previous: int, current: int, filters: int, reduction: bool, halve_previous: bool) -> CellPlan:
    """A cell in its place; state 0 is the previous input, state 1 the current one.

    Args:
        cell: its nodes.
        previous: channels of the previous input.
        current: channels of the current input.
        filters: channels of a node.
        reduction: whether operations on the two inputs have stride 2.
        halve_previous: whether the previous input is twice as large as the current one.

    Source: DARTS's code.
    """
    squeeze = _reduce(previous, filters) if halve_previous else relu_conv(previous, filters)

    def edge(state: int, name: str) -> Edge:
        chain = operation(name, filters, 2 if reduction and state < 2 else 1)
        return Edge(state, chain, drops=bool(chain))

    blocks = []
    for block in cell.blocks:
        first, second = (edge(state, name) for state, name in zip(block.inputs, block.operations, strict=True))
        blocks.append(BlockPlan(first, second))
    outputs = tuple(Edge(state, ()) for state in cell.outputs)
    return CellPlan(
        (Edge(0, squeeze), Edge(1, relu_conv(current, filters))), tuple(blocks), outputs, len(outputs) * filters
    )


def _reduce(inputs: int, outputs: int) -> Chain:
    return RELU, FactorizedReduction(inputs, outputs), Norm(outputs)


def _cifar_stem(in_channels: int, filters: int) -> tuple[Chain, ...]:
    return ((Conv(in_channels, 3 * filters, (3, 3)), Norm(3 * filters)),)


def _imagenet_stem(in_channels: int, filters: int) -> tuple[Chain, ...]:
    first, second, third = (
        (Conv(inputs, outputs, (3, 3), (2, 2)), Norm(outputs))
        for inputs, outputs in ((in_channels, filters // 2), (filters // 2, filters), (filters, filters))
    )
    return (*first, RELU, *second), (RELU, *third)


def _auxiliary_chain(channels: int, size: int, num_classes: int, imagenet: bool) -> Chain:
    """DARTS's auxiliary classifier; on ImageNet it lacks the second normalization, as its code does."""
    window, stride = min(5, size), 2 if imagenet else 3
    pooled = (size - window) // stride + 1
    squeeze = (RELU, Pool("avg", window, stride, 0), Conv(channels, 128), Norm(128), RELU)
    whole: Chain = (Conv(128, 768, (pooled, pooled), padding=(0, 0)), *(() if imagenet else (Norm(768),)))
    return (*squeeze, *whole, RELU, Linear(768, num_classes))
