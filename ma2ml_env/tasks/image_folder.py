"""A user's own images: a folder with one sub-folder per class, or `train`, `val` and `test` of such sub-folders."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import DamagedFileError, MA2MLError, require_range
from ma2ml_env.files import write_text
from ma2ml_env.tasks.decoded import decode, make_once, mapped
from ma2ml_env.tasks.folder_listing import PARTS, Listing, list_folder, paths, split
from ma2ml_env.tasks.location import data_folder, shortened
from ma2ml_env.tasks.pictures import LARGEST_SIDE, in_brief, picture_form
from ma2ml_env.tasks.task import Images, Splits

SHARE = 0.2
LARGEST_SHARE = 0.5
SMALLEST_FOUND, LARGEST_FOUND = 8, 64
PROBED = 200
FORMAT = 2


@dataclass(frozen=True)
class ImageFolder:
    """The task of classifying the pictures of a folder, whose sub-folders are the classes.

    Pictures of any form are read as `ma2ml_env.tasks.pictures.read_picture` does, once, and kept as one memory-mapped
    file; a process maps it and reads no picture. What identifies the task are classes, names, sizes and bytes of the
    picture files, not the place of the folder. Pictures that cannot be read are left out, and named in `report`.

    Args:
        path: the folder: a sub-folder of pictures per class, or `train`, `val` (or `valid`, `validation`) and `test` of
            such sub-folders, of which the last two may be missing.
        image_size: rows and columns of the squares to which the pictures are resized and cropped; 0 for the median of
            the shorter sides of about 200 pictures, at least 8 and at most 64.
        channels: 1 or 3; 0 for 1 if none of about 200 pictures has a color.
        validation: share of the images that becomes the validation part where the folder has none, in (0, 0.5]; of
            each class at least one image, and at most 10,000 in all.
        test: the same of the test part.
        seed: seed of that split.
        train_images: about so many of the training images are used in a search, the same share of each class; 0 for
            all. The final training uses all.
        content: stands for the files, for a task that is made again; empty to find it.
        classes: names of the classes, for a task that is made again; empty to find them.
        name: for messages and saved models; empty for the folder's.
        strict: whether pictures that cannot be read are refused rather than left out.
        cache: folder of the decoded images; None for `decoded` in the folder that the environment variable
            `MA2ML_DATA` names, else in `~/.cache/ma2ml`.

    Raises:
        MissingDataError: if there is no such folder, or there are no pictures in it.
        MA2MLError: if the folder is of another form, or a number out of range.
    """

    path: str = field(repr=False)
    image_size: int = 0
    channels: int = 0
    validation: float = SHARE
    test: float = SHARE
    seed: int = 0
    train_images: int = 0
    content: str = ""
    classes: tuple[str, ...] = field(default=(), repr=False)
    name: str = field(default="", repr=False)
    augmentation: str = "none"
    strict: bool = field(default=False, repr=False)
    cache: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if not 0 < getattr(self, name) <= LARGEST_SHARE:
                raise MA2MLError(f"{name} is a share in (0, {LARGEST_SHARE}], not {getattr(self, name)}")
        require_range("image_size", self.image_size, 0, LARGEST_SIDE)
        require_range("train_images", self.train_images, 0, 10**9)
        if self.channels not in (0, 1, 3):
            raise MA2MLError(f"channels are 1 or 3, or 0 to find them, not {self.channels}")
        place = Path(self.path).expanduser().absolute()
        self._set(path=str(place), name=self.name or place.name)
        if not (self.image_size and self.channels and self.content and self.classes):
            self._set(**_found(self))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def load(self) -> Splits:
        """The three parts, the same in every process; the first call ever decodes the images.

        Raises:
            MA2MLError: if the files have changed since the task was made, or too few pictures can be read.
        """
        splits, report = _load(self)
        if self.strict and report.unreadable:
            raise DamagedFileError(f"{report.left_out}; repair or remove them, or leave out strict")
        return splits

    @property
    def report(self) -> FolderReport:
        """Numbers of images, and what is wrong with some; decodes the images if they are not yet."""
        return _load(self)[1]

    def check_unchanged(self) -> None:
        """Checks that the folder holds the files that it held when the task was made.

        Raises:
            MA2MLError: if it does not.
        """
        self._require_same(list_folder(self.path))

    def _require_same(self, listing: Listing) -> None:
        if (listing.content, listing.classes) != (self.content, self.classes):
            raise MA2MLError(
                f"the pictures in {self.path} have changed: there are {listing.total:,} now, of other names, sizes or "
                f"content than those that this task was made of; restore them"
            )


@dataclass(frozen=True)
class FolderReport:
    """Images of a folder, as they are after decoding.

    Attributes:
        counts: per part (train, validation, test) the number of images of each class.
        unreadable: a message for each picture that is left out.
        duplicates: number of training images whose pixels are also those of a validation or test image.
        tested: number of validation images whose pixels are also those of a test image.
        drawn: names of the parts that were drawn from the folder's images, since it has none.
    """

    counts: tuple[tuple[int, ...], ...]
    unreadable: tuple[str, ...]
    duplicates: int
    tested: int
    drawn: tuple[str, ...]

    @property
    def left_out(self) -> str:
        """Sentence about the pictures that cannot be read."""
        one = len(self.unreadable) == 1
        return f"{len(self.unreadable):,} picture{'s' * (not one)} cannot be read: {shortened(self.unreadable)}"


@dataclass(frozen=True)
class SearchedInPart(Splits):
    """Splits of which a search trains on some images only.

    Attributes:
        everything: images of the final training.
    """

    everything: Images

    @property
    def train_and_validation(self) -> Images:
        """All images to train on, those that no search trains on among them."""
        return self.everything

    @property
    def final_images(self) -> int:
        """Number of images of the final training, those that no search trains on among them."""
        return len(self.everything)


def _found(task: ImageFolder) -> dict[str, Any]:
    """Form, classes and content of a task that does not state all of them."""
    listing = list_folder(task.path)
    if (task.content and task.content != listing.content) or (task.classes and task.classes != listing.classes):
        task._require_same(listing)
    forms, reasons = [], []
    for file in listing.sample(PROBED) if not (task.image_size and task.channels) else ():
        try:
            forms.append(picture_form(file))
        except DamagedFileError as error:
            reasons.append(in_brief(error))
    if reasons and not forms:
        raise DamagedFileError(f"none of {len(reasons)} pictures of {task.path} can be read: {shortened(reasons)}")
    sides = [min(form.width, form.height) for form in forms] or [task.image_size]
    size = min(LARGEST_FOUND, max(SMALLEST_FOUND, int(np.median(sides))))
    channels = 1 if all(form.gray for form in forms) else 3
    return {
        "image_size": task.image_size or size,
        "channels": task.channels or channels,
        "content": listing.content,
        "classes": listing.classes,
    }


@cache
def _load(task: ImageFolder) -> tuple[Splits, FolderReport]:
    folder = Path(task.cache).expanduser() if task.cache else data_folder(None, "decoded")
    shares = hashlib.sha256(repr((FORMAT, task.validation, task.test, task.seed)).encode()).hexdigest()[:8]
    target = folder / f"{task.content}-{shares}-{task.image_size}px-{task.channels}.npy"
    make_once(target, lambda: _decode(task, target))
    pixels = mapped(target)
    try:
        index = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
        counts = tuple(tuple(map(int, part)) for part in index["counts"])
        numbers = int(index["duplicates"]), int(index["tested"])
        report = FolderReport(counts, tuple(index["unreadable"]), *numbers, tuple(index["drawn"]))
        return _splits(pixels, counts, task.train_images), report
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{target.with_suffix('.json')} is damaged, remove it and {target}: {error}") from error


def _splits(pixels: NDArray[np.uint8], counts: tuple[tuple[int, ...], ...], train_images: int) -> Splits:
    """The parts of an array in which they follow one another, each class by class."""
    import torch

    labels = [torch.from_numpy(np.repeat(np.arange(len(part)), part)) for part in counts]
    images, parts, start = torch.from_numpy(pixels), list[Images](), 0
    for own in labels:
        parts.append(Images(images[start : start + len(own)], own))
        start += len(own)
    splits = Splits(*parts)
    if not 0 < train_images < len(parts[0]):
        return splits
    share = train_images / len(parts[0])
    starts = np.cumsum((0, *counts[0][:-1]))
    rows = [
        np.arange(first, first + max(1, round(share * count))) for first, count in zip(starts, counts[0], strict=True)
    ]
    some = torch.from_numpy(np.concatenate(rows))
    train = Images(parts[0].pixels[some], parts[0].labels[some])
    return SearchedInPart(train, parts[1], parts[2], splits.train_and_validation)


def _decode(task: ImageFolder, target: Path) -> None:
    """Writes the array of all images, and its index."""
    listing = list_folder(task.path)
    task._require_same(listing)
    parts = split(listing, task.validation, task.test, task.seed)
    counts = np.array([[len(names) for names in part] for part in parts])

    def finish(array: NDArray[np.uint8], unreadable: dict[int, str], digests: NDArray[np.uint64]) -> None:
        owner = np.repeat(np.arange(counts.size), counts.ravel())
        bad = np.array(sorted(unreadable), dtype=np.int64)
        left = counts - np.bincount(owner[bad], minlength=counts.size).reshape(counts.shape)
        _require_left(task, left, unreadable)
        rows = np.delete(np.arange(len(array)), bad)
        for new in range(bad[0] if len(bad) else len(rows), len(rows)):
            array[new] = array[rows[new]]
        part = owner[rows] // counts.shape[1]
        train, validation, test = (digests[rows][part == number] for number in range(len(PARTS)))
        index = {
            "counts": left.tolist(),
            "unreadable": [unreadable[row] for row in sorted(unreadable)],
            "duplicates": int(np.isin(train, np.concatenate([validation, test])).sum()),
            "tested": int(np.isin(validation, test).sum()),
            "drawn": [name for name in PARTS if name not in listing.parts],
        }
        write_text(target.with_suffix(".json"), json.dumps(index) + "\n")

    decode(paths(listing.root, parts), target, task.channels, task.image_size, finish)


def _require_left(task: ImageFolder, left: NDArray[np.int64], unreadable: dict[int, str]) -> None:
    """Checks that what can be read suffices: images of each class to train on, and some in the other parts."""
    empty = [name for name, count in zip(task.classes, left[0], strict=True) if not count]
    lacking = [f"class {name!r} to train on" for name in empty]
    lacking += [f"the {part} part" for part, counts in zip(PARTS, left, strict=True) if not counts.sum()]
    if lacking:
        few = shortened(sorted(unreadable.values()))
        raise DamagedFileError(f"no picture can be read of {shortened(lacking)}: {few}; repair or remove them")
