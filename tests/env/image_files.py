"""Small data sets in the formats of the large ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ma2ml_env.tasks import cifar
from ma2ml_env.tasks.imagenet import ImageNet

CIFAR = {10: cifar.CIFAR10_LAYOUT, 100: cifar.CIFAR100_LAYOUT}


def write_cifar(root: Path, classes: int, train: int, test: int) -> dict[str, np.ndarray]:
    """The binary files of so many images; gives {file: its records}, each class equally often in the train part."""
    layout, rng, written = CIFAR[classes], np.random.default_rng(0), {}
    (root / layout.folder).mkdir(parents=True)
    fine = np.arange(train) % classes
    for names, labels in ((layout.train, fine), (layout.test, np.arange(test) % classes)):
        for name, part in zip(names, np.split(labels, len(names)), strict=True):
            records = rng.integers(0, 256, (len(part), layout.label_bytes + 3072), dtype=np.uint8)
            if layout.label_bytes == 2:
                records[:, 0] = 255  # the coarse label, which nothing may read
            records[:, layout.label_bytes - 1] = part
            records.tofile(root / layout.folder / name)
            written[name] = records
    return written


def write_imagenet(root: Path, task: ImageNet, train: int = 3, test: int = 1) -> None:
    """Folders of small JPEG files, each class of a color of its own."""
    for number, name in enumerate(task.classes):
        for part, count in (("train", train), ("val", test)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for image in range(count):
                color = (number * 7 % 256, number * 31 % 256, 40 * image)
                Image.new("RGB", (20 + image, 16), color).save(folder / f"{name}_{image}.JPEG")
