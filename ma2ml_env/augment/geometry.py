"""Source pixel of each pixel of a sheared, translated or rotated image."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=512)
def source_pixels(name: str, value: float, height: int, width: int) -> Tensor:
    """Flat index of each pixel's source pixel; height x width where that is outside the image.

    Args:
        name: ShearX, ShearY (about the upper left corner), TranslateX, TranslateY or Rotate (about the middle).
        value: signed slope, pixels or degrees counter-clockwise.
        height: pixels.
        width: pixels.

    Returns:
        Shape (height * width,), int64, nearest pixel.

    Source: torchvision's `affine` and `rotate`; the arithmetic is theirs, so ties round alike.
    """
    outside = height * width
    theta = torch.tensor(_inverse_matrix(name, value, height, width)).reshape(1, 2, 3).transpose(1, 2)
    grid = torch.ones(1, height, width, 3)
    grid[..., 0] = torch.linspace((1.0 - width) * 0.5, (width - 1.0) * 0.5, steps=width)
    grid[..., 1] = torch.linspace((1.0 - height) * 0.5, (height - 1.0) * 0.5, steps=height).unsqueeze(1)
    places = grid.view(1, outside, 3).bmm(theta / torch.tensor([0.5 * width, 0.5 * height]))
    numbered = torch.arange(1, outside + 1, dtype=torch.float32).view(1, 1, height, width)
    sampled = F.grid_sample(numbered, places.view(1, height, width, 2), mode="nearest", align_corners=False)
    return (sampled.flatten().long() - 1).remainder(outside + 1)


def _inverse_matrix(name: str, value: float, height: int, width: int) -> list[float]:
    """Map from output to input coordinates, the origin in the middle of the image: 2 x 3 numbers by rows."""
    if name == "Rotate":
        angle = math.radians(-(value % 360))
        return [math.cos(angle), math.sin(angle), 0.0, -math.sin(angle), math.cos(angle), 0.0]
    return {
        "ShearX": [1.0, value, value * height * 0.5, 0.0, 1.0, 0.0],
        "ShearY": [1.0, 0.0, 0.0, value, 1.0, value * width * 0.5],
        "TranslateX": [1.0, 0.0, -value, 0.0, 1.0, 0.0],
        "TranslateY": [1.0, 0.0, 0.0, 0.0, 1.0, -value],
    }[name]
