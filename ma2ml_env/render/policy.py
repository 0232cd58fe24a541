"""An augmentation policy in words and on sample images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ma2ml_env.render.page import INK, MUTED, Area
from ma2ml_env.search_spaces.autoaugment import WITHOUT_MAGNITUDE, Operation, Policy

SHOWN = 5
SAMPLES = 4
WORDS_WIDTH = 1.4


def draw_policy(area: Area, policy: Policy, images: Any) -> None:
    """Draws a row per sub-policy: its operations, and sample images that got this sub-policy.

    Args:
        area: place to draw in.
        policy: only its first five sub-policies are shown.
        images: uint8 (N, C, H, W), or None for no pictures.
    """
    row = area.height / (SHOWN + 1)
    first = area.part(0.0, 0.0, area.width, row)
    axes = first.axes()
    count = len(policy.subpolicies)
    shown = f"one of {count}" if count <= SHOWN else f"{SHOWN} of the {count}"
    axes.text(0.0, 0.12, f"{shown} sub-\npolicies per image", fontsize=8.5, color=MUTED, va="top")
    if images is not None:
        images = images[:SAMPLES]
        axes.text(0.0, 0.72, "before", fontsize=8.5, color=INK, va="center")
        _draw_images(first, images)
    for i, subpolicy in enumerate(policy.subpolicies[:SHOWN]):
        place = area.part(0.0, (i + 1) * row, area.width, row)
        _draw_operations(place.axes(), i + 1, subpolicy.operations)
        if images is not None:
            _draw_images(place, _augmented(images, Policy((subpolicy,)), seed=i))


def _augmented(images: Any, policy: Policy, seed: int) -> Any:
    import torch

    from ma2ml_env.augment import augment

    return augment(torch.as_tensor(images), policy, torch.Generator().manual_seed(seed))


def _draw_operations(axes: Axes, number: int, operations: tuple[Operation, ...]) -> None:
    axes.text(0.0, 0.14, f"{number}", fontsize=8.5, weight="bold", color=MUTED, va="center")
    for i, operation in enumerate(operations):
        level = "" if operation.name in WITHOUT_MAGNITUDE else f"level {operation.magnitude}"
        color = INK if operation.probability else MUTED
        y = 0.14 + 0.4 * i
        axes.text(0.18, y, operation.name, fontsize=8.5, color=color, va="center")
        axes.text(0.18, y + 0.17, f"{operation.probability:.0%}  {level}", fontsize=7.5, color=MUTED, va="center")


def _draw_images(area: Area, images: Any) -> None:
    """Square pictures side by side, right of the words."""
    pictures = np.asarray(images.cpu() if hasattr(images, "cpu") else images)
    width = area.width - WORDS_WIDTH
    side = min(area.height - 0.12, width / SAMPLES - 0.06)
    for i, picture in enumerate(pictures):
        axes = area.part(WORDS_WIDTH + i * width / SAMPLES, 0.0, side, side).plot()
        axes.imshow(_rgb(picture), interpolation="nearest" if math.prod(picture.shape[1:]) < 4096 else "antialiased")
        axes.axis("off")


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels_last = np.moveaxis(picture, 0, -1)
    return np.repeat(channels_last, 3, axis=-1) if channels_last.shape[-1] == 1 else channels_last
