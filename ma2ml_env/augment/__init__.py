"""AutoAugment policies on batches of image tensors: a sub-policy per image, a kernel call per operation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ma2ml_env.augment.kernels import KERNELS, Group
from ma2ml_env.augment.magnitudes import SIGNED, magnitude_value
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_spaces.autoaugment import OPERATIONS, Operation, Policy

NOTHING = -1


@dataclass(frozen=True)
class _Plan:
    """A policy as tensors of shape (sub-policies, operations per sub-policy), on the CPU."""

    kernel: Tensor
    probability: Tensor
    value: Tensor
    signed: Tensor


def augment(images: Tensor, policy: Policy, generator: torch.Generator) -> Tensor:
    """Augments each image with a randomly drawn sub-policy of its own.

    Per image one sub-policy is drawn, each of its operations is applied with its probability, and signed
    magnitudes get a random sign. All images that get the same operation are one call of its kernel.

    Args:
        images: (N, C, H, W) with C = 1 or 3, uint8 in 0..255 or floating in [0, 1], on any device; not changed.
        policy: sub-policies to draw from; `magnitude_value` defines its levels.
        generator: the only source of randomness, on any device.

    Returns:
        New images of the same shape, dtype and device.

    Raises:
        ValueError: if the images have another shape or type.

    Source: AutoAugment, section 3; levels and signs as in torchvision, Cutout and SamplePairing as in the paper.
    """
    _check(images)
    plan = _plan(policy, images.shape[-2], images.shape[-1])
    subpolicies, positions = plan.kernel.shape
    chosen = torch.randint(subpolicies, (len(images),), generator=generator, device=generator.device).cpu()
    uniform = torch.rand((positions, 5, len(images)), generator=generator, device=generator.device).cpu()
    out = images.clone()
    for position in range(positions):
        applied, sign, *place = uniform[position]
        kernels = plan.kernel[chosen, position].where(applied < plan.probability[chosen, position], NOTHING)
        negative = plan.signed[chosen, position] & (sign < 0.5)
        values = plan.value[chosen, position].where(~negative, -plan.value[chosen, position])
        for kernel in sorted(set(kernels.tolist()) - {NOTHING}):
            rows = (kernels == kernel).nonzero().flatten()
            there = rows.to(images.device)
            group = Group(out[there], values[rows], torch.stack(place)[:, rows], images, rows)
            out.index_copy_(0, there, KERNELS[OPERATIONS[kernel]](group))
    return out


def apply_operation(images: Tensor, operation: Operation, *, sign: int = 1) -> Tensor:
    """Applies one operation to every image, whatever its probability: for rendering, or to measure its effect.

    Args:
        images: as for `augment`.
        operation: its name and magnitude are used.
        sign: 1 or -1, the sign of a signed magnitude.

    Returns:
        New images of the same shape, dtype and device. Cutout cuts in the middle, SamplePairing mixes with the
        next image.

    Raises:
        ValueError: if the images have another shape or type.
    """
    _check(images)
    count, _, height, width = images.shape
    value = magnitude_value(operation.name, operation.magnitude, height, width)
    values = torch.full((count,), value * sign if operation.name in SIGNED else value, dtype=torch.float64)
    middle_and_next = torch.tensor([[0.5], [0.5], [0.0]]).expand(3, count)
    group = Group(images.clone(), values, middle_and_next, images, torch.arange(count))
    return KERNELS[operation.name](group)


@lru_cache(maxsize=64)
def _plan(policy: Policy, height: int, width: int) -> _Plan:
    positions = max(len(part.operations) for part in policy.subpolicies)
    nothing = Operation(OPERATIONS[0], 0.0)
    table = [(*part.operations, *[nothing] * (positions - len(part.operations))) for part in policy.subpolicies]
    return _Plan(
        kernel=torch.tensor([[OPERATIONS.index(o.name) for o in row] for row in table]),
        probability=torch.tensor([[o.probability for o in row] for row in table]),
        value=torch.tensor(
            [[magnitude_value(o.name, o.magnitude, height, width) for o in row] for row in table], dtype=torch.float64
        ),
        signed=torch.tensor([[o.name in SIGNED for o in row] for row in table]),
    )


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise MA2MLError(f"images are (N, C, H, W) with C = 1 or 3, not {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise MA2MLError(f"images are uint8 in 0..255 or floating in [0, 1], not {images.dtype}")
    if images.is_floating_point() and images.numel() and not bool(((images >= 0) & (images <= 1)).all()):
        low, high = images.min().item(), images.max().item()
        raise MA2MLError(f"floating images are in [0, 1], these in [{low:.4g}, {high:.4g}]; divide 0..255 by 255")


__all__ = ["apply_operation", "augment", "magnitude_value"]
