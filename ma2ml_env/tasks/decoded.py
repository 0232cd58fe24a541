"""Image files as one memory-mapped array, made once and shared by all processes."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.tasks.location import shortened
from ma2ml_env.tasks.pictures import read_picture

CHUNK, SIZED, CHANNELS = 4096, 1000, 3


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
    shape = (len(files), CHANNELS, image_size, image_size)
    if not target.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_suffix(".lock")):
                if not target.exists():
                    _decode_all(files, target, shape)
        except OSError as error:
            raise MA2MLError(
                f"cannot keep decoded images in {folder} ({error}); name another folder by the setting cache"
            ) from error
    try:
        array: NDArray[np.uint8] = np.load(target, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{target} is damaged, remove it: {error}") from error
    return array


def _fingerprint(files: Sequence[Path], root: Path) -> str:
    """16 hexadecimal digits that stand for the names of the files and the sizes of about a thousand of them."""
    names = [file.relative_to(root).as_posix() for file in files]
    sizes = [str(file.stat().st_size) for file in files[:: max(1, len(files) // SIZED)]]
    return hashlib.sha256("\n".join([*names, *sizes]).encode()).hexdigest()[:16]


def _decode_all(files: Sequence[Path], target: Path, shape: tuple[int, ...]) -> None:
    """Writes the array under a temporary name, and renames it once it is complete."""
    partial, free = target.with_suffix(".partial"), shutil.disk_usage(target.parent).free
    if free < math.prod(shape):  # a full disk would kill the process that writes to the mapped file
        raise OSError(f"{math.prod(shape) / 1e9:,.1f} GB are needed, {free / 1e9:,.1f} GB are free")
    array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
    unreadable: list[str] = []

    def decode(row: int) -> None:
        try:
            array[row] = read_picture(files[row], shape[-1], CHANNELS)
        except DamagedFileError as error:
            unreadable.append(str(error))

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), CHUNK):
            list(pool.map(decode, range(start, min(start + CHUNK, len(files)))))
    array.flush()
    if unreadable:
        partial.unlink()
        raise DamagedFileError(
            f"{len(unreadable)} images cannot be read: {shortened(sorted(unreadable))}; get them again"
        )
    partial.replace(target)
