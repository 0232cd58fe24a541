from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from ma2ml_env.augment import apply_operation, augment, magnitude_value
from ma2ml_env.search_spaces.autoaugment import (
    OPERATIONS,
    PUBLISHED_POLICIES,
    Operation,
    Policy,
    SubPolicy,
    autoaugment,
)

TORCHVISION = v2.AutoAugment()
SHARED = OPERATIONS[:14]
BLENDS = ("Contrast", "Color", "Sharpness")
SHAPES = [(3, 3, 32, 32), (2, 1, 8, 8), (2, 3, 17, 24), (2, 1, 2, 3)]


def noise(*shape: int, dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    images[-1] = images[-1] // 4 + 60
    return images if dtype == torch.uint8 else images.to(dtype) / 255


def policy(*subpolicies: list[tuple[str, float, int]]) -> Policy:
    return Policy(tuple(SubPolicy(tuple(Operation(*o) for o in part)) for part in subpolicies))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_torchvision(images: Tensor, name: str, level: int, sign: int) -> Tensor:
    values, signed = TORCHVISION._AUGMENTATION_SPACE[name]
    table = values(10, *images.shape[-2:])
    value = 0.0 if table is None else float(table[level]) * (sign if signed else 1)
    one = TORCHVISION._apply_image_or_video_transform
    return torch.stack([one(image, name, value, "nearest", {torch.Tensor: None}) for image in images])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SHARED)
def test_an_operation_is_torchvisions_on_whole_numbers(name, shape):
    """To the bit; a blend of two images within one level, where the CPU fuses multiply and add in one of the two."""
    images, tolerance = noise(*shape), 1 if name in BLENDS else 0
    for level in range(10):
        for sign in (1, -1):
            ours = apply_operation(images, Operation(name, 1.0, level), sign=sign)
            theirs = by_torchvision(images, name, level, sign)
            torch.testing.assert_close(ours.int(), theirs.int(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", SHARED)
def test_an_operation_is_torchvisions_within_rounding_on_floats(name):
    images = noise(3, 3, 16, 20, dtype=torch.float32)
    for level in (0, 4, 9):
        for sign in (1, -1):
            ours = apply_operation(images, Operation(name, 1.0, level), sign=sign)
            torch.testing.assert_close(ours, by_torchvision(images, name, level, sign), rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", range(10))
def test_sample_pairing_is_pillows_blend_with_another_image(level):
    images = noise(3, 3, 16, 16)
    ours = apply_operation(images, Operation("SamplePairing", 1.0, level))
    for i in range(3):
        this, other = (Image.fromarray(images[j % 3].permute(1, 2, 0).numpy()) for j in (i, i + 1))
        blended = np.asarray(Image.blend(this, other, 0.4 * level / 9))
        assert np.abs(ours[i].permute(1, 2, 0).numpy().astype(int) - blended).max() <= (0 if level in (0, 9) else 1)


@pytest.mark.parametrize(("side", "pixels"), [(331, 60), (32, 6), (8, 1)])
def test_cutout_paints_a_gray_square_of_the_papers_share_of_the_image(side, pixels):
    black = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    cut = apply_operation(black, Operation("Cutout", 1.0, 9))
    assert cut.unique().tolist() == [0, 128]
    assert int((cut == 128).sum()) == 3 * pixels**2
    assert torch.equal(apply_operation(black, Operation("Cutout", 1.0, 0)), black)


def test_cutout_falls_anywhere_and_is_cut_off_at_the_border():
    black = torch.zeros(4000, 1, 32, 32)
    cut = augment(black, policy([("Cutout", 1.0, 9)]), seeded()) > 0
    areas = cut.sum(dim=(1, 2, 3))
    assert areas.max() == 36
    assert areas.min() == 9
    assert cut.any(dim=0).all()


def test_levels_mean_what_torchvision_says_on_any_size():
    for name in SHARED:
        values, _ = TORCHVISION._AUGMENTATION_SPACE[name]
        for height, width in ((8, 8), (32, 24), (224, 224)):
            table = values(10, height, width)
            expected = [0.0] * 10 if table is None else table.tolist()
            if name.startswith("Translate"):
                expected = [int(pixels) for pixels in expected]
            assert [magnitude_value(name, level, height, width) for level in range(10)] == expected


def test_every_image_gets_one_sub_policy_and_they_are_equally_likely():
    images = torch.full((3000, 1, 4, 4), 200, dtype=torch.uint8)
    out = augment(images, policy([("Invert", 1.0, 0)], [("Posterize", 1.0, 9)], [("Solarize", 0.0, 0)]), seeded())
    values, counts = out[:, 0, 0, 0].unique(return_counts=True)
    assert values.tolist() == [55, 192, 200]
    assert ((counts - 1000).abs() < 4 * (3000 * 2 / 9) ** 0.5).all()
    assert (out == out[:, :, :1, :1]).all()


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_an_operation_is_applied_with_its_probability(probability):
    images = torch.zeros(4000, 1, 2, 2, dtype=torch.uint8)
    share = augment(images, policy([("Invert", probability, 0)]), seeded()).float().div(255).mean(dim=(1, 2, 3))
    deviation = (probability * (1 - probability) / 4000) ** 0.5
    assert abs(float(share.mean()) - probability) <= 4 * deviation


def test_signs_are_drawn_per_image():
    images = torch.full((2000, 1, 3, 3), 100, dtype=torch.uint8)
    out = augment(images, policy([("Brightness", 1.0, 5)]), seeded())[:, 0, 0, 0]
    values, counts = out.unique(return_counts=True)
    assert values.tolist() == [50, 150]
    assert abs(int(counts[0]) - 1000) < 4 * 500**0.5


def test_operations_follow_one_another():
    images = noise(6, 3, 16, 16)
    out = augment(images, policy([("Invert", 1.0, 0), ("Solarize", 1.0, 5)]), seeded())
    expected = apply_operation(apply_operation(images, Operation("Invert", 1.0)), Operation("Solarize", 1.0, 5))
    assert torch.equal(out, expected)


def test_sample_pairing_mixes_with_another_image_before_its_augmentation():
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4).contiguous()
    out = augment(images, policy([("Invert", 1.0, 0), ("SamplePairing", 1.0, 9)]), seeded())
    torch.testing.assert_close(out[:, 0, 0, 0], torch.tensor([1.0, 0.0]), rtol=0, atol=1e-6)
    partners = augment(torch.arange(50.0).view(50, 1, 1, 1) / 49, policy([("SamplePairing", 1.0, 9)]), seeded(1))
    unmixed = torch.arange(50.0) / 49
    assert not torch.isclose(partners.flatten(), unmixed).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_type_and_range_stay(dtype, channels):
    images = noise(40, channels, 12, 10, dtype=dtype)
    before = images.clone()
    for name in PUBLISHED_POLICIES:
        out = augment(images, PUBLISHED_POLICIES[name], seeded())
        assert out.shape == images.shape
        assert out.dtype == dtype
        assert out.min() >= 0
        assert out.max() <= (255 if dtype == torch.uint8 else 1)
    assert torch.equal(images, before)


def test_the_same_generator_gives_the_same_images_and_the_global_one_is_left_alone():
    images, chosen = noise(30, 3, 8, 8), PUBLISHED_POLICIES["AutoAugment-SVHN"]
    state = torch.get_rng_state()
    first, second = augment(images, chosen, seeded(3)), augment(images, chosen, seeded(3))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(images, chosen, seeded(4)))
    assert torch.equal(state, torch.get_rng_state())


def test_random_policies_of_the_space_can_be_applied():
    space, images, rng = autoaugment(), noise(20, 1, 8, 8), np.random.default_rng(0)
    for _ in range(20):
        assert augment(images, space.decode(space.sample(rng)), seeded()).shape == images.shape
    assert torch.equal(augment(images, space.decode(space.default), seeded()), images)


@pytest.mark.parametrize("count", [0, 1])
def test_a_tiny_batch_is_no_special_case(count):
    images = noise(2, 3, 8, 8)[:count]
    everything = policy(*[[(name, 1.0, 9)] for name in OPERATIONS])
    for seed in range(20):
        assert augment(images, everything, seeded(seed)).shape == images.shape


def test_images_of_another_shape_or_type_are_refused():
    nothing = policy([("Invert", 0.0, 0)])
    with pytest.raises(ValueError, match=r"\(N, C, H, W\) with C = 1 or 3, not \(3, 8, 8\)"):
        augment(torch.zeros(3, 8, 8), nothing, seeded())
    with pytest.raises(ValueError, match="C = 1 or 3"):
        augment(torch.zeros(2, 4, 8, 8), nothing, seeded())
    with pytest.raises(ValueError, match=r"uint8 in 0\.\.255 or floating in"):
        apply_operation(torch.zeros(2, 3, 8, 8, dtype=torch.int64), Operation("Invert", 1.0))
