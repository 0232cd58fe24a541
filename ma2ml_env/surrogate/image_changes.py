"""Mean change that each augmentation makes to the images of a task, by which policies are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import Illustrated
from ma2ml_env.search_spaces.autoaugment import MAGNITUDES, OPERATIONS, WITHOUT_MAGNITUDE, Operation, autoaugment
from ma2ml_env.surrogate.noise import Floats

if TYPE_CHECKING:
    from torch import Tensor

IMAGES, VALUES = 1000, 2**22
"""Maximum numbers of images, and of their values, that changes are measured on."""
CHANGE_DIGITS = 4
"""Decimals kept in a change; hides rounding error that depends on the order of additions."""


def assumed_changes() -> Floats:
    """Changes assumed without images: relative magnitude of an operation, 1 where it has none; shape (16, 10)."""
    relative = np.arange(len(MAGNITUDES)) / (len(MAGNITUDES) - 1)
    return np.array([np.ones_like(relative) if name in WITHOUT_MAGNITUDE else relative for name in OPERATIONS])


def measured_changes(images: Tensor) -> Floats:
    """The mean absolute change of a pixel, in [0, 1], by each operation at each magnitude; shape (16, 10).

    On small gray images half of the operations do nothing, or nothing at low magnitudes: a translation by less than a
    pixel, more contrast where black and white are there already, fewer bits than an image needs, other colors.

    Args:
        images: as for `augment`, at least one; Cutout cuts in their middle, SamplePairing mixes with the next.

    Raises:
        ValueError: if there is no image, or images have another shape or type.
    """
    from ma2ml_env.augment import apply_operation
    from ma2ml_env.augment.magnitudes import SIGNED

    if len(images) == 0:
        raise MA2MLError("measuring how augmentations change images requires at least one image, not none")
    bound = 1.0 if images.is_floating_point() else 255.0
    before = images.double()

    def change(name: str, magnitude: int) -> float:
        signs = (1, -1) if name in SIGNED else (1,)
        operation = Operation(name, 1.0, magnitude)
        changed = [apply_operation(images, operation, sign=sign).double() - before for sign in signs]
        return float(np.mean([difference.abs().mean().item() for difference in changed]) / bound)

    table = [[change(name, magnitude) for magnitude in range(len(MAGNITUDES))] for name in OPERATIONS]
    return np.array(table).round(CHANGE_DIGITS)


def changes_in(env: AutoMLEnv) -> Floats | None:
    """`measured_changes` of the images that an environment trains on; None if it has no policies or no images.

    Args:
        env: environment whose evaluator may have `sample_images(count)`, as `TrainEvaluator` has.

    Raises:
        ValueError: if the task's files are not there.
    """
    decisions = autoaugment().decisions
    if not isinstance(env.evaluator, Illustrated) or all(
        space.decisions != decisions for space in env.search_spaces.values()
    ):
        return None
    sample = env.evaluator.sample_images
    return measured_changes(sample(max(1, min(IMAGES, VALUES // sample(1)[0].numel()))))


def table_of_changes(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """A table of changes as it is kept: by operation and magnitude.

    Raises:
        ValueError: if it has another shape, or a change is not in [0, 1].
    """
    table = np.array(rows, dtype=float)
    if table.shape != (len(OPERATIONS), len(MAGNITUDES)) or not ((table >= 0.0) & (table <= 1.0)).all():
        raise MA2MLError(f"changes of images are {len(OPERATIONS)} x {len(MAGNITUDES)} numbers in [0, 1]")
    return tuple(map(tuple, table.tolist()))
