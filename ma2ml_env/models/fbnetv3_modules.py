"""FBNetV3's networks as torch modules, from timm's blocks."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.nn.functional as F
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual, SqueezeExcite
from torch import Tensor, nn

from ma2ml_env.models.fbnetv3 import MobileBlockPlan, Plan
from ma2ml_env.models.modules import DropPath, DropPathNetwork, build_chain


class FBNetV3(DropPathNetwork):
    """A network of the FBNetV3 family; from images (N, C, H, W) of any size to logits (N, classes).

    Args:
        plan: plan of the network.
        resolution: images are resized to this many rows and columns.
        drop_path: probability of removing the last block at the end of training, in [0, 1).

    Raises:
        ValueError: if `drop_path` is not in [0, 1).

    Source: FBNetV3's code, but for the resizing.
    """

    def __init__(self, plan: Plan, resolution: int, drop_path: float = 0.0) -> None:
        super().__init__(drop_path)
        self.resolution = resolution
        self.stem = build_chain(plan.stem)
        count = len(plan.blocks)
        self.blocks = nn.Sequential(
            *(build_block(block, drop_path * (number + 1) / count) for number, block in enumerate(plan.blocks))
        )
        self.head = build_chain(plan.head)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images to logits."""
        if x.shape[-2:] != (self.resolution, self.resolution):
            x = F.interpolate(x, (self.resolution, self.resolution), mode="bilinear", antialias=True)
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits


def build_block(plan: MobileBlockPlan, drop_path: float = 0.0) -> nn.Module:
    """One inverted residual block, timm's.

    Its last normalization starts at zero where there is a residual connection, so that it starts as the identity.

    Args:
        plan: plan of the block.
        drop_path: probability of removing it at the end of training.

    Source: FBNetV3's code.
    """
    squeeze: Any = partial(SqueezeExcite, rd_channels=plan.hidden, gate_layer="hard_sigmoid") if plan.hidden else None
    expands = plan.middle != plan.inputs
    make = partial(InvertedResidual, exp_ratio=plan.middle / plan.inputs) if expands else DepthwiseSeparableConv
    block: nn.Module = make(
        plan.inputs,
        plan.outputs,
        dw_kernel_size=plan.kernel,
        stride=plan.stride,
        act_layer=nn.Hardswish,
        se_layer=squeeze,
    )
    block.conv_dw.padding = (plan.padding, plan.padding)  # type: ignore[union-attr]
    if plan.inputs == plan.outputs and plan.stride == 1:
        last = block.bn3 if expands else block.bn2
        nn.init.zeros_(last.weight)  # type: ignore[union-attr, arg-type]
        if drop_path > 0:
            block.drop_path = DropPath(drop_path)
    return block
