"""CIFAR-10 and CIFAR-100: 60,000 colored images of 32x32 pixels, from the files of their binary version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.tasks.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from ma2ml_env.tasks.class_split import chosen_split, require_multiple, usual_split
from ma2ml_env.tasks.download import downloaded_archive
from ma2ml_env.tasks.location import data_folder, missing
from ma2ml_env.tasks.task import Images, Splits

PAGE = "https://www.cs.toronto.edu/~kriz"
SPLIT_SEED = 0
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
VALIDATION_SHARE = 0.1
PIXELS = 3 * 32 * 32


class FileFormat(NamedTuple):
    """File layout of a data set: records of a label, the last of `label_bytes` bytes, and 3 x 32 x 32 pixels.

    Source: the data sets' page, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    title: str
    folder: str
    archive: str
    md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int
    classes: int


CIFAR10_LAYOUT = FileFormat(
    title="CIFAR-10",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    label_bytes=1,
    classes=10,
)
CIFAR100_LAYOUT = FileFormat(
    title="CIFAR-100",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    train=("train.bin",),
    test=("test.bin",),
    label_bytes=2,
    classes=100,
)


@dataclass(frozen=True)
class CIFAR10:
    """The CIFAR-10 task: of the 50,000 training images 5,000 are held out for validation, 500 of each class.

    The files are those of the binary version, `cifar-10-batches-bin/*.bin`: the Python version is made of pickles,
    which run code when they are opened.

    With `train_images` or `validation_images` the images of each class are ordered by a hash of their pixels, and the
    first ones are held out, the next ones trained on: the same images whatever the order of the files, and those of a
    smaller number are among those of a larger one. Files with other pixels, as those made of JPEG copies, give
    another random selection.

    Args:
        image_size: rows and columns; other than 32, images are resized by averaging over boxes.
        train_images: to train on, equally many of each class; None for all that are not held out.
        validation_images: to hold out, equally many of each class; None for 5,000.
        root: the folder that holds `cifar-10-batches-bin`; None for the environment variable `MA2ML_DATA`, else
            `~/.cache/ma2ml`.
        download: whether missing files are downloaded, 160 MB, and checked by their MD5.

    Source: Krizhevsky (2009); 5,000 validation images as in NASNet and AutoAugment, but not which ones.
    """

    name: str = "cifar10"
    image_size: int = 32
    channels: int = 3
    classes: tuple[str, ...] = CIFAR10_CLASSES
    augmentation: str = "pad_crop_flip"
    root: str | None = field(default=None, repr=False)
    train_images: int | None = None
    validation_images: int | None = None
    download: bool = field(default=False, repr=False)
    layout: ClassVar[FileFormat] = CIFAR10_LAYOUT

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise MA2MLError(f"image_size must be at least 1, not {self.image_size}")
        for name in ("train_images", "validation_images"):
            require_multiple(name, getattr(self, name), self.layout.classes)

    def load(self) -> Splits:
        """The three parts, the same in every process.

        Raises:
            ValueError: if a file is missing or is not as long as it must be, a label is out of range, or there are
                fewer images than asked for.
        """
        folder = data_folder(self.root)
        if self.download and _absent(folder, self.layout):
            downloaded_archive(f"{PAGE}/{self.layout.archive}", folder, self.layout.md5)
        return _load(folder, self.layout, self.image_size, self.train_images, self.validation_images)


@dataclass(frozen=True)
class CIFAR100(CIFAR10):
    """The CIFAR-100 task, with the 100 fine labels: 50 validation images of each class.

    Args:
        root: the folder that holds `cifar-100-binary`; None as for CIFAR-10.

    Source: Krizhevsky (2009), but for the validation part.
    """

    name: str = "cifar100"
    classes: tuple[str, ...] = CIFAR100_CLASSES
    layout: ClassVar[FileFormat] = CIFAR100_LAYOUT


@cache
def _load(
    folder: Path, layout: FileFormat, image_size: int, train_images: int | None, validation_images: int | None
) -> Splits:
    _require_files(folder, layout)
    pixels, labels = _read([folder / layout.folder / name for name in layout.train], TRAIN_IMAGES, layout)
    test = _read([folder / layout.folder / name for name in layout.test], TEST_IMAGES, layout)
    if train_images is None and validation_images is None:
        chosen = usual_split(labels, SPLIT_SEED, VALIDATION_SHARE)
    else:
        held_out = round(len(labels) * VALIDATION_SHARE) if validation_images is None else validation_images
        kept = len(labels) - held_out if train_images is None else train_images
        chosen = chosen_split(pixels, labels, layout.classes, SPLIT_SEED, (kept, held_out))
    parts = [(pixels[rows], labels[rows]) for rows in chosen]
    return Splits(*(_images(_resized(images, image_size), labels) for images, labels in (*parts, test)))


def _resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images (N, 3, H, W) as (N, 3, size, size), each pixel the mean of the box that it covers."""
    if pixels.shape[-1] == size:
        return pixels
    from PIL import Image

    images = [
        Image.fromarray(image).resize((size, size), Image.Resampling.BOX) for image in pixels.transpose(0, 2, 3, 1)
    ]
    return np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2)


def _absent(folder: Path, layout: FileFormat) -> list[str]:
    """The files that are not there."""
    names = [f"{layout.folder}/{name}" for name in (*layout.train, *layout.test)]
    return [name for name in names if not (folder / name).is_file()]


def _require_files(folder: Path, layout: FileFormat) -> None:
    absent = _absent(folder, layout)
    if absent:
        how = (
            f"Unpack {layout.archive} (the binary version, not the Python one) there, from {PAGE}/cifar.html, "
            f"or use --download or the setting download=True."
        )
        raise missing(layout.title, folder, absent, how)


def _read(files: Sequence[Path], images: int, layout: FileFormat) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The pixels, (N, 3, 32, 32), and labels of some files, which hold `images` records in all."""
    record = layout.label_bytes + PIXELS
    expected = images // len(files) * record
    for file in files:
        if file.stat().st_size != expected:
            raise DamagedFileError(
                f"{file} has {file.stat().st_size:,} bytes, it must have {expected:,}: "
                f"the file is damaged, unpack {layout.archive} again"
            )
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, record) for file in files])
    labels = records[:, layout.label_bytes - 1].astype(np.int64)
    if labels.max() >= layout.classes:
        raise DamagedFileError(
            f"{files[0].parent}: a label is {labels.max()}, {layout.title} has 0 to {layout.classes - 1}; "
            f"the files are damaged, unpack {layout.archive} again"
        )
    return records[:, layout.label_bytes :].reshape(-1, 3, 32, 32), labels


def _images(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> Images:
    import torch

    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels))
