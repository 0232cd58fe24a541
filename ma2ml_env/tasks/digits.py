"""Scikit-learn's digits: 1,797 gray images of 8x8 pixels, shipped with the library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ma2ml_env.tasks.class_split import three_parts
from ma2ml_env.tasks.task import Images, Splits

SPLIT_SEED = 0
TRAIN_SHARE, VALIDATION_SHARE = 0.6, 0.2


@dataclass(frozen=True)
class Digits:
    """The digits task: a fixed stratified split into 60 % train, 20 % validation, 20 % test.

    Source: scikit-learn's `load_digits` (UCI optical recognition of handwritten digits), but for the split.
    """

    name: str = "digits"
    image_size: int = 8
    channels: int = 1
    classes: tuple[str, ...] = tuple("0123456789")

    def load(self) -> Splits:
        """The three parts, the same in every process."""
        return _load()


@cache
def _load() -> Splits:
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(np.rint(images * (255 / 16)).astype(np.uint8)).reshape(-1, 1, 8, 8)
    targets = torch.from_numpy(labels.astype(np.int64))
    rows = three_parts(labels, SPLIT_SEED, TRAIN_SHARE, VALIDATION_SHARE)
    return Splits(*(Images(pixels[part], targets[part]) for part in rows))
