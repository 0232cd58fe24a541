"""The published architectures and policies, as networks and as actions.

Importing this loads no torch; building a network does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ma2ml_env.published.actions import Action, action, actions
from ma2ml_env.published.entries import ENTRIES
from ma2ml_env.published.network_sizes import Row, sizes
from ma2ml_env.published.networks import Network, architecture, network

if TYPE_CHECKING:
    from torch import nn


def names() -> list[str]:
    """The names of everything published, in alphabetical order."""
    return sorted(ENTRIES)


def build(
    name: str,
    *,
    image_size: int | None = None,
    in_channels: int = 3,
    num_classes: int | None = None,
    drop_path: float = 0.0,
    **skeleton: Any,
) -> nn.Module:
    """A published network, untrained.

    Options that are not passed are as published: for images of up to 64 pixels as on CIFAR, above as on ImageNet, and
    without image size as on the data it was published for.

    Args:
        name: as `names` lists them.
        image_size: rows and columns of the images; FBNetV3's resolution.
        in_channels: 1 for gray images, 3 for colored ones.
        num_classes: number of logits.
        drop_path: probability of removing the deepest path at the end of training, in [0, 1).
        skeleton: fields of `NASNetSkeleton` (as `filters`, `repeats`), `DARTSSkeleton` (as `filters`, `layers`,
            `auxiliary`), `FBNetV3Skeleton` or `ResidualSkeleton`, whichever the network has.

    Returns:
        A module from images (N, C, H, W) to logits (N, num_classes).

    Raises:
        ValueError: for an unknown name or option, a policy, or an image that is too small.

    Source: the catalogue names that of each network.
    """
    sizes = {"image_size": image_size, "num_classes": num_classes}
    return network(name, in_channels=in_channels, drop_path=drop_path, **sizes, **skeleton).build()


__all__ = ["Action", "Network", "Row", "action", "actions", "architecture", "build", "names", "network", "sizes"]
