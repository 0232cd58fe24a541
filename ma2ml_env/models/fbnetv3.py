"""FBNetV3's networks as plans, and their cost, without torch; timm's blocks build them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ma2ml_env.errors import MA2MLError, require_range
from ma2ml_env.models.layers import (
    MOST_FILTERS,
    Activation,
    Chain,
    Conv,
    GlobalPool,
    Linear,
    Norm,
    Size,
    SqueezeExcite,
    chain_cost,
)
from ma2ml_env.search_spaces.fbnetv3 import HEAD_WIDTH, Architecture
from ma2ml_env.types import Cost

if TYPE_CHECKING:
    from ma2ml_env.models.fbnetv3_modules import FBNetV3

HARDSWISH = Activation("hardswish")


@dataclass(frozen=True)
class FBNetV3Skeleton:
    """Skeleton of FBNetV3: everything that an architecture leaves open.

    Attributes:
        head_width: channels before the classifier.
        resolution_scale: the network works on images of this many times the architecture's resolution, in (0, 1];
            below 1 it is a cheaper proxy, which the paper does not have.

    Raises:
        ValueError: for a width below 1 or a scale outside (0, 1].

    Source: FBNetV3, table 1.
    """

    head_width: int = HEAD_WIDTH
    resolution_scale: float = 1.0

    def __post_init__(self) -> None:
        require_range("head_width", self.head_width, 1, MOST_FILTERS)
        if not 0.0 < self.resolution_scale <= 1.0:
            raise MA2MLError(f"resolution_scale is in (0, 1], not {self.resolution_scale}")

    def resolution(self, architecture: Architecture) -> int:
        """Rows and columns of the images that the network works on."""
        return round(architecture.resolution * self.resolution_scale)


class MobileBlockPlan(NamedTuple):
    """One inverted residual block.

    Attributes:
        inputs: channels in.
        middle: channels of the depthwise convolution; if they are `inputs` there is no convolution before it.
        outputs: channels out.
        kernel: kernel size of the depthwise convolution.
        stride: stride of the depthwise convolution.
        padding: padding of the depthwise convolution.
        hidden: channels inside squeeze-excite, 0 for none.

    Source: FBNetV3's code.
    """

    inputs: int
    middle: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    hidden: int

    @property
    def chain(self) -> Chain:
        """Layers of the block, without the residual connection."""
        window, stride, padding = (self.kernel,) * 2, (self.stride,) * 2, (self.padding,) * 2
        expand: Chain = (Conv(self.inputs, self.middle), Norm(self.middle), HARDSWISH)
        depthwise = Conv(self.middle, self.middle, window, stride, self.middle, padding=padding)
        squeeze: Chain = (SqueezeExcite(self.middle, self.hidden),) if self.hidden else ()
        chain: Chain = expand if self.middle != self.inputs else ()
        chain += (depthwise, Norm(self.middle), HARDSWISH, *squeeze)
        return (*chain, Conv(self.middle, self.outputs), Norm(self.outputs))


class Plan(NamedTuple):
    """A network of the family.

    Source: FBNetV3's code.
    """

    stem: Chain
    blocks: tuple[MobileBlockPlan, ...]
    head: Chain


def build(
    architecture: Architecture,
    skeleton: FBNetV3Skeleton,
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    drop_path: float = 0.0,
) -> FBNetV3:
    """The network as a torch module; arguments and errors as for `ma2ml_env.models.build_network`.

    The resolution belongs to the architecture: images of another `image_size` are resized by the network.

    Source: FBNetV3's code.
    """
    from ma2ml_env.models.fbnetv3_modules import FBNetV3

    count(architecture, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
    network = plan(architecture, skeleton.head_width, in_channels, num_classes)
    return FBNetV3(network, skeleton.resolution(architecture), drop_path)


def count(
    architecture: Architecture, skeleton: FBNetV3Skeleton, *, image_size: int, in_channels: int, num_classes: int
) -> Cost:
    """Cost of the network at its own resolution, by arithmetic; arguments and errors as for `build`."""
    if image_size < 1:
        raise MA2MLError(f"image_size must be at least 1, not {image_size}")
    network = plan(architecture, skeleton.head_width, in_channels, num_classes)
    size: Size = (skeleton.resolution(architecture),) * 2
    flops = params = 0
    for chain in (network.stem, *(block.chain for block in network.blocks), network.head):
        part = chain_cost(chain, size)
        flops, params, size = flops + part.flops, params + part.params, part.size
    return Cost(flops, params)


@lru_cache(maxsize=256)
def plan(architecture: Architecture, head_width: int, in_channels: int, num_classes: int) -> Plan:
    """The network as data.

    Args:
        architecture: its blocks.
        head_width: channels before the classifier.
        in_channels: number of channels of the image.
        num_classes: number of logits.

    Source: FBNetV3's code.
    """
    stem = Conv(in_channels, architecture.stem, (3, 3), (2, 2), bias=True)
    blocks = tuple(_blocks(architecture))
    last = blocks[-1].outputs
    middle = divisible(last * architecture.head_expansion)
    expand: Chain = (Conv(last, middle), Norm(middle), HARDSWISH, GlobalPool())
    head = (*expand, Conv(middle, head_width), HARDSWISH, Linear(head_width, num_classes))
    return Plan((stem, Norm(architecture.stem), HARDSWISH), blocks, head)


def _blocks(architecture: Architecture) -> Iterator[MobileBlockPlan]:
    inputs = architecture.stem
    for group in architecture.groups:
        for repeat in range(group.repeats):
            middle = divisible(inputs * group.expansion)
            usual = group.padding is None or repeat > 0
            padding = group.kernel // 2 if usual else group.padding
            hidden = divisible(int(middle * 0.25 / group.expansion)) if group.squeeze else 0
            stride = 1 if repeat else group.stride
            yield MobileBlockPlan(inputs, middle, group.width, group.kernel, stride, padding or 0, hidden)
            inputs = group.width


def divisible(channels: float, by: int = 8) -> int:
    """The multiple of `by` nearest to `channels`, at least `by` and not below 95 % of `channels`.

    Source: FBNetV3's code.
    """
    nearest = max(by, int(channels / by + 0.5) * by)
    return nearest if nearest >= 0.95 * channels else nearest + by
