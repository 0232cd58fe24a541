"""Picture files of a folder with one sub-folder per class, and their split into three parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError, MissingDataError
from ma2ml_env.tasks.location import shortened

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2")
PARTS = ("train", "validation", "test")
PART_NAMES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
LARGEST_HELD_OUT = 10_000
"""Number of images that a part which is split off has at most."""
READ_FILES, READ_BYTES = 10_000, 8192
"""Number of files of which some bytes identify the folder, and of the bytes at either end of each."""

Names = NDArray[np.bytes_]
PerClass = tuple[Names, ...]


class Listing(NamedTuple):
    """Picture files of a folder.

    Attributes:
        root: the folder.
        classes: names of the classes, sorted.
        parts: {part: per class, names of its files relative to `root`, sorted}, of the parts that the folder has.
        content: 16 hexadecimal digits that stand for the classes, names and sizes of all files, and the first and last
            8 KiB of 10,000 of them.
    """

    root: Path
    classes: tuple[str, ...]
    parts: Mapping[str, PerClass]
    content: str

    @property
    def total(self) -> int:
        """Number of pictures."""
        return sum(len(names) for part in self.parts.values() for names in part)

    def sample(self, most: int) -> list[Path]:
        """At most `most` of the files, evenly spaced."""
        names = np.concatenate([names for part in self.parts.values() for names in part])
        return [self.root / os.fsdecode(name) for name in names[:: -(-len(names) // most)]]


def list_folder(path: str | Path) -> Listing:
    """Lists the pictures of a folder: a sub-folder per class, or `train`, `val` and `test` of such sub-folders.

    Pictures are files with an ending in `SUFFIXES`, also in folders below that of a class; names that begin with a dot
    are ignored. Instead of `val` it may be `valid` or `validation`; it and `test` may be missing.

    Raises:
        MissingDataError: if there is no such folder, or there are no pictures in it.
        MA2MLError: if it is a file, has pictures without classes, fewer than two classes, or a class that is not in
            `train`.
    """
    root = Path(path)
    folders = _part_folders(root)
    names = {part: _subfolders(root / below) for part, below in folders.items()}
    if not any(names.values()):
        raise _no_classes(root, folders)
    classes = tuple(names["train"])
    for part, own in names.items():
        if strange := sorted(set(own) - set(classes)):
            raise MA2MLError(f"{root}: {folders[part]} has the classes {shortened(strange)}, which train has not")
    digest, parts = hashlib.sha256("\0".join(classes).encode(errors="surrogateescape")), {}
    for part in folders:
        parts[part] = tuple(_files(root, folders[part], name, digest) for name in classes)
        if not any(map(len, parts[part])):
            raise _no_classes(root, {part: folders[part]})
    if len(classes) < 2:
        raise MA2MLError(f"{root} has one class only, {classes[0]!r}; a classifier needs at least two")
    listing = Listing(root, classes, parts, "")
    for file in listing.sample(READ_FILES):
        digest.update(_ends(file))
    return listing._replace(content=digest.hexdigest()[:16])


def split(listing: Listing, validation: float, test: float, seed: int) -> tuple[PerClass, PerClass, PerClass]:
    """Splits the pictures into train, validation and test part, class by class.

    Parts that the folder has stay as they are. A missing one is drawn from `train`: a share of each class, at least one
    image, at most `LARGEST_HELD_OUT` in all; the images whose SHA-256 of "seed:name" is smallest. Those of the train
    part are in the order of that hash.

    Args:
        listing: pictures of a folder.
        validation: share of the images that becomes the validation part.
        test: share of the images that becomes the test part.
        seed: seed of the draw.

    Raises:
        MA2MLError: if a class has fewer images than there are parts to draw from it.
    """
    kept = [_shuffled(names, seed) for names in listing.parts["train"]]
    shares = {"test": test, "validation": validation}
    drawn = {part: share for part, share in shares.items() if part not in listing.parts}
    _require_enough(listing, len(drawn) + 1)
    total = sum(map(len, kept))
    made: dict[str, PerClass] = dict(listing.parts)
    counts = [len(names) for names in kept]
    for needed, (part, share) in zip(range(len(drawn), 0, -1), drawn.items(), strict=True):
        wanted = [max(1, round(min(share, LARGEST_HELD_OUT / total) * count)) for count in counts]
        taken = [min(number, len(names) - needed) for number, names in zip(wanted, kept, strict=True)]
        made[part] = tuple(np.sort(names[:number]) for names, number in zip(kept, taken, strict=True))
        kept = [names[number:] for names, number in zip(kept, taken, strict=True)]
    return tuple(kept), made["validation"], made["test"]


def _part_folders(root: Path) -> dict[str, str]:
    """Returns {part: its folder, relative to the root}; only a train part, the root itself, if there are no parts."""
    if root.is_file():
        raise MA2MLError(f"{root} is a file; give the folder that holds a sub-folder of pictures per class")
    if not root.is_dir():
        raise MissingDataError(f"there is no folder {root}")
    everything = _subfolders(root)
    found = [name for name in everything if name.lower() in PART_NAMES]
    if not found or 1 == len(found) < len(everything):  # a class may be named train
        return {"train": "."}
    if "train" not in map(str.lower, found):
        raise MA2MLError(f"{root} has the folders {', '.join(found)}, but no train; add it, or rename them")
    folders: dict[str, str] = {}
    for name in found:
        part = PART_NAMES[name.lower()]
        if part in folders:
            raise MA2MLError(f"{root} has two folders for the {part} part, {folders[part]} and {name}; remove one")
        folders[part] = name
    return dict(sorted(folders.items(), key=lambda item: PARTS.index(item[0])))


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _files(root: Path, part: str, name: str, digest: hashlib._Hash) -> Names:
    """Names of a class's files relative to the root, sorted; adds them and their sizes to the digest."""
    folder = os.path.normpath(os.path.join(part, name))
    if not (root / folder).is_dir():
        return np.array([], dtype=np.bytes_)
    found = sorted(_pictures(os.fsencode(root / folder), os.fsencode(folder)))
    for file, size in found:
        digest.update(b"%s\0%d\n" % (file, size))
    return np.array([file for file, _ in found], dtype=np.bytes_)


def _ends(file: Path) -> bytes:
    """First and last bytes of a file; none of one that cannot be read, which decoding reports."""
    try:
        with file.open("rb") as opened:
            first = opened.read(READ_BYTES)
            opened.seek(max(len(first), opened.seek(0, os.SEEK_END) - READ_BYTES))
            return first + opened.read(READ_BYTES)
    except OSError:
        return b""


def _pictures(folder: bytes, below: bytes) -> Iterator[tuple[bytes, int]]:
    """Yields name and size of the pictures in a folder and the folders in it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = below + b"/" + entry.name
            if entry.name.startswith(b"."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _pictures(entry.path, name)
            elif os.fsdecode(entry.name).lower().endswith(SUFFIXES) and entry.is_file():
                yield name, entry.stat().st_size


def _no_classes(root: Path, folders: Mapping[str, str]) -> MA2MLError:
    """Error for a folder, or parts of it, in which there is no picture in a class's folder."""
    for below in folders.values():
        if any(_is_picture(path) for path in (root / below).iterdir()):
            return MA2MLError(
                f"{os.path.normpath(root / below)} holds pictures, but no folder per class: "
                f"put the pictures of each class into a folder named after it"
            )
    places = shortened(os.path.normpath(root / below) for below in folders.values())
    return MissingDataError(
        f"there are no pictures in {places}: it must hold a folder per class, with files that end in "
        f"{', '.join(SUFFIXES)}"
    )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _require_enough(listing: Listing, least: int) -> None:
    """Checks that each class has `least` images in the train part of the folder."""
    counts = [len(names) for names in listing.parts["train"]]
    few = [f"{name!r} ({count})" for name, count in zip(listing.classes, counts, strict=True) if count < least]
    if few:
        purposes = {1: "to train on", 2: "to train on and to hold out", 3: "to train on, to validate and to test"}
        raise MA2MLError(
            f"{listing.root}: too few images in {shortened(few)}; a class needs at least {least}, {purposes[least]}: "
            f"add some or remove its folder"
        )


def _shuffled(names: Names, seed: int) -> Names:
    """The names in an order that depends on them and the seed alone, not on a library's version."""
    hashes = [hashlib.sha256(b"%d:%s" % (seed, name)).digest() for name in names]
    return names[sorted(range(len(names)), key=hashes.__getitem__)]


def paths(root: Path, parts: Sequence[PerClass]) -> Sequence[Path]:
    """The files of some parts one after the other, made when they are asked for."""
    return _Paths(root, np.concatenate([names for part in parts for names in part]))


class _Paths(Sequence[Path]):
    """Paths that are kept as an array of bytes.

    Args:
        root: the folder that holds them all.
        names: their names relative to it.
    """

    def __init__(self, root: Path, names: Names) -> None:
        self._root, self._names = root, names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> Path:  # type: ignore[override]
        return self._root / os.fsdecode(self._names[row])
