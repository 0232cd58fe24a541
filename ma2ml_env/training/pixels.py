"""Pictures of any kind as batches of the pixels that a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ma2ml_env.errors import MA2MLError
from ma2ml_env.tasks.pictures import read_picture
from ma2ml_env.training.image_form import ImageForm

Picture = str | Path | Image.Image | NDArray[np.uint8] | Tensor
Pictures = Picture | Iterable[Picture]
LARGEST_BATCH, BATCH_NUMBERS = 256, 2**23
"""Most images of a batch, and most numbers in its pixels."""
ARRAY_CHANNELS = (1, 3, 4)


def pixel_batches(pictures: Pictures, form: ImageForm) -> Iterator[Tensor]:
    """Yields pictures as batches of pixels; an iterable is read as far as it is used.

    Files, pictures of Pillow and arrays of another size are resized and cropped by `read_picture`; arrays of the
    model's own size are used as they are. Tensors are of the model's own size.

    Args:
        pictures: one picture or several. A picture is a file, a picture of Pillow, an uint8 array (H, W), (H, W, C) or
            (C, H, W), or an uint8 tensor (C, H, W). Several are an iterable of these, or an array or tensor with one
            more dimension in front.
        form: form of the model's images.

    Yields:
        uint8, (n, channels, image_size, image_size).

    Raises:
        MA2MLError: for a picture of another kind, type or shape, or a damaged file; it names the picture.
    """
    size = batch_size(form)
    if isinstance(pictures, Tensor):
        yield from torch.split(require_pixels(pictures[None] if pictures.ndim == 3 else pictures, form), size)
        return
    squares = _squares(pictures, form)
    while batch := list(islice(squares, size)):
        yield torch.from_numpy(np.stack(batch))


def batch_size(form: ImageForm) -> int:
    """Number of images that a model classifies at once."""
    return max(1, min(LARGEST_BATCH, BATCH_NUMBERS // (form.channels * form.image_size**2)))


def require_pixels(pixels: Tensor, form: ImageForm) -> Tensor:
    """Returns the pixels if they are a batch of images of a form.

    Raises:
        MA2MLError: if they are of another type or shape.
    """
    if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != form.shape:
        raise MA2MLError(f"images must be uint8 of shape (N, {', '.join(map(str, form.shape))}), "
                         f"not {pixels.dtype} of {tuple(pixels.shape)}")  # fmt: skip
    return pixels


def _squares(pictures: Pictures, form: ImageForm) -> Iterator[NDArray[np.uint8]]:
    """Yields each picture as an array of the model's shape."""
    if isinstance(pictures, str | Path | Image.Image) or (isinstance(pictures, np.ndarray) and pictures.ndim != 4):
        yield _square(pictures, form)
        return
    if not isinstance(pictures, Iterable):
        raise _no_picture(pictures)
    for number, picture in enumerate(pictures):
        try:
            yield _square(picture, form)
        except MA2MLError as error:
            raise type(error)(f"item {number}: {error}") from error


def _square(picture: Picture, form: ImageForm) -> NDArray[np.uint8]:
    if isinstance(picture, str | Path | Image.Image):
        return read_picture(picture, form.image_size, form.channels)
    if isinstance(picture, Tensor):
        return require_pixels(picture[None], form)[0].cpu().numpy()
    if isinstance(picture, np.ndarray):
        return _of_array(picture, form)
    raise _no_picture(picture)


def _of_array(array: NDArray[Any], form: ImageForm) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise MA2MLError(f"an array of pixels is uint8, from 0 to 255, not {array.dtype}")
    if array.shape == form.shape:
        return array
    if not array.size:
        raise MA2MLError(f"an array of shape {array.shape} has no pixels")
    if array.ndim == 3 and array.shape[-1] not in ARRAY_CHANNELS and array.shape[0] in ARRAY_CHANNELS:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in ARRAY_CHANNELS):
        raise MA2MLError(f"an array of shape {array.shape} is no picture; one is (H, W), (H, W, C) or (C, H, W)")
    return read_picture(Image.fromarray(np.ascontiguousarray(array)), form.image_size, form.channels)


def _no_picture(value: object) -> MA2MLError:
    kinds = "a path, a picture of Pillow, an uint8 array or tensor, or several of these"
    return MA2MLError(f"a {type(value).__name__} is no picture; expected {kinds}")
