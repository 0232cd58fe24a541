"""The sixteen operations of AutoAugment, each on a group of images with a value per image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from ma2ml_env.augment.geometry import source_pixels
from ma2ml_env.augment.magnitudes import GEOMETRIC

GRAY = 128 / 255


@dataclass(frozen=True)
class Group:
    """Images that get the same operation.

    Attributes:
        images: (n, C, H, W), a copy that the kernel may change, uint8 or floating.
        values: signed magnitude per image, (n,), float64, on the CPU.
        place: three uniform numbers in [0, 1) per image, (3, n), on the CPU: the row and column where Cutout
            cuts, and the image that SamplePairing mixes in.
        originals: the whole batch before augmentation, (N, C, H, W).
        rows: the place of each image in the batch, (n,), on the CPU.
    """

    images: Tensor
    values: Tensor
    place: Tensor
    originals: Tensor
    rows: Tensor

    @property
    def bound(self) -> float:
        """The brightest pixel value."""
        return 1.0 if self.images.is_floating_point() else 255.0

    def floating(self) -> Tensor:
        """The images in floating point, their range unchanged."""
        return self.images if self.images.is_floating_point() else self.images.float()

    def column(self, values: Tensor) -> Tensor:
        """One number per image, in the type and on the device of the arithmetic, (n, 1, 1, 1)."""
        dtype = self.images.dtype if self.images.is_floating_point() else torch.float32
        return values.to(dtype).to(self.images.device).view(-1, 1, 1, 1)

    def restored(self, images: Tensor) -> Tensor:
        """Clamped to the range of the images, and of their type (rounded down)."""
        return images.clamp_(0.0, self.bound).to(self.images.dtype)

    def blended(self, other: Tensor) -> Tensor:
        """The images times 1 + value plus `other` times -value, as pixels."""
        ratio = 1.0 + self.values
        return self.restored(torch.addcmul(self.floating() * self.column(ratio), other, self.column(1.0 - ratio)))


def geometric(group: Group, name: str) -> Tensor:
    """Shears, translates or rotates by nearest-pixel sampling, black outside."""
    count, channels, height, width = group.images.shape
    distinct, inverse = torch.unique(group.values, return_inverse=True)
    tables = torch.stack([source_pixels(name, value, height, width) for value in distinct.tolist()])
    index = tables.to(group.images.device)[inverse.to(group.images.device)]
    pixels = F.pad(group.images.flatten(2), (0, 1))
    return pixels.gather(2, index.unsqueeze(1).expand(-1, channels, -1)).view(count, channels, height, width)


def invert(group: Group) -> Tensor:
    """Inverts all pixels."""
    return 1.0 - group.images if group.images.is_floating_point() else ~group.images


def solarize(group: Group) -> Tensor:
    """Inverts the pixels at or above a threshold."""
    threshold = group.column(group.values * group.bound)
    if not group.images.is_floating_point():
        threshold = threshold.ceil().to(torch.uint8)
    return torch.where(group.images >= threshold, invert(group), group.images)


def posterize(group: Group) -> Tensor:
    """Keeps the highest bits of each pixel."""
    if group.images.is_floating_point():
        levels = group.column(2.0**group.values)
        return (group.images * levels).floor_().clamp_(min=0.0).minimum(levels - 1.0) / levels
    mask = 256 - 2 ** (8 - group.values.long())
    return group.images & mask.to(torch.uint8).to(group.images.device).view(-1, 1, 1, 1)


def autocontrast(group: Group) -> Tensor:
    """Stretches each channel to the whole range."""
    images = group.floating()
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = low == high
    scale = ((high - low) * (1.0 / group.bound)).masked_fill_(flat, 1.0)
    return group.restored((images - low.masked_fill(flat, 0.0)).div_(scale))


def equalize(group: Group) -> Tensor:
    """Equalizes the histogram of each channel, as Pillow does on 256 levels."""
    images = group.images if group.images.dtype == torch.uint8 else (group.images * 255.999).to(torch.uint8)
    pixels = images.flatten(2).long()
    histogram = torch.zeros((*pixels.shape[:2], 256), dtype=torch.int32, device=pixels.device)
    histogram.scatter_add_(2, pixels, torch.ones((), dtype=torch.int32, device=pixels.device).expand_as(pixels))
    last = images.flatten(2).amax(dim=2, keepdim=True).long()
    step = (pixels.shape[2] - histogram.gather(2, last)) // 255
    below = histogram.cumsum(dim=2, dtype=torch.int32) - histogram
    table = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255).to(torch.uint8)
    table[..., 0] = 0
    equalized = torch.where(step.unsqueeze(3) > 0, table.gather(2, pixels).view_as(images), images)
    return equalized if group.images.dtype == torch.uint8 else equalized.to(group.images.dtype).div_(255.0)


def contrast(group: Group) -> Tensor:
    """Blends with the mean gray of the image."""
    return group.blended(_gray(group).mean(dim=(1, 2, 3), keepdim=True))


def color(group: Group) -> Tensor:
    """Blends with the gray image."""
    return group.images if group.images.shape[1] == 1 else group.blended(_gray(group))


def brightness(group: Group) -> Tensor:
    """Blends with black."""
    return group.restored(group.floating() * group.column(1.0 + group.values))


def sharpness(group: Group) -> Tensor:
    """Blends with the smoothed image; the border stays."""
    if min(group.images.shape[2:]) <= 2:
        return group.images
    out = group.floating().clone()
    inside = out[..., 1:-1, 1:-1]
    columns = out[..., :-2] + out[..., 1:-1] + out[..., 2:]
    smooth = columns[..., :-2, :] + columns[..., 1:-1, :] + columns[..., 2:, :]
    smooth.add_(inside, alpha=4.0).div_(13.0)
    if not group.images.is_floating_point():
        smooth.round_()
    inside.addcmul_(smooth.sub_(inside), group.column(1.0 - (1.0 + group.values)))
    return group.restored(out)


def cutout(group: Group) -> Tensor:
    """Paints a gray square around a random pixel, cut off at the border."""
    side = group.values.long().unsqueeze(1)
    masks = []
    for uniform, length in zip(group.place[:2], group.images.shape[2:], strict=True):
        first = (uniform * length).long().unsqueeze(1) - side // 2
        pixel = torch.arange(length)
        masks.append((pixel >= first) & (pixel < first + side))
    square = (masks[0].unsqueeze(2) & masks[1].unsqueeze(1)).unsqueeze(1).to(group.images.device)
    return group.images.masked_fill_(square, GRAY * group.bound)


def sample_pairing(group: Group) -> Tensor:
    """Blends with another image of the batch as it was before augmentation."""
    count = len(group.originals)
    other = (group.rows + 1 + (group.place[2] * (count - 1)).long()) % count
    images = group.floating()
    difference = group.originals[other.to(images.device)].to(images.dtype) - images
    return group.restored(torch.addcmul(images, difference, group.column(group.values)))


def _gray(group: Group) -> Tensor:
    """Luma of each pixel, (n, 1, H, W), floating; in whole numbers for whole-numbered images."""
    images = group.floating()
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(dim=1)
    gray = red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).unsqueeze(1)
    return gray if group.images.is_floating_point() else gray.floor_()


KERNELS: Mapping[str, Callable[[Group], Tensor]] = MappingProxyType(
    {name: partial(geometric, name=name) for name in GEOMETRIC}
    | {
        "AutoContrast": autocontrast,
        "Invert": invert,
        "Equalize": equalize,
        "Solarize": solarize,
        "Posterize": posterize,
        "Contrast": contrast,
        "Color": color,
        "Brightness": brightness,
        "Sharpness": sharpness,
        "Cutout": cutout,
        "SamplePairing": sample_pairing,
    }
)
