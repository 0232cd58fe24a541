"""Writes CIFAR's binary files from folders of images, for data sets that come as pictures.

    python -m ma2ml_env.tasks.cifar_files FOLDER OUT

FOLDER holds `train/<class>/*` and `test/<class>/*`, OUT becomes the folder that the tasks read. Records are written in
the order of a hash of their pixels: the folder does not preserve the original order, and is often sorted by class.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.tasks.cifar import CIFAR10_LAYOUT, CIFAR100_LAYOUT, FileFormat
from ma2ml_env.tasks.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from ma2ml_env.tasks.pictures import picture_form, read_picture

SIDE = 32
LAYOUTS = {CIFAR10_CLASSES: CIFAR10_LAYOUT, CIFAR100_CLASSES: CIFAR100_LAYOUT}


def write_binary_files(folder: str | Path, out: str | Path) -> list[Path]:
    """Writes the binary version of CIFAR-10 or CIFAR-100 from folders of images.

    Args:
        folder: with `train` and `test`, and in each a folder per class, named as the data set names it.
        out: the files go into the data set's own folder below it.

    Returns:
        The files written.

    Raises:
        ValueError: if the classes are those of neither data set, a class has no images, an image is not of 32x32
            pixels, or the images do not make files of equal length.
    """
    source = Path(folder)
    found = tuple(sorted(path.name for path in (source / "train").glob("*") if path.is_dir()))
    classes = next((names for names in LAYOUTS if tuple(sorted(names)) == found), None)
    if classes is None:
        raise MA2MLError(f"{source / 'train'} has the folders {list(found)}; they must be the classes of CIFAR")
    layout, written = LAYOUTS[classes], []
    target = Path(out) / layout.folder
    target.mkdir(parents=True, exist_ok=True)
    for part, names in (("train", layout.train), ("test", layout.test)):
        records = _records(source / part, classes, layout)
        if len(records) % len(names):
            raise MA2MLError(f"{source / part} has {len(records)} images, which do not fill {len(names)} equal files")
        for name, own in zip(names, np.split(records, len(names)), strict=True):
            own.tofile(target / name)
            written.append(target / name)
    return written


def _records(folder: Path, classes: Sequence[str], layout: FileFormat) -> NDArray[np.uint8]:
    """All images of a part as records, in the order of their hashes."""
    records = []
    for label, name in enumerate(classes):
        files = sorted(path for path in (folder / name).glob("*") if path.is_file())
        if not files:
            raise MA2MLError(f"{folder / name} has no images")
        records += [_record(file, label, layout) for file in files]
    together = np.stack(records)
    hashes = [hashlib.sha256(record.tobytes()).digest() for record in together]
    order = sorted(range(len(together)), key=lambda number: hashes[number])
    return together[order]


def _record(file: Path, label: int, layout: FileFormat) -> NDArray[np.uint8]:
    """Bytes of an image; CIFAR-100's coarse label, which nothing here reads, is the fine one again."""
    form = picture_form(file)
    if (form.width, form.height) != (SIDE, SIDE):
        raise MA2MLError(f"{file} has {form.width}x{form.height} pixels, CIFAR's images have {SIDE}x{SIDE}")
    head = np.full(layout.label_bytes, label, dtype=np.uint8)
    return np.concatenate([head, read_picture(file, SIDE, 3).reshape(-1)])


def main(arguments: Iterable[str]) -> None:
    """Writes the files, and prints their names."""
    words = list(arguments)
    if len(words) != 2:
        raise SystemExit(__doc__)
    try:
        print(*write_binary_files(*words), sep="\n")
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main(sys.argv[1:])
