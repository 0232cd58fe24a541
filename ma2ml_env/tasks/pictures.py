"""Picture files of any form as square arrays of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ma2ml_env.errors import DamagedFileError, MA2MLError, require_range

LARGEST_SIDE = 2**14
BACKGROUND = (255, 255, 255)
"""Color behind transparent pixels: white."""
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
DEEPEST = 2**16 - 1
OVERSAMPLING = 2
"""A JPEG file is decoded at the smallest of its scales that has at least so many times the pixels per side."""
CANNOT_BE_READ = " cannot be read: "
GRAY_TOLERANCE, PROBED = 3, 64

Source = str | Path | Image.Image


class PictureForm(NamedTuple):
    """Form of a picture before it is resized.

    Attributes:
        width: columns, after its EXIF orientation.
        height: rows, after its EXIF orientation.
        gray: whether no pixel has a color.
    """

    width: int
    height: int
    gray: bool


def read_picture(source: Source, image_size: int, channels: int) -> NDArray[np.uint8]:
    """Reads a picture as a square: upright, resized by its shorter side, cropped in the middle, 8 bits.

    The EXIF orientation is applied; palettes, CMYK and gray are converted; transparent pixels lie on white; 16-bit
    gray is divided by 257, floats in [0, 1] are multiplied by 255; of an animation it is the first frame.

    Args:
        source: a file, or a picture of Pillow, which is left as it is.
        image_size: rows and columns of the result, in 1..16384.
        channels: 1 for gray, 3 for red, green and blue.

    Returns:
        Shape (channels, image_size, image_size).

    Raises:
        DamagedFileError: if there is no such file, or it is no picture, not a whole one or too large.
        MA2MLError: for a size or number of channels out of range.

    Source: Pillow, with antialiased bicubic resizing.
    """
    require_range("image_size", image_size, 1, LARGEST_SIDE)
    if channels not in (1, 3):
        raise MA2MLError(f"channels are 1 or 3, not {channels!r}")
    with _opened(source, image_size) as picture:
        plain = _eight_bits(picture)
        fitted = ImageOps.fit(
            plain.convert("L" if channels == 1 else "RGB"), (image_size, image_size), Image.Resampling.BICUBIC
        )
    return np.asarray(fitted).reshape(image_size, image_size, channels).transpose(2, 0, 1)


def picture_form(source: Source) -> PictureForm:
    """Reads the form of a picture; arguments and errors as those of `read_picture`."""
    with _opened(source, None) as picture:
        width, height = picture.size
        colors = np.asarray(_eight_bits(picture).convert("RGB").reduce(max(1, min(picture.size) // PROBED)), np.int16)
    return PictureForm(width, height, bool(np.ptp(colors, axis=-1).max() <= GRAY_TOLERANCE))


@contextmanager
def _opened(source: Source, image_size: int | None) -> Iterator[Image.Image]:
    """An upright picture; whatever Pillow raises about it inside the block is a `DamagedFileError` with its name."""
    try:
        if isinstance(source, Image.Image):
            yield ImageOps.exif_transpose(source)
            return
        with Image.open(source) as picture:
            if image_size is not None:
                picture.draft(None, (OVERSAMPLING * image_size,) * 2)
            yield ImageOps.exif_transpose(picture)
    except Exception as error:  # decoders of damaged files raise all kinds
        name = "the picture" if isinstance(source, Image.Image) else str(source)
        raise DamagedFileError(f"{name}{CANNOT_BE_READ}{_reason(error, name)}") from error


def in_brief(error: DamagedFileError) -> str:
    """The name of a picture that cannot be read, and the reason in parentheses, for a list of several."""
    name, _, reason = str(error).partition(CANNOT_BE_READ)
    return f"{name} ({reason})"


def _reason(error: Exception, name: str) -> str:
    """The cause in few words, without the file's name."""
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case UnidentifiedImageError():
            return "it is no picture"
        case OSError(strerror=str(text)):
            return text
        case _:
            return str(error).replace(name, "it").rstrip(".") or type(error).__name__


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of 8 bits per channel without transparency, gray or in color."""
    if not all(picture.size):
        raise DamagedFileError(f"it has {picture.size[0]}x{picture.size[1]} pixels")
    if picture.mode in DEEP_MODES:
        return Image.fromarray(_scaled(np.asarray(picture)))
    if picture.has_transparency_data:
        colors = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colors.size, (*BACKGROUND, 255)), colors).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("L" if picture.mode == "1" else "RGB")


def _scaled(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Deep gray values as bytes: integers are of 16 bits, floats in [0, 1] or [0, 255]."""
    numbers = values.astype(np.float64)
    low, high = numbers.min(), numbers.max()
    most = float(DEEPEST) if values.dtype.kind != "f" else 1.0 if high <= 1 else 255.0
    if not 0 <= low <= high <= most:
        raise DamagedFileError(f"its values are in {low:g}..{high:g}, not in 0..{most:g}")
    return np.rint(numbers * (255.0 / most)).astype(np.uint8)
