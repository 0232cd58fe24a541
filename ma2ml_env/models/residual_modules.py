"""Residual networks as torch modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ma2ml_env.models.modules import DropPath, DropPathNetwork, build_chain
from ma2ml_env.models.residual import ChainPlan, Plan, ResidualBlockPlan


class ResidualNetwork(DropPathNetwork):
    """A network of the residual family; from images (N, C, H, W) to logits (N, classes).

    Args:
        plan: plan of the network.
        drop_path: probability of removing the last block's branch at the end of training, in [0, 1).

    Raises:
        ValueError: if `drop_path` is not in [0, 1).

    Source: He et al. (2016); drop-path grows over depth and training as in NASNet.
    """

    def __init__(self, plan: Plan, drop_path: float = 0.0) -> None:
        super().__init__(drop_path)
        self.stem = build_chain(plan.stem)
        count = len(plan.blocks)
        rates = [drop_path * (number + 1) / count for number in range(count)]
        self.blocks = nn.Sequential(*map(build_block, plan.blocks, rates))
        self.head = build_chain(plan.head)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images to logits."""
        logits: Tensor = self.head(self.blocks(self.stem(x).contiguous(memory_format=torch.channels_last)))
        return logits


def build_block(plan: ResidualBlockPlan | ChainPlan, drop_path: float) -> nn.Module:
    """A block, or the stand-in for a stage without any."""
    return Block(plan, drop_path) if isinstance(plan, ResidualBlockPlan) else build_chain(plan.chain)


class Block(nn.Module):
    """One block.

    The last normalization of a branch beside a shortcut starts at zero, so that the block starts as its shortcut.

    Args:
        plan: plan of the block.
        drop_path: probability of removing the branch at the end of training; unused without a shortcut.

    Source: He et al. (2016); the zero is from Goyal et al. (2017).
    """

    def __init__(self, plan: ResidualBlockPlan, drop_path: float = 0.0) -> None:
        super().__init__()
        self.branch = build_chain(plan.branch)
        self.shortcut = build_chain(plan.shortcut) if plan.shortcut else None
        self.has_shortcut = plan.shortcut is not None
        self.after = build_chain(plan.after) if plan.after else nn.Identity()
        self.drop_path = DropPath(drop_path) if self.has_shortcut and drop_path > 0 else nn.Identity()
        if self.has_shortcut:
            last = [layer for layer in self.branch.children() if isinstance(layer, nn.BatchNorm2d)][-1]
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, width, rows, columns)."""
        out: Tensor = self.branch(x)
        if self.has_shortcut:
            out = self.drop_path(out) + (x if self.shortcut is None else self.shortcut(x))
        after: Tensor = self.after(out)
        return after
