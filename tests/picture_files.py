"""Folders of small pictures, as a user has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(root: Path, counts: dict[str, int], size: int = 12, seed: int = 0, mode: str = "RGB") -> None:
    """PNG files of a folder per class, each class of a color of its own, with noise; no two are alike."""
    rng = np.random.default_rng(seed)
    for number, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for image in range(count):
            color = np.array([(60 + 140 * number) % 256, (20 + 90 * number) % 256, (200 + 70 * number) % 256])
            noise = rng.integers(-15, 16, (size, size, 3))
            pixels = np.clip(color + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / f"{seed}_{image:03d}.png")
