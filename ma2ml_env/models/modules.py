"""Builds the torch modules that a plan describes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import SEModule
from torch import Tensor, nn

from ma2ml_env.errors import MA2MLError
from ma2ml_env.models.layers import (
    RELU,
    Activation,
    Chain,
    Conv,
    FactorizedReduction,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Pool,
    SqueezeExcite,
)
from ma2ml_env.models.plan import CellPlan, Edge, NetworkPlan

NARROW = 8
"""Number of channels from which on the processor's library was not observed to fail."""


class DropPath(nn.Module):
    """Removes a path for some images of a batch during training, and scales it for the others.

    Args:
        probability: probability of removal at the end of training, in [0, 1).

    Source: FractalNet; grown over depth and training as in NASNet.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.progress = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Drops `x`, shape (N, C, H, W), image by image."""
        keep = 1.0 - self.probability * self.progress
        if not self.training or keep == 1.0:
            return x
        return x * x.new_empty((len(x), 1, 1, 1)).bernoulli_(keep).div_(keep)


class PointwiseConv(nn.Conv2d):
    """A strided 1x1 convolution that leaves out pixels first, then convolves.

    That is the same, but the processor's library writes past its memory in the gradient of strided ones of fewer than
    `NARROW` channels, where there is AVX2 and no AVX-512 (torch 2.14).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, channels out, rows, columns), both divided by the stride and rounded up."""
        rows, columns = self.stride
        return F.conv2d(x[:, :, ::rows, ::columns], self.weight, self.bias, groups=self.groups)


def conv2d(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], **options: Any) -> nn.Conv2d:
    """A convolution that is safe on every processor; arguments as for `torch.nn.Conv2d`."""
    narrow = min(inputs, outputs) < NARROW and kernel == (1, 1) and max(stride) > 1
    return (PointwiseConv if narrow else nn.Conv2d)(inputs, outputs, kernel, stride, **options)


class FactorizedReduce(nn.Module):
    """Two strided 1x1 convolutions, the second of the image shifted by a pixel, side by side.

    Args:
        inputs: channels in.
        outputs: channels out; of an odd number the second convolution has one more.

    Source: NASNet's and DARTS's code.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.straight = conv2d(inputs, outputs // 2, (1, 1), (2, 2), bias=False)
        self.shifted = conv2d(inputs, outputs - outputs // 2, (1, 1), (2, 2), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halves `x`, shape (N, C, H, W), rounding up."""
        padded = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)) if x.shape[2] % 2 or x.shape[3] % 2 else x
        return torch.cat([self.straight(x), self.shifted(padded[:, :, 1:, 1:])], dim=1)


class GlobalMean(nn.Module):
    """The mean over rows and columns, kept as a 1x1 image."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


def build_layer(layer: Layer, *, inplace: bool = False) -> nn.Module:
    """The torch module of one layer.

    Args:
        layer: layer to build.
        inplace: whether an activation may overwrite its input.

    Source: timm, for squeeze-excite.
    """
    match layer:
        case Conv(inputs, outputs, kernel, stride, groups, dilation, _, bias):
            options = {"padding": layer.pad, "dilation": dilation, "groups": groups, "bias": bias}
            return conv2d(inputs, outputs, kernel, stride, **options)
        case Norm(channels, epsilon):
            return nn.BatchNorm2d(channels, eps=epsilon)
        case Activation(kind):
            return {"relu": nn.ReLU, "silu": nn.SiLU, "hardswish": nn.Hardswish}[kind](inplace)
        case Pool("avg", kernel, stride, padding):
            return nn.AvgPool2d(kernel, stride, padding, count_include_pad=False)
        case Pool(_, kernel, stride, padding):
            return nn.MaxPool2d(kernel, stride, padding)
        case FactorizedReduction(inputs, outputs):
            return FactorizedReduce(inputs, outputs)
        case GlobalPool():
            return GlobalMean()
        case Linear(inputs, outputs, bias):
            return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs, bias))
        case SqueezeExcite(channels, hidden):
            gate: nn.Module = SEModule(channels, rd_channels=hidden)
            return gate


def build_chain(chain: Chain) -> nn.Module:
    """The layers one after the other; only activations that follow another layer work in place."""
    layers = [build_layer(layer, inplace=position > 0) for position, layer in enumerate(chain)]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


class EdgeModule(nn.Module):
    """An edge of a cell; all edges that begin with a ReLU share that of their state.

    Args:
        edge: plan of the edge.
        drop_path: probability of removal at the end of training.
    """

    def __init__(self, edge: Edge, drop_path: float = 0.0) -> None:
        super().__init__()
        self.state = edge.state
        self.activates = edge.chain[:1] == (RELU,)
        self.chain = build_chain(edge.chain[self.activates :])
        self.drop_path = DropPath(drop_path) if edge.drops and drop_path > 0 else None

    def forward(self, states: list[Tensor], activated: dict[int, Tensor]) -> Tensor:
        """Reads a state, shape (N, C, H, W), and applies the chain to it."""
        x = states[self.state]
        if self.activates:
            if self.state not in activated:
                activated[self.state] = F.relu(x)
            x = activated[self.state]
        out: Tensor = self.chain(x)
        if self.drop_path is not None:
            out = self.drop_path(out)
        return out


class CellModule(nn.Module):
    """One cell.

    Args:
        plan: plan of the cell.
        drop_path: probability of removing a path at the end of training.

    Source: NASNet, section 3.1.
    """

    def __init__(self, plan: CellPlan, drop_path: float) -> None:
        super().__init__()
        self.concats = [block.concat for block in plan.blocks]
        self.inputs = nn.ModuleList(EdgeModule(edge) for edge in plan.inputs)
        self.edges = nn.ModuleList(EdgeModule(edge, drop_path) for block in plan.blocks for edge in block[:2])
        self.outputs = nn.ModuleList(EdgeModule(edge) for edge in plan.outputs)

    def forward(self, previous: Tensor, current: Tensor) -> Tensor:
        """Maps the two arguments, (N, C, H, W) each, to the concatenated states."""
        sources, shared = [previous, current], dict[int, Tensor]()
        states = [edge(sources, shared) for edge in self.inputs]
        activated: dict[int, Tensor] = {}
        for number, concat in enumerate(self.concats):
            first = self.edges[2 * number](states, activated)
            second = self.edges[2 * number + 1](states, activated)
            states.append(torch.cat([first, second], dim=1) if concat else first + second)
        outputs = [edge(states, activated) for edge in self.outputs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


class DropPathNetwork(nn.Module):
    """A network whose drop-path grows over training.

    Args:
        drop_path: probability of removing the deepest path at the end of training, in [0, 1).

    Raises:
        ValueError: if it is not in [0, 1).

    Source: NASNet's code.
    """

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        if not 0.0 <= drop_path < 1.0:
            raise MA2MLError(f"drop_path is a probability in [0, 1), not {drop_path}")

    def set_drop_path_progress(self, progress: float) -> None:
        """Sets drop-path, which grows over training, to its value at some progress.

        Args:
            progress: the part of the training that is over, in [0, 1]; 1 until this is called.

        Raises:
            ValueError: if it is not in [0, 1].
        """
        if not 0.0 <= progress <= 1.0:
            raise MA2MLError(f"progress is the part of the training that is over, in [0, 1], not {progress}")
        for path in self._drop_paths:
            path.progress = progress

    @cached_property
    def _drop_paths(self) -> list[DropPath]:
        return [module for module in self.modules() if isinstance(module, DropPath)]


class CellNetwork(DropPathNetwork):
    """A network of cells; from images (N, C, H, W) to logits (N, classes).

    In training mode a network with an auxiliary classifier returns (logits, auxiliary logits).

    Args:
        plan: plan of the network.
        drop_path: probability of removing a path in the last cell at the end of training, in [0, 1).

    Raises:
        ValueError: if `drop_path` is not in [0, 1).

    Source: NASNet's and DARTS's code.
    """

    def __init__(self, plan: NetworkPlan, drop_path: float = 0.0) -> None:
        super().__init__(drop_path)
        self.stem = nn.ModuleList(build_chain(chain) for chain in plan.stem)
        count = len(plan.cells)
        self.previous = [cell.previous for cell in plan.cells]
        scales = [(number + 1) / count if plan.depth_scaled else 1.0 for number in range(count)]
        self.cells = nn.ModuleList(
            CellModule(cell, drop_path * scale) for cell, scale in zip(plan.cells, scales, strict=True)
        )
        self.head = build_chain(plan.head)
        self.auxiliary_cell = plan.auxiliary.cell if plan.auxiliary else -1
        self.auxiliary = build_chain(plan.auxiliary.chain) if plan.auxiliary else None

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Maps images to logits."""
        outputs = []
        for chain in self.stem:
            x = chain(x).contiguous(memory_format=torch.channels_last)  # a gray image's format is ambiguous
            outputs.append(x)
        outputs = [x, x] if len(outputs) == 1 else outputs
        auxiliary = None
        for number, cell in enumerate(self.cells):
            outputs = [*outputs[-2:], cell(outputs[self.previous[number]], outputs[-1])]
            if self.auxiliary is not None and self.training and number == self.auxiliary_cell:
                auxiliary = self.auxiliary(outputs[-1])
        logits: Tensor = self.head(outputs[-1])
        return logits if auxiliary is None else (logits, auxiliary)
