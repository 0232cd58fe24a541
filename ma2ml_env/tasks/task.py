"""Interface of a source of images: shapes before loading, splits after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Labeled images in memory.

    Attributes:
        pixels: uint8, (N, channels, height, width).
        labels: int64 class indices, (N,).
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def share_of(images: Images, share: float) -> Images:
    """Returns a share of the images of each class, evenly spaced, at least one; all of them for a share of 1.

    Args:
        images: labels of which lie in the host's memory.
        share: in (0, 1].
    """
    if share == 1:
        return images
    import torch

    counts = torch.bincount(images.labels).tolist()
    of_classes = torch.split(torch.argsort(images.labels, stable=True), counts)
    wanted = [max(1, round(share * count)) if count else 0 for count in counts]
    chosen = [own[torch.arange(few) * len(own) // max(1, few)] for own, few in zip(of_classes, wanted, strict=True)]
    rows = torch.cat(chosen).sort().values
    return Images(images.pixels[rows], images.labels[rows])


@dataclass(frozen=True)
class Splits:
    """The parts of a data set.

    Attributes:
        train: images that a search trains on.
        validation: images that a search measures accuracy on.
        test: images that no search ever sees.
    """

    train: Images
    validation: Images
    test: Images

    @property
    def train_and_validation(self) -> Images:
        """Both, in this order; not copied where they lie so in memory, as those of one memory-mapped file do."""
        import torch

        labels = torch.cat([self.train.labels, self.validation.labels])
        return Images(_joined(self.train.pixels, self.validation.pixels), labels)

    @property
    def final_images(self) -> int:
        """Number of images of the final training: those of `train_and_validation`."""
        return len(self.train) + len(self.validation)


class HasImageForm(Protocol):
    """Any object that states the form of images and of the answers to them, such as a task.

    Attributes:
        name: for messages and saved models.
        image_size: pixels, images are square.
        channels: 1 or 3.
        classes: names of the classes, in the order of the labels.
    """

    @property
    def name(self) -> str:
        """Name, for messages and saved models."""

    @property
    def image_size(self) -> int:
        """Rows and columns in pixels; images are square."""

    @property
    def channels(self) -> int:
        """Number of channels, 1 or 3."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""


class Task(HasImageForm, Protocol):
    """A source of images.

    A task may also have an `augmentation`, a key of `ma2ml_env.augment.standard.STANDARD`: the augmentation
    that its images are always trained with, before any policy; none if it has not.
    """

    def load(self) -> Splits:
        """Reads the images; the second call in a process is free."""
        ...


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """Two arrays one after the other: a view of both where the second begins in memory where the first ends."""
    import torch

    alike = first.shape[1:] == second.shape[1:] and first.dtype == second.dtype
    same_memory = first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()
    follows = second.storage_offset() == first.storage_offset() + first.numel()
    if alike and same_memory and follows and first.is_contiguous() and second.is_contiguous():
        shape = (len(first) + len(second), *first.shape[1:])
        return first.as_strided(shape, first.stride(), first.storage_offset())
    return torch.cat([first, second])
