"""Networks, recipes and standard augmentations that suit a user's own images."""

from __future__ import annotations

from typing import Any

WIDTHS = {
    20: ((16, 24, 32), (24, 32, 48), (48, 64, 96)),
    40: ((8, 12, 16), (16, 24, 32), (32, 48, 64)),
    80: ((8, 12, 16), (16, 24, 32), (24, 32, 48), (48, 64, 96)),
}
"""Widths of the stages on a CPU, by the largest number of rows after the stem, which has those of the first stage."""
WIDTHS_ON_GPU = ((16, 32, 64), (32, 64, 128), (64, 128, 256), (128, 256, 512))
BATCH_SIZES = {500: (16, 32, 48), 5_000: (32, 48, 64), 10**9: (64, 96, 128)}
"""Batch sizes by the largest number of training images."""
SMALLEST_CROPPED = 24
"""Rows and columns of images of which a crop that is moved by four pixels shows the object still."""


def network_space(rows: int, device: str) -> dict[str, Any]:
    """Returns the spec of the residual space for images of so many rows after the stem of the search.

    Args:
        rows: rows of the first stage.
        device: of the trainings; on a GPU networks are wider.
    """
    on_cpu = next((widths for most, widths in WIDTHS.items() if rows <= most), WIDTHS[80])
    widths = on_cpu if device == "cpu" else WIDTHS_ON_GPU
    stages = widths[: max(1, rows.bit_length() - 1)]  # each but the first halves the image
    return {"kind": "residual", "widths": [list(width) for width in stages], "stems": list(stages[0])}


def recipe_space(images: int) -> dict[str, Any]:
    """Returns the spec of the recipes for so many training images."""
    return {
        "kind": "recipe",
        "relative": True,
        "batch_sizes": list(next(sizes for most, sizes in BATCH_SIZES.items() if images <= most)),
        "schedules": ["cosine", "linear"],
        "warmups": [0.1],
        "label_smoothings": [0.0, 0.1, 0.2],
        "mixups": [0.0, 0.2, 0.5],
        "drop_paths": [0.0, 0.1, 0.2],
        "dropouts": [0.0, 0.2, 0.4],
    }


def standard_augmentation(image_size: int, channels: int) -> str:
    """Returns the augmentation that is applied before any policy, a key of `ma2ml_env.augment.standard.STANDARD`.

    Gray images are often of characters, so only colored ones are mirrored.

    Args:
        image_size: rows and columns of the images.
        channels: 1 or 3.
    """
    if image_size < SMALLEST_CROPPED:
        return "none"
    return "pad_crop" if channels == 1 else "pad_crop_flip"
