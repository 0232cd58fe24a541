"""NASNet's networks: from a genotype and a skeleton to a plan, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ma2ml_env.errors import MA2MLError, require_known, require_range
from ma2ml_env.models.layers import (
    MOST_CELLS,
    MOST_FILTERS,
    MOST_STAGES,
    RELU,
    Conv,
    GlobalPool,
    Linear,
    chain_cost,
)
from ma2ml_env.models.nasnet_cells import auxiliary_chain, cell_plan, norm
from ma2ml_env.models.plan import Auxiliary, CellPlan, NetworkPlan
from ma2ml_env.search_spaces.nasnet import Genotype
from ma2ml_env.types import Cost

if TYPE_CHECKING:
    from ma2ml_env.models.modules import CellNetwork

STEMS = ("cifar", "imagenet")
STYLES = ("nasnet", "enas")


@dataclass(frozen=True)
class NASNetSkeleton:
    """Arrangement of cells: stages of normal cells with a reduction cell between them.

    Attributes:
        filters: F, channels of a block in the first stage; they double at every reduction.
        repeats: N, normal cells in a stage.
        stages: number of stages.
        stem: `"cifar"`, a 3x3 convolution; or `"imagenet"`, a strided one and two reduction cells.
        stem_multiplier: channels of the stem's convolution, times `filters` (cifar; 3 if not given) or times
            32 (imagenet; 1 if not given).
        auxiliary: whether there is an auxiliary classifier, on the last normal cell before the last reduction.
        skip_reduction_input: the first normal cell after a reduction has the same previous input as the
            reduction, as in NASNet-A large.
        style: `"nasnet"`; or `"enas"`, where the current input passes a second 1x1 convolution, the first cell
            squeezes the stem for both of its inputs, and the classifier has no bias.

    Raises:
        ValueError: for an unknown stem or style, a number below 1, or an auxiliary classifier without a reduction.

    Source: NASNet, figure 2 and appendix A.4.
    """

    filters: int
    repeats: int
    stages: int = 3
    stem: str = "cifar"
    stem_multiplier: float | None = None
    auxiliary: bool = False
    skip_reduction_input: bool = False
    style: str = "nasnet"

    def __post_init__(self) -> None:
        require_known(self.stem, STEMS, "stem")
        require_known(self.style, STYLES, "style")
        require_range("filters", self.filters, 4 if self.stem == "imagenet" else 1, MOST_FILTERS)
        require_range("repeats", self.repeats, 1, MOST_CELLS)
        require_range("stages", self.stages, 1, MOST_STAGES)
        if self.stem_multiplier is not None:
            require_range("stem_multiplier", self.stem_multiplier, 1 / self.filters, MOST_FILTERS)
        if self.auxiliary and self.stages < 2:
            raise MA2MLError(
                "an auxiliary classifier is placed before the last reduction, so it requires at least 2 stages"
            )

    @property
    def stem_filters(self) -> int:
        """Channels of the stem's convolution."""
        base, usual = (self.filters, 3.0) if self.stem == "cifar" else (32, 1.0)
        return int(base * (usual if self.stem_multiplier is None else self.stem_multiplier))


def build(
    genotype: Genotype,
    skeleton: NASNetSkeleton,
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    drop_path: float = 0.0,
) -> CellNetwork:
    """The network as a torch module.

    Args:
        genotype: the two cells.
        skeleton: arrangement of the cells.
        image_size: rows and columns of the square images.
        in_channels: 1 for gray images, 3 for colored ones.
        num_classes: number of logits.
        drop_path: probability of removing a path in the last cell at the end of training.

    Raises:
        ValueError: if the image is too small for the number of reductions.

    Source: NASNet's code.
    """
    from ma2ml_env.models.modules import CellNetwork

    network = plan(genotype, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
    network.cost(image_size)
    return CellNetwork(network, drop_path)


def count(genotype: Genotype, skeleton: NASNetSkeleton, *, image_size: int, in_channels: int, num_classes: int) -> Cost:
    """Cost of the network, by arithmetic on the choices alone; arguments and errors as for `build`."""
    network = plan(genotype, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
    return network.cost(image_size)


def plan(
    genotype: Genotype, skeleton: NASNetSkeleton, *, image_size: int, in_channels: int, num_classes: int
) -> NetworkPlan:
    """The network as data; arguments as for `build`.

    Source: NASNet's code.
    """
    filters = skeleton.filters
    stack = _Stack(genotype, skeleton, in_channels)
    if skeleton.stem == "imagenet":
        stack.add(filters // 4, reduction=True)
        stack.add(filters // 2, reduction=True)
    auxiliary = None
    for stage in range(skeleton.stages):
        if stage:
            filters *= 2
            stack.add(filters, reduction=True)
        for repeat in range(skeleton.repeats):
            skips = skeleton.skip_reduction_input and stage > 0 and repeat == 0
            stack.add(filters, previous=-3 if skips else -2)
        if skeleton.auxiliary and stage == skeleton.stages - 2:
            chain = auxiliary_chain(stack.channels[-1], stack.image_size(image_size), num_classes)
            auxiliary = Auxiliary(len(stack.cells) - 1, chain)
    head = (RELU, GlobalPool(), Linear(stack.channels[-1], num_classes, bias=skeleton.style == "nasnet"))
    return NetworkPlan((stack.stem,), tuple(stack.cells), head, auxiliary)


class _Stack:
    """Cells one after the other, each fitted to the two outputs before it."""

    def __init__(self, genotype: Genotype, skeleton: NASNetSkeleton, in_channels: int) -> None:
        width = skeleton.stem_filters
        strided = Conv(in_channels, width, (3, 3), (2, 2), padding=(0, 0))
        plain = Conv(in_channels, width, (3, 3))
        self.stem = (strided if skeleton.stem == "imagenet" else plain, norm(width))
        self.genotype, self.enas = genotype, skeleton.style == "enas"
        self.cells: list[CellPlan] = []
        self.channels, self.halvings = [width, width], [0, 0]

    def add(self, filters: int, *, reduction: bool = False, previous: int = -2) -> None:
        """Appends a cell whose previous input is output `previous`."""
        cell = cell_plan(
            self.genotype.reduction if reduction else self.genotype.normal,
            self.channels[previous],
            self.channels[-1],
            filters,
            reduction,
            halve_previous=self.halvings[-1] > self.halvings[previous],
            raw_previous=not self.cells and not self.enas,
            twice=self.enas,
        )
        self.cells.append(cell._replace(previous=previous))
        self.channels.append(cell.channels)
        self.halvings.append(self.halvings[-1] + reduction)

    def image_size(self, image_size: int) -> int:
        """Rows of the last output."""
        rows = chain_cost(self.stem, (image_size, image_size)).size[0]
        return math.ceil(rows / 2.0 ** self.halvings[-1])
