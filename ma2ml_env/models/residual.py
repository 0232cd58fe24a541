"""Residual networks as plans, and their cost, without torch; `residual_modules.py` builds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ma2ml_env.errors import MA2MLError
from ma2ml_env.models.layers import (
    Activation,
    Chain,
    Conv,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Pool,
    Size,
    SqueezeExcite,
    chain_cost,
)
from ma2ml_env.search_spaces.residual import Architecture, Stage
from ma2ml_env.types import Cost

if TYPE_CHECKING:
    from ma2ml_env.models.residual_modules import ResidualNetwork

SQUEEZE = 4
"""Reduction ratio of squeeze-and-excitation: channels over its hidden ones."""
HALVING = Pool("avg", 2, 2, 0)
ACTIVATIONS = {"relu": Activation("relu"), "silu": Activation("silu"), "hardswish": Activation("hardswish")}


@dataclass(frozen=True)
class ResidualSkeleton:
    """Skeleton of the residual space: everything that an architecture leaves open.

    Attributes:
        stem_stride: factor by which the stem divides the image: 1 for small images as CIFAR's; 2, a strided
            convolution; 4, that and max-pooling, as usual on ImageNet.

    Raises:
        ValueError: for another stride.

    Source: He et al. (2016).
    """

    stem_stride: int = 1

    def __post_init__(self) -> None:
        if self.stem_stride not in (1, 2, 4):
            raise MA2MLError(f"stem_stride is 1, 2 or 4, not {self.stem_stride}")


class ResidualBlockPlan(NamedTuple):
    """One block: `after(branch(x) + shortcut(x))`.

    Attributes:
        branch: the layers.
        shortcut: layers that fit the input to the output, empty for the input itself, None for no shortcut.
        after: the last activation; empty for inverted blocks.

    Source: He et al. (2016), projections where shapes differ (option B); Sandler et al. (2018).
    """

    branch: Chain
    shortcut: Chain | None
    after: Chain


class ChainPlan(NamedTuple):
    """Stand-in for a stage without blocks."""

    chain: Chain


class Plan(NamedTuple):
    """A network of the family.

    Source: He et al. (2016).
    """

    stem: Chain
    blocks: tuple[ResidualBlockPlan | ChainPlan, ...]
    head: Chain


def build(
    architecture: Architecture,
    skeleton: ResidualSkeleton,
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    drop_path: float = 0.0,
) -> ResidualNetwork:
    """The network as a torch module; arguments and errors as for `ma2ml_env.models.build_network`.

    Source: He et al. (2016).
    """
    from ma2ml_env.models.residual_modules import ResidualNetwork

    count(architecture, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
    return ResidualNetwork(plan(architecture, skeleton, in_channels, num_classes), drop_path)


def count(
    architecture: Architecture, skeleton: ResidualSkeleton, *, image_size: int, in_channels: int, num_classes: int
) -> Cost:
    """Cost of the network, by arithmetic; arguments and errors as for `build`."""
    network = plan(architecture, skeleton, in_channels, num_classes)
    size: Size = (image_size, image_size)
    flops = params = 0
    for part in (ChainPlan(network.stem), *network.blocks, ChainPlan(network.head)):
        chains = (part.branch, part.shortcut or ()) if isinstance(part, ResidualBlockPlan) else (part.chain,)
        costs = [chain_cost(chain, size) for chain in chains]
        flops += sum(cost.flops for cost in costs)
        params += sum(cost.params for cost in costs)
        size = costs[0].size
    return Cost(flops, params)


@lru_cache(maxsize=1024)
def plan(architecture: Architecture, skeleton: ResidualSkeleton, in_channels: int, num_classes: int) -> Plan:
    """The network as data.

    Args:
        architecture: its stages.
        skeleton: the rest of it.
        in_channels: number of channels of the image.
        num_classes: number of logits.

    Source: He et al. (2016).
    """
    activation = ACTIVATIONS[architecture.activation]
    stride = 1 if skeleton.stem_stride == 1 else 2
    stem: Chain = (Conv(in_channels, architecture.stem, (3, 3), (stride, stride)), Norm(architecture.stem), activation)
    if skeleton.stem_stride == 4:
        stem += (Pool("max", 3, 2, 1),)
    channels = next(stage.width for stage in reversed(architecture.stages) if stage.depth)
    return Plan(stem, tuple(_blocks(architecture)), (GlobalPool(), Linear(channels, num_classes)))


def _blocks(architecture: Architecture) -> Iterator[ResidualBlockPlan | ChainPlan]:
    inputs, activation = architecture.stem, ACTIVATIONS[architecture.activation]
    for number, stage in enumerate(architecture.stages):
        if number and not stage.depth:
            yield ChainPlan((HALVING,))
        for repeat in range(stage.depth):
            stride = 2 if number and not repeat else 1
            yield _block(stage, inputs, stride, activation)
            inputs = stage.width


def _block(stage: Stage, inputs: int, stride: int, activation: Activation) -> ResidualBlockPlan:
    width, window, strides = stage.width, (stage.kernel, stage.kernel), (stride, stride)
    same = inputs == width and stride == 1
    projection: Chain = () if same else (Conv(inputs, width, (1, 1), strides), Norm(width))
    match stage.kind:
        case "plain":
            layers = [Conv(inputs, width, window, strides)]
        case "basic":
            layers = [Conv(inputs, width, window, strides), Conv(width, width, window)]
        case "bottleneck":
            middle = -(-width // stage.expansion)
            layers = [Conv(inputs, middle), Conv(middle, middle, window, strides), Conv(middle, width)]
        case _:
            middle = inputs * stage.expansion
            layers = [Conv(inputs, middle), Conv(middle, middle, window, strides, groups=middle), Conv(middle, width)]
    gate: list[Layer] = [SqueezeExcite(width, -(-width // SQUEEZE))] if stage.squeeze else []
    if stage.kind == "inverted":
        middle = inputs * stage.expansion
        gate = [SqueezeExcite(middle, -(-middle // SQUEEZE))] if stage.squeeze else []
        opening = [part for conv in layers[:2] for part in (conv, Norm(conv.outputs), activation)]
        return ResidualBlockPlan((*opening, *gate, layers[2], Norm(width)), () if same else None, ())
    opening = [part for conv in layers[:-1] for part in (conv, Norm(conv.outputs), activation)]
    branch = (*opening, layers[-1], Norm(width), *gate)
    return ResidualBlockPlan(branch, None if stage.kind == "plain" else projection, (activation,))
