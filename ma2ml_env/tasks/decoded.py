"""Image files as one memory-mapped array, made once and shared by all processes."""

from __future__ import annotations

import hashlib
import itertools
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.tasks.location import shortened
from ma2ml_env.tasks.pictures import in_brief, read_picture

CHUNK, SIZED, CHANNELS = 4096, 1000, 3
WATCHED, PLAIN_LINES = 500, 10
"""Number of images from which decoding them shows its progress, and of lines away from a terminal."""


def decoded(files: Sequence[Path], root: Path, folder: Path, image_size: int) -> NDArray[np.uint8]:
    """The images of some files as an array on the disk; decoded at the first call, mapped into memory at the others.

    The name of the array's file derives from the names of the images and the sizes of some of them, so that other
    images are another file.

    Args:
        files: paths of images, in the order of the array.
        root: the folder that holds them all.
        folder: folder that keeps the array; it is made if it is not there.
        image_size: rows and columns of the squares to which images are resized and cropped.

    Returns:
        Shape (files, 3, image_size, image_size); writing to it changes neither the file nor other processes' images.

    Raises:
        ValueError: if an image cannot be read, then nothing is kept; or if the folder cannot be written
            to or has not the room.
    """
    target = folder / f"{_fingerprint(files, root)}-{image_size}px.npy"

    def make() -> None:
        def require_all(array: NDArray[np.uint8], unreadable: dict[int, str], digests: NDArray[np.uint64]) -> None:
            if unreadable:
                few = shortened(sorted(unreadable.values()))
                raise DamagedFileError(f"{len(unreadable)} images cannot be read: {few}; get them again")

        decode(files, target, CHANNELS, image_size, require_all)

    make_once(target, make)
    return mapped(target)


def make_once(target: Path, make: Callable[[], None]) -> None:
    """Calls a function that makes a file, unless the file is there; one process at a time.

    Raises:
        MA2MLError: if the file's folder cannot be written to or has not the room.
    """
    if target.exists():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.exists():
                make()
    except OSError as error:
        raise MA2MLError(
            f"cannot keep decoded images in {target.parent} ({error}); name another folder by the setting cache"
        ) from error


def mapped(target: Path) -> NDArray[np.uint8]:
    """An array on the disk; writing to it changes neither the file nor other processes' arrays.

    Raises:
        DamagedFileError: if it cannot be read.
    """
    try:
        array: NDArray[np.uint8] = np.load(target, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{target} is damaged, remove it: {error}") from error
    return array


def decode(
    files: Sequence[Path],
    target: Path,
    channels: int,
    image_size: int,
    check: Callable[[NDArray[np.uint8], dict[int, str], NDArray[np.uint64]], None],
) -> None:
    """Writes an array of images under a temporary name, and renames it once it is complete.

    Args:
        files: paths of images, in the order of the array.
        target: file of the array, of shape (files, channels, image_size, image_size).
        channels: 1 or 3.
        image_size: rows and columns.
        check: called before the renaming with the array, which it may change, {row: reason} of the images that cannot
            be read, and a hash of each image's pixels; if it raises, nothing is kept.

    Raises:
        OSError: if there is no room.
    """
    shape = (len(files), channels, image_size, image_size)
    partial, free = target.with_suffix(".partial"), shutil.disk_usage(target.parent).free
    if free < math.prod(shape):  # a full disk would kill the process that writes to the mapped file
        raise OSError(f"{math.prod(shape) / 1e9:,.1f} GB are needed, {free / 1e9:,.1f} GB are free")
    array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
    digests = np.zeros(len(files), dtype=np.uint64)
    unreadable: dict[int, str] = {}

    def read(row: int) -> None:
        try:
            array[row] = read_picture(files[row], image_size, channels)
        except DamagedFileError as error:
            unreadable[row] = in_brief(error)
        digests[row] = int.from_bytes(hashlib.blake2b(array[row].tobytes(), digest_size=8).digest())

    try:
        with ThreadPoolExecutor() as pool, _progress(len(files)) as advance:
            for start in range(0, len(files), CHUNK):
                for _ in pool.map(read, range(start, min(start + CHUNK, len(files)))):
                    advance()
        check(array, unreadable, digests)
        array.flush()
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(target)


@contextmanager
def _progress(images: int) -> Iterator[Callable[[], None]]:
    """Yields a function to be called after each image; of many images a bar or lines are shown on standard error."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_progress(images)
        return
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=images < WATCHED) as progress:
        bar = progress.add_task("decoding the images", total=images)
        yield lambda: progress.advance(bar)


def _plain_progress(images: int) -> Callable[[], None]:
    """Returns a function to be called after each image, which prints about ten lines on standard error if many."""
    done, step = itertools.count(1), max(WATCHED, -(-images // PLAIN_LINES))

    def advance() -> None:
        number = next(done)
        if images >= WATCHED and (number % step == 0 or number == images):
            print(f"decoding the images: {number:,} of {images:,}", file=sys.stderr, flush=True)

    return advance


def _fingerprint(files: Sequence[Path], root: Path) -> str:
    """16 hexadecimal digits that stand for the names of the files and the sizes of about a thousand of them."""
    names = [file.relative_to(root).as_posix() for file in files]
    sizes = [str(file.stat().st_size) for file in files[:: max(1, len(files) // SIZED)]]
    return hashlib.sha256("\n".join([*names, *sizes]).encode()).hexdigest()[:16]
