"""Crops and flips that a data set is always trained with."""

from __future__ import annotations

import itertools

import pytest
import torch

from ma2ml_env.augment.standard import PADDING, STANDARD, crop_boxes, resized_crop_flip
from ma2ml_env.tasks.cifar import CIFAR10
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.tasks.imagenet import ImageNet

IMAGES = torch.randint(1, 256, (64, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("kind", "mirrors"), [("pad_crop_flip", {False, True}), ("pad_crop", {False})])
def test_a_padded_crop_is_one_of_those_that_exist(kind: str, mirrors: set[bool]) -> None:
    found = STANDARD[kind](IMAGES, generator())
    assert found.shape == IMAGES.shape
    assert found.dtype == torch.uint8
    places = set()
    for image, cropped in zip(IMAGES, found, strict=True):
        padded = torch.nn.functional.pad(image, (PADDING,) * 4)
        matches = []
        for top, left in itertools.product(range(2 * PADDING + 1), repeat=2):
            part = padded[:, top : top + 12, left : left + 16]
            matches += [(top, left, False)] * torch.equal(part, cropped)
            matches += [(top, left, True)] * torch.equal(part.flip(2), cropped)
        assert len(matches) == 1
        places.add(matches[0])
    assert len(places) > 30
    assert {flipped for _, _, flipped in places} == mirrors


def test_boxes_lie_inside_the_image_and_have_areas_and_ratios_of_the_stated_range() -> None:
    boxes = crop_boxes(4000, (20, 20), generator())
    across, down = boxes[:, 0, 0].abs(), boxes[:, 1, 1]
    assert (boxes[:, 0, 2].abs() + across <= 1 + 1e-6).all()
    assert (boxes[:, 1, 2].abs() + down <= 1 + 1e-6).all()
    whole = (across < 1) & (down < 1)
    assert ((across * down)[whole] >= 0.08 - 1e-6).all()
    ratio = (across / down)[whole]
    assert (ratio >= 0.75 - 1e-5).all()
    assert (ratio <= 4 / 3 + 1e-5).all()
    assert abs(float((boxes[:, 0, 0] < 0).float().mean()) - 0.5) < 0.03


def test_a_resized_crop_of_a_slope_is_the_slope_of_its_box() -> None:
    """A linear ramp stays one under bilinear sampling, away from the border: its values tell where they come from."""
    size = 64
    ramp = torch.linspace(-1 + 1 / size, 1 - 1 / size, size).expand(1, 1, size, size)
    images = ramp.repeat(20, 1, 1, 1)
    found = resized_crop_flip(images, generator(3))
    boxes = crop_boxes(20, (size, size), generator(3))
    expected = boxes[:, 0, 0, None] * ramp[0, 0, 0] + boxes[:, 0, 2, None]
    inside = expected.abs() < 1 - 1 / size
    assert torch.allclose(found[:, 0, size // 2][inside], expected[inside], atol=1e-4)


@pytest.mark.parametrize("kind", ["pad_crop", "pad_crop_flip", "resized_crop_flip"])
def test_the_generator_alone_decides_and_the_images_are_not_changed(kind: str) -> None:
    before = IMAGES.clone()
    first, again, other = (STANDARD[kind](IMAGES, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(IMAGES, before)
    assert first.dtype == torch.uint8


def test_each_task_has_the_augmentation_of_its_field_and_digits_have_none() -> None:
    assert CIFAR10().augmentation == "pad_crop_flip"
    assert ImageNet().augmentation == "resized_crop_flip"
    assert getattr(Digits(), "augmentation", "none") == "none"
    assert STANDARD["none"](IMAGES, generator()) is IMAGES
