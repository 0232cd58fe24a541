"""The augmentation that a data set is always trained with, before any policy: crops and flips, on batches."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = 4
AREA = (0.08, 1.0)
ASPECT_RATIO = (3 / 4, 4 / 3)
BYTES_AT_ONCE = 2**26


def pad_crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pads by 4 black pixels, crops to the old size at a random place, mirrors with probability one half.

    Args:
        images: (N, C, H, W), any dtype and device; not changed.
        generator: the only source of randomness, on any device.

    Returns:
        New images of the same shape, dtype and device.

    Source: the usual augmentation of CIFAR, which NASNet and AutoAugment train with.
    """
    drawn = torch.rand((3, len(images)), generator=generator, device=generator.device).to(images.device)
    return _cropped(images, drawn[:2], drawn[2] < 0.5)


def pad_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """As `pad_crop_flip`, but never mirrors: for characters, and whatever else has a left and a right.

    Args:
        images: (N, C, H, W), any dtype and device; not changed.
        generator: the only source of randomness, on any device.

    Returns:
        New images of the same shape, dtype and device.

    Source: the usual augmentation of CIFAR without its flip.
    """
    drawn = torch.rand((2, len(images)), generator=generator, device=generator.device).to(images.device)
    return _cropped(images, drawn, torch.zeros(len(images), dtype=torch.bool, device=images.device))


def _cropped(images: Tensor, place: Tensor, mirrored: Tensor) -> Tensor:
    """Crops of padded images: `place` in [0, 1), shape (2, N), from the top and from the left; `mirrored` (N,)."""
    count, _, height, width = images.shape
    top, left = (place * (2 * PADDING + 1)).long()
    padded = F.pad(images, (PADDING,) * 4)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    image = torch.arange(count, device=images.device)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def resized_crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Crops a rectangle of random area and aspect ratio, resizes it to the old size, mirrors with probability 1/2.

    Args:
        images: (N, C, H, W), uint8 in 0..255 or floating, on any device; not changed.
        generator: the only source of randomness, on any device.

    Returns:
        New images of the same shape, dtype and device.

    Source: Szegedy et al., "Going deeper with convolutions", the usual augmentation of ImageNet: 8 to 100 % of the
        area, aspect ratios 3/4 to 4/3. A rectangle larger than the image is cut to it here; torchvision draws again.
    """
    boxes = crop_boxes(len(images), images.shape[-2:], generator).to(images.device)
    parts = max(1, BYTES_AT_ONCE // (4 * images[0].numel()))
    pieces = zip(torch.split(images, parts), torch.split(boxes, parts), strict=True)
    return torch.cat([_resampled(piece, part) for piece, part in pieces])


def crop_boxes(count: int, size: tuple[int, int] | torch.Size, generator: torch.Generator) -> Tensor:
    """Rectangles to crop, as affine maps from the new image to the old one.

    Args:
        count: N.
        size: height and width of the images.
        generator: the only source of randomness.

    Returns:
        Shape (N, 2, 3), in the coordinates of `torch.nn.functional.affine_grid`, in which an image is [-1, 1]^2; a
        negative horizontal scale mirrors.
    """
    height, width = size
    drawn = torch.rand((5, count), generator=generator, device=generator.device)
    area = (AREA[0] + (AREA[1] - AREA[0]) * drawn[0]) * height * width
    low, high = (math.log(ratio) for ratio in ASPECT_RATIO)
    ratio = torch.exp(low + (high - low) * drawn[1])
    across = ((area * ratio).sqrt() / width).clamp(max=1.0)
    down = ((area / ratio).sqrt() / height).clamp(max=1.0)
    boxes = torch.zeros((count, 2, 3), device=drawn.device)
    boxes[:, 0, 0] = torch.where(drawn[4] < 0.5, -across, across)
    boxes[:, 1, 1] = down
    boxes[:, 0, 2] = (2 * drawn[2] - 1) * (1 - across)
    boxes[:, 1, 2] = (2 * drawn[3] - 1) * (1 - down)
    return boxes


def _resampled(images: Tensor, boxes: Tensor) -> Tensor:
    grid = F.affine_grid(boxes, list(images.shape), align_corners=False)
    sampled = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.round().to(images.dtype) if images.dtype == torch.uint8 else sampled.to(images.dtype)


def _nothing(images: Tensor, generator: torch.Generator) -> Tensor:
    return images


STANDARD: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": _nothing,
    "pad_crop": pad_crop,
    "pad_crop_flip": pad_crop_flip,
    "resized_crop_flip": resized_crop_flip,
}
"""Standard augmentations by the name in a task's `augmentation`."""
