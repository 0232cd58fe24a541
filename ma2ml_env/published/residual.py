"""The residual networks for CIFAR."""

from __future__ import annotations

from ma2ml_env.search_spaces.residual import Architecture, Stage

DEPTHS = {"ResNet-20": 3, "ResNet-32": 5, "ResNet-56": 9}


def residual_architecture(name: str) -> Architecture:
    """The architecture of a published residual network: three stages of basic blocks, 16 to 64 channels wide.

    Source: He et al. (2016), section 4.2.
    """
    return Architecture(16, "relu", tuple(Stage(DEPTHS[name], "basic", width) for width in (16, 32, 64)))
