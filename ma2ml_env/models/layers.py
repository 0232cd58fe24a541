"""Layers as data, and their cost, without torch.

A network is described once, as chains of these layers; `modules.py` builds them and `counting.py` adds them up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from ma2ml_env.errors import MA2MLError

Size = tuple[int, int]
MOST_FILTERS, MOST_CELLS, MOST_STAGES = 2**16, 1000, 16
"""Limits above every published network's sizes, so that a mistyped size is refused before it exhausts memory."""


class Conv(NamedTuple):
    """A convolution; `padding` None keeps the size, up to the stride."""

    inputs: int
    outputs: int
    kernel: Size = (1, 1)
    stride: Size = (1, 1)
    groups: int = 1
    dilation: int = 1
    padding: Size | None = None
    bias: bool = False

    @property
    def pad(self) -> Size:
        """The padding of each side, (rows, columns)."""
        if self.padding is not None:
            return self.padding
        return self.dilation * (self.kernel[0] - 1) // 2, self.dilation * (self.kernel[1] - 1) // 2


class Norm(NamedTuple):
    """Batch normalization of `channels` channels."""

    channels: int
    epsilon: float = 1e-5


class Activation(NamedTuple):
    """An activation function."""

    kind: Literal["relu", "silu", "hardswish"] = "relu"


class Pool(NamedTuple):
    """Pooling over a window; the average does not count the padding."""

    kind: Literal["avg", "max"]
    kernel: int
    stride: int
    padding: int


class FactorizedReduction(NamedTuple):
    """Half the size: two strided 1x1 convolutions, the second of the image shifted by a pixel, side by side.

    Source: NASNet's and DARTS's code.
    """

    inputs: int
    outputs: int


class SqueezeExcite(NamedTuple):
    """Squeeze-and-excitation: channels weighted by a two-layer network of their means.

    Source: Hu et al. (2018); FBNetV3 has a hard sigmoid as its gate.
    """

    channels: int
    hidden: int


class GlobalPool(NamedTuple):
    """The mean over the whole image, kept as a 1x1 image."""


class Linear(NamedTuple):
    """A linear layer on a 1x1 image."""

    inputs: int
    outputs: int
    bias: bool = True


Layer = Conv | Norm | Activation | Pool | FactorizedReduction | SqueezeExcite | GlobalPool | Linear
Chain = tuple[Layer, ...]
RELU = Activation("relu")


class ChainCost(NamedTuple):
    """Cost of a chain on images of one size.

    Attributes:
        flops: multiply-accumulates of one image.
        params: trainable parameters.
        size: (rows, columns) of the output.

    Source: the convention of the NASNet paper: convolutions and linear layers only.
    """

    flops: int
    params: int
    size: Size


@lru_cache(maxsize=65536)
def chain_cost(chain: Chain, size: Size) -> ChainCost:
    """Cost of `chain` on an image of `size` (rows, columns).

    Raises:
        ValueError: if the image is too small for a layer.
    """
    flops = params = 0
    for layer in chain:
        layer_flops, layer_params, size = _layer_cost(layer, size)
        flops += layer_flops
        params += layer_params
    return ChainCost(flops, params, size)


def _layer_cost(layer: Layer, size: Size) -> tuple[int, int, Size]:
    match layer:
        case Conv():
            after = _after(layer, layer.kernel, layer.stride, layer.pad, size, layer.dilation)
            weights = layer.outputs * (layer.inputs // layer.groups) * layer.kernel[0] * layer.kernel[1]
            return weights * after[0] * after[1], weights + layer.bias * layer.outputs, after
        case Norm():
            return 0, 2 * layer.channels, size
        case Pool(_, kernel, stride, padding):
            return 0, 0, _after(layer, (kernel, kernel), (stride, stride), (padding, padding), size)
        case FactorizedReduction(inputs, outputs):
            after = _after(layer, (1, 1), (2, 2), (0, 0), size)
            return inputs * outputs * after[0] * after[1], inputs * outputs, after
        case SqueezeExcite(channels, hidden):
            return 2 * channels * hidden, 2 * channels * hidden + channels + hidden, size
        case GlobalPool():
            return 0, 0, (1, 1)
        case Linear(inputs, outputs, bias):
            return inputs * outputs, inputs * outputs + bias * outputs, size
        case _:
            return 0, 0, size


def _after(layer: Layer, kernel: Size, stride: Size, padding: Size, size: Size, dilation: int = 1) -> Size:
    rows, columns = (
        (n + 2 * p - dilation * (k - 1) - 1) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    )
    if min(rows, columns) < 1 or any(s > n for n, s in zip(size, stride, strict=True)):
        raise MA2MLError(
            f"the image is too small for this network: {type(layer).__name__} with kernel {kernel} and stride "
            f"{stride} gets {size[0]}x{size[1]} pixels; use a larger image or fewer reductions"
        )
    return rows, columns


def separable(
    inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1, epsilon: float = 1e-5
) -> Chain:
    """ReLU, depthwise convolution, 1x1 convolution, batch normalization."""
    depthwise = Conv(inputs, inputs, (kernel, kernel), (stride, stride), groups=inputs, dilation=dilation)
    return RELU, depthwise, Conv(inputs, outputs), Norm(outputs, epsilon)


def relu_conv(
    inputs: int, outputs: int, kernel: Size = (1, 1), stride: Size = (1, 1), dilation: int = 1, epsilon: float = 1e-5
) -> Chain:
    """ReLU, convolution, batch normalization."""
    return RELU, Conv(inputs, outputs, kernel, stride, dilation=dilation), Norm(outputs, epsilon)
