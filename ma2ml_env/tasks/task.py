"""What a source of images has to offer: shapes before loading, splits after."""

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

    Source: ours.
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """The parts of a data set.

    Attributes:
        train: what a search trains on.
        validation: what a search measures accuracy on.
        test: what no search ever sees.

    Source: ours.
    """

    train: Images
    validation: Images
    test: Images


class Task(Protocol):
    """A source of images.

    Attributes:
        name: for messages and saved models.
        image_size: pixels, images are square.
        channels: 1 or 3.
        classes: names of the classes, in the order of the labels.

    A task may also have an `augmentation`, a key of `ma2ml_env.augment.standard.STANDARD`: what its images are always
    trained with, before any policy; none if it has not.

    Source: ours.
    """

    @property
    def name(self) -> str:
        """For messages and saved models."""

    @property
    def image_size(self) -> int:
        """Pixels; images are square."""

    @property
    def channels(self) -> int:
        """1 or 3."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""

    def load(self) -> Splits:
        """Read the images; the second call in a process is free."""
        ...
