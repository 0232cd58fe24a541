"""TrivialAugment as a policy: one operation of random strength per image."""

from __future__ import annotations

import math

from ma2ml_env.search_spaces.autoaugment import (
    MAGNITUDES,
    OPERATIONS,
    WITHOUT_MAGNITUDE,
    Operation,
    Policy,
    SubPolicy,
)

LEFT_OUT = frozenset({"Invert", "Cutout", "SamplePairing"})
"""AutoAugment's operations that are not TrivialAugment's."""
LEAST_EPOCHS, LEAST_SHOWN = 25, 100_000
"""Fewest epochs, and fewest images shown in all of them, with which it measured better than a policy of the search
(`experiments/final_training.py`)."""


def trivial_augment() -> Policy:
    """Returns the policy of TrivialAugment: per image one of 13 operations or none, at one of ten levels, all alike.

    Source: Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", with AutoAugment's
    ranges of the levels.
    """
    nothing = Operation(OPERATIONS[0], 0.0)
    chosen = [
        Operation(name, 1.0, 0 if name in WITHOUT_MAGNITUDE else level)
        for name in OPERATIONS
        if name not in LEFT_OUT
        for level in MAGNITUDES
    ]
    return Policy(tuple(SubPolicy((operation,)) for operation in [*chosen, *[nothing] * len(MAGNITUDES)]))


def fewest_epochs(images: int) -> int:
    """Returns the length from which on a training gains from TrivialAugment; shorter ones lose by it.

    Args:
        images: number of images that are trained on, in each epoch, at least 1.
    """
    return max(LEAST_EPOCHS, math.ceil(LEAST_SHOWN / images))
