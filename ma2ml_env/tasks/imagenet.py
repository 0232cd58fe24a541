"""ImageNet, or a fixed subset of its classes, from a folder of images for each class."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from ma2ml_env.errors import MA2MLError, require_range
from ma2ml_env.tasks.decoded import decoded
from ma2ml_env.tasks.location import data_folder, missing, shortened
from ma2ml_env.tasks.task import Images, Splits

ALL_CLASSES = 1000
LARGEST_IMAGE = 4096
SUBSET_SEED, SPLIT_SEED = 0, 0
VALIDATION_SHARE = 0.04
SUFFIXES = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class ImageNet:
    """The ImageNet task, or its proxy of fewer classes.

    Files are `<root>/train/<class>/*.JPEG` and `<root>/val/<class>/*.JPEG`, with classes such as `n01440764`. Of the
    training images of each class 4 % are held out for validation; the official validation images are the test part.
    Images are decoded once: resized and cropped in the middle to squares, and kept as one memory-mapped file.

    A subset has the classes whose SHA-256 of "seed:class" is smallest, with seed 0: always the same ones, and those
    of 100 classes are among those of 200.

    Args:
        image_size: rows and columns of the images that are kept; a network of another resolution resizes its batches.
        num_classes: 2 to 1000; 200 is the proxy ImageNet-200.
        root: the folder that holds `train` and `val`; None for `imagenet` in the folder that the environment
            variable `MA2ML_DATA` names, else in `~/.cache/ma2ml`.
        cache: the folder of the decoded images, of num_images x 3 x image_size^2 bytes; None for `decoded` in `root`.

    Raises:
        ValueError: for a number of classes or an image size out of range.

    Source: Deng et al. (2009), Russakovsky et al. (2015), but for the split. MA2ML searches on 200 classes but does not
    publish which ones, so the subset is not MA2ML's.
    """

    name: str = "imagenet"
    image_size: int = 256
    channels: int = 3
    num_classes: int = ALL_CLASSES
    augmentation: str = "resized_crop_flip"
    root: str | None = field(default=None, repr=False)
    cache: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_range("num_classes", self.num_classes, 2, ALL_CLASSES)
        require_range("image_size", self.image_size, 1, LARGEST_IMAGE)

    @property
    def classes(self) -> tuple[str, ...]:
        """The WordNet ids of the classes, sorted: the names of their folders."""
        return class_names(self.num_classes)

    def load(self) -> Splits:
        """The three parts, the same in every process; the first call ever decodes the images.

        Raises:
            ValueError: if a folder is missing or empty, or an image cannot be read.
        """
        folder = data_folder(self.root, "imagenet")
        kept = Path(self.cache).expanduser() if self.cache else folder / "decoded"
        return _load(folder, kept, self.image_size, self.classes)


@cache
def class_names(count: int) -> tuple[str, ...]:
    """The WordNet ids of a fixed subset of ImageNet's classes, sorted.

    Args:
        count: number of classes, in 1..1000.

    Source: timm, for the ids, but not for the subset.
    """
    from timm.data import ImageNetInfo

    names: list[str] = ImageNetInfo("imagenet-1k").label_names()  # type: ignore[no-untyped-call]
    return tuple(sorted(_shuffled(names, SUBSET_SEED)[:count]))


@cache
def _load(folder: Path, kept: Path, image_size: int, classes: tuple[str, ...]) -> Splits:
    import torch

    parts = _listed(folder, classes)
    files = [folder / name for part in parts for names in part for name in names]
    pixels = torch.from_numpy(decoded(files, folder, kept, image_size))
    splits, start = [], 0
    for part in parts:
        labels = torch.from_numpy(np.repeat(np.arange(len(classes)), [len(names) for names in part]))
        splits.append(Images(pixels[start : start + len(labels)], labels))
        start += len(labels)
    return Splits(*splits)


def _is_image(path: Path) -> bool:
    """True for a file with an image's ending; macOS leaves others of hidden names, such as `._a.JPEG`."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _listed(folder: Path, classes: tuple[str, ...]) -> list[list[list[str]]]:
    """The files of every class, relative to `folder`: of train, of validation and of test."""
    wanted = [f"{part}/{name}" for part in ("train", "val") for name in classes]
    absent = [name for name in wanted if not (folder / name).is_dir()]
    if absent:
        how = (
            "Put each class's images into a folder of its own, as torchvision's ImageFolder has them: "
            "train/<class>/*.JPEG and val/<class>/*.JPEG, from https://image-net.org/download.php (ILSVRC 2012)."
        )
        raise missing(f"ImageNet with {len(classes)} classes", folder, absent, how)
    found = {name: [f"{name}/{p.name}" for p in (folder / name).iterdir() if _is_image(p)] for name in wanted}
    few = [name for name, files in found.items() if len(files) < (2 if name.startswith("train") else 1)]
    if few:
        raise MA2MLError(
            f"{folder}: too few images in {shortened(few)}; a class needs at least 2 for training, 1 in val, "
            f"as files that end in {', '.join(SUFFIXES)}"
        )
    train = [_shuffled(found[f"train/{name}"], SPLIT_SEED) for name in classes]
    held_out = [max(1, round(VALIDATION_SHARE * len(names))) for names in train]
    return [
        [sorted(names[count:]) for names, count in zip(train, held_out, strict=True)],
        [sorted(names[:count]) for names, count in zip(train, held_out, strict=True)],
        [sorted(found[f"val/{name}"]) for name in classes],
    ]


def _shuffled(names: list[str], seed: int) -> list[str]:
    """The names in an order that depends on them and the seed alone, not on a library's version."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
