"""Strength of each AutoAugment operation at the levels 0 to 9, in one convention, torchvision's."""

from __future__ import annotations

import torch

PAPER_SIDE = 331
STRENGTHS = {
    "ShearX": 0.3,
    "ShearY": 0.3,
    "Rotate": 30.0,
    "Contrast": 0.9,
    "Color": 0.9,
    "Brightness": 0.9,
    "Sharpness": 0.9,
    "SamplePairing": 0.4,
}
PIXELS = {"TranslateX": 150.0, "TranslateY": 150.0, "Cutout": 60.0}
GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
SIGNED = frozenset((*GEOMETRIC, "Contrast", "Color", "Brightness", "Sharpness"))


def magnitude_value(name: str, level: int, height: int, width: int) -> float:
    """Unsigned strength of an operation at a level.

    | operation                              | unit                                | level 0 to 9               |
    |----------------------------------------|-------------------------------------|----------------------------|
    | ShearX, ShearY                         | slope                               | 0 to 0.3, signed           |
    | TranslateX, TranslateY                 | whole pixels, rounded down          | 0 to 150/331 side, signed  |
    | Rotate                                 | degrees                             | 0 to 30, signed            |
    | Contrast, Color, Brightness, Sharpness | distance from 1 of the blend factor | 0 to 0.9, signed           |
    | Posterize                              | bits that stay                      | 8 to 4                     |
    | Solarize                               | threshold, share of full brightness | 1 to 0                     |
    | Cutout                                 | side in whole pixels, rounded       | 0 to 60/331 shorter side   |
    | SamplePairing                          | weight of the other image           | 0 to 0.4                   |
    | AutoContrast, Invert, Equalize         | none                                | 0                          |

    Args:
        name: name of the operation.
        level: 0 to 9.
        height: height of the images, pixels.
        width: width of the images, pixels.

    Returns:
        The value, at least 0, in the unit of the table.

    Source: torchvision's `v2.AutoAugment`. Cutout and SamplePairing: AutoAugment, table 6; the paper's 60 pixels
    are scaled here to the image from its 331-pixel ones, as torchvision scales translations.
    """
    if name in STRENGTHS:
        return float(torch.linspace(0.0, STRENGTHS[name], 10)[level])
    if name in PIXELS:
        side = {"TranslateX": width, "TranslateY": height}.get(name, min(height, width))
        pixels = float(torch.linspace(0.0, PIXELS[name] / PAPER_SIDE * side, 10)[level])
        return float(round(pixels) if name == "Cutout" else int(pixels))
    if name == "Posterize":
        return float((8 - torch.arange(10) / (9 / 4)).round()[level])
    if name == "Solarize":
        return float(torch.linspace(1.0, 0.0, 10)[level])
    return 0.0
