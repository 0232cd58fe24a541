"""Splits of labeled images, equal or alike in every class, the same in every process."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError

Rows = NDArray[np.int64]


def usual_split(labels: Rows, seed: int, share: float) -> tuple[Rows, Rows]:
    """Rows of the train and of the validation part, in order.

    Args:
        labels: of all images.
        seed: seed of the draw.
        share: of the validation part.

    Source: scikit-learn's stratified split.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    train, validation = train_test_split(rows, test_size=share, stratify=labels, random_state=seed)
    return np.sort(train), np.sort(validation)


def three_parts(labels: Rows, seed: int, train: float, validation: float) -> tuple[Rows, Rows, Rows]:
    """Rows of the train, validation and test part, in order.

    Args:
        labels: of all images.
        seed: seed of the draw.
        train: share of the train part.
        validation: share of the validation part; the rest is the test part.

    Source: scikit-learn's stratified split.
    """
    from sklearn.model_selection import train_test_split

    first, rest = train_test_split(np.arange(len(labels)), train_size=train, stratify=labels, random_state=seed)
    share = validation / (1 - train)
    second, third = train_test_split(rest, train_size=share, stratify=labels[rest], random_state=seed)
    return np.sort(first), np.sort(second), np.sort(third)


def chosen_split(
    pixels: NDArray[np.uint8], labels: Rows, classes: int, seed: int, numbers: tuple[int, int]
) -> tuple[Rows, Rows]:
    """Rows of the train and of the validation part, each in the order of the images' hashes.

    The images of each class are ordered by a hash of their pixels; the first ones are held out, the next ones trained
    on.

    Args:
        pixels: of all images, one a row.
        labels: of all images.
        classes: number of classes.
        seed: in 0..255, part of the hash.
        numbers: images to train on and to hold out, each a multiple of the classes.

    Raises:
        MA2MLError: if there are not so many images.
    """
    kept, held_out = numbers
    if held_out + kept > len(labels):
        raise MA2MLError(f"{kept} train_images and {held_out} validation_images are more than {len(labels)} images")
    hashes = [hashlib.sha256(bytes([seed]) + image.tobytes()).digest() for image in pixels]
    order = np.array(sorted(range(len(labels)), key=lambda row: (hashes[row], labels[row])))
    first, second = held_out // classes, (held_out + kept) // classes
    place = np.zeros(len(labels), dtype=np.int64)
    for label in range(classes):
        own = labels[order] == label
        place[own] = np.arange(own.sum())
    return order[(place >= first) & (place < second)], order[place < first]


def require_multiple(name: str, number: int | None, classes: int) -> None:
    """Checks a number of images of `chosen_split`.

    Raises:
        MA2MLError: if it is not a multiple of the classes.
    """
    if number is not None and (number < classes or number % classes):
        raise MA2MLError(f"{name} must be a multiple of the {classes} classes, not {number}")
