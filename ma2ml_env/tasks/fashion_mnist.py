"""Fashion-MNIST: 70,000 gray images of 28x28 pixels, from its IDX files."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import DamagedFileError
from ma2ml_env.tasks.class_split import chosen_split, require_multiple, usual_split
from ma2ml_env.tasks.download import downloaded_fashion_mnist
from ma2ml_env.tasks.location import data_folder, missing
from ma2ml_env.tasks.task import Images, Splits

SPLIT_SEED, VALIDATION_SHARE = 0, 0.1
SIDE = 28
CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FOLDER = "FashionMNIST/raw"
FILES = {
    part: (f"{name}-images-idx3-ubyte", f"{name}-labels-idx1-ubyte")
    for part, name in (("train", "train"), ("test", "t10k"))
}
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


@dataclass(frozen=True)
class FashionMNIST:
    """The Fashion-MNIST task: of the 60,000 training images a tenth is held out for validation, as much of each class.

    The files are those of its distribution, packed (`.gz`) or not, where torchvision puts them:
    `FashionMNIST/raw/train-images-idx3-ubyte.gz` and so on. Images are chosen as by `CIFAR10`.

    Args:
        root: the folder that holds `FashionMNIST`; None for the environment variable `MA2ML_DATA`, else
            `~/.cache/ma2ml`.
        train_images: to train on, equally many of each class; None for all that are not held out.
        validation_images: to hold out, equally many of each class; None for 6,000.
        download: whether missing files are downloaded, 30 MB.

    Source: Xiao, Rasul and Vollgraf (2017), but for the validation part.
    """

    name: str = "fashion_mnist"
    image_size: int = SIDE
    channels: int = 1
    classes: tuple[str, ...] = CLASSES
    root: str | None = field(default=None, repr=False)
    train_images: int | None = None
    validation_images: int | None = None
    download: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("train_images", "validation_images"):
            require_multiple(name, getattr(self, name), len(CLASSES))

    def load(self) -> Splits:
        """The three parts, the same in every process.

        Raises:
            MissingDataError: if a file is missing, or cannot be downloaded.
            DamagedFileError: if a file does not hold what it should.
        """
        folder = data_folder(self.root)
        if self.download and _absent(folder):
            downloaded_fashion_mnist(folder)
        return _load(folder, self.train_images, self.validation_images)


@cache
def _load(folder: Path, train_images: int | None, validation_images: int | None) -> Splits:
    import torch

    if absent := _absent(folder):
        how = (
            "Put the four files of https://github.com/zalandoresearch/fashion-mnist there, or use --download or the "
            "setting download=True."
        )
        raise missing("Fashion-MNIST", folder, absent, how)
    (pixels, labels), test = (_part(folder, *names) for names in FILES.values())
    if train_images is None and validation_images is None:
        chosen = usual_split(labels, SPLIT_SEED, VALIDATION_SHARE)
    else:
        held_out = round(len(labels) * VALIDATION_SHARE) if validation_images is None else validation_images
        kept = len(labels) - held_out if train_images is None else train_images
        chosen = chosen_split(pixels, labels, len(CLASSES), SPLIT_SEED, (kept, held_out))
    parts = [*((pixels[rows], labels[rows]) for rows in chosen), test]
    return Splits(*(Images(torch.from_numpy(images), torch.from_numpy(targets)) for images, targets in parts))


def _file(folder: Path, name: str) -> Path | None:
    """A file of the data set, packed or not; None if it is not there."""
    found = (folder / FOLDER / ending for ending in (name, f"{name}.gz"))
    return next((file for file in found if file.is_file()), None)


def _absent(folder: Path) -> list[str]:
    """The files that are not there."""
    return [f"{FOLDER}/{name}.gz" for names in FILES.values() for name in names if _file(folder, name) is None]


def _part(folder: Path, images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (N, 1, 28, 28) and labels of one part."""
    pixels = _read(folder, images, IMAGES_MAGIC, (SIDE, SIDE))
    targets = _read(folder, labels, LABELS_MAGIC, ())
    if len(pixels) != len(targets) or targets.max(initial=0) >= len(CLASSES):
        raise DamagedFileError(
            f"{folder / FOLDER}: {images} has {len(pixels):,} images, {labels} has {len(targets):,} labels up to "
            f"{targets.max(initial=0)}; the files are damaged, get them again"
        )
    return pixels.reshape(-1, 1, SIDE, SIDE), targets.astype(np.int64)


def _read(folder: Path, name: str, magic: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array of an IDX file whose first dimension is any number.

    Raises:
        DamagedFileError: if it is no such file.
    """
    file = _file(folder, name) or folder / FOLDER / name
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        head = np.frombuffer(content, ">u4", count=2 + len(shape))
        values = np.frombuffer(content, np.uint8, offset=head.nbytes)
        if (int(head[0]), *head[2:].tolist()) != (magic, *shape):
            raise DamagedFileError(f"its head is {head.tolist()}")
        return values.reshape(int(head[1]), *shape).copy()
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise DamagedFileError(f"{file} is damaged, get it again: {error}") from error
