from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from ma2ml_env import published
from ma2ml_env.models import build_network, cost, count
from ma2ml_env.models.fbnetv3 import FBNetV3Skeleton, divisible
from ma2ml_env.models.modules import DropPath
from ma2ml_env.search_spaces.fbnetv3 import Architecture, Group, fbnetv3, nearest_values

SPACE = fbnetv3()
FULL = FBNetV3Skeleton()
SMALL = FBNetV3Skeleton(head_width=32, resolution_scale=0.15)
SIZES = {"image_size": 32, "in_channels": 3, "num_classes": 10}
RNG = np.random.default_rng(0)
ACTIONS = [SPACE.sample(RNG) for _ in range(1000)]


def test_a_thousand_random_networks_at_full_size_take_more_than_a_hundred_million_multiply_accumulates():
    assert all(count(SPACE.decode(action), FULL, **SIZES).flops > 100e6 for action in ACTIONS)


@pytest.mark.parametrize(("name", "model"), [("FBNetV3-D", "fbnetv3_d"), ("FBNetV3-G", "fbnetv3_g")])
@pytest.mark.parametrize("image_size", [224, 248])
def test_a_released_network_is_timm_s_but_for_the_bias_of_its_stem(name, model, image_size):
    with torch.device("meta"):
        theirs = cost(timm.create_model(model), image_size)
    ours = published.network(name, image_size=image_size)
    assert ours.cost().flops == theirs.flops
    assert ours.cost().params == theirs.params + ours.architecture.stem


def test_a_network_resizes_images_to_its_own_resolution():
    architecture = replace(SPACE.decode(SPACE.default), resolution=64)
    model = build_network(architecture, FBNetV3Skeleton(head_width=16), **SIZES).eval()
    x = torch.rand(2, 3, 80, 80)
    resized = F.interpolate(x, (64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(model(x), model(resized))
    assert cost(model, image_size=80) == cost(model, image_size=64)


def test_the_resolution_changes_the_flops_and_not_the_parameters():
    low, high = (count(replace(SPACE.decode(ACTIONS[0]), resolution=r), FULL, **SIZES) for r in (224, 272))
    assert low.params == high.params
    assert low.flops < high.flops


def test_a_network_starts_with_residual_blocks_that_do_nothing():
    model = build_network(SPACE.decode(SPACE.default), SMALL, **SIZES).eval()
    for block in model.blocks:
        if block.has_skip:
            x = torch.randn(
                1, block.conv_dw.in_channels if not hasattr(block, "bn3") else block.conv_pw.in_channels, 4, 4
            )
            torch.testing.assert_close(block(x), x)


def test_drop_path_grows_over_depth_and_training():
    model = build_network(SPACE.decode(SPACE.default), SMALL, drop_path=0.3, **SIZES)
    drops = [m for m in model.modules() if isinstance(m, DropPath)]
    assert [d.probability for d in drops] == sorted(d.probability for d in drops)
    model.set_drop_path_progress(0.25)
    assert {d.progress for d in drops} == {0.25}


@pytest.mark.parametrize(
    ("channels", "expected"), [(12, 16), (18, 24), (17, 24), (20, 24), (5, 8), (48, 48), (64.4, 64)]
)
def test_channels_are_rounded_to_eights_and_never_lose_a_twentieth(channels, expected):
    assert divisible(channels) == expected


def test_the_default_is_the_released_a_but_for_kernels_that_change_within_a_stage():
    default, released = SPACE.decode(SPACE.default), published.architecture("FBNetV3-A")
    assert SPACE.encode(nearest_values(released)[0]) == SPACE.default
    assert [group.width for group in default.groups] == [group.width for group in released.groups]


def test_an_architecture_outside_the_space_is_refused_with_the_reasons():
    released = published.architecture("FBNetV3-G")
    with pytest.raises(ValueError, match="resolution 272 instead of 320; stem_width 24 instead of 32"):
        SPACE.encode(released)
    with pytest.raises(ValueError, match="7 stages, not 1"):
        SPACE.encode(Architecture(224, 16, (Group(3, 1, 16),)))
    plain = replace(SPACE.decode(SPACE.default), groups=tuple(replace(g, squeeze=False) for g in released.groups))
    with pytest.raises(ValueError, match=r"stages|squeeze-excite"):
        SPACE.encode(plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kernel": 4}, "odd"), ({"stride": 3}, "1 or 2"), ({"width": 0}, "width must"), ({"repeats": 0}, "repeats must")],
)
def test_a_group_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Group(**{"kernel": 3, "expansion": 1, "width": 16, **options})


def test_skeletons_and_architectures_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="resolution_scale"):
        FBNetV3Skeleton(resolution_scale=1.5)
    with pytest.raises(ValueError, match="head_width"):
        FBNetV3Skeleton(head_width=0)
    with pytest.raises(ValueError, match="there must be blocks"):
        Architecture(224, 16, ())


def test_an_image_too_small_for_the_reductions_is_refused_at_build_time():
    with pytest.raises(ValueError, match="too small"):
        published.build("FBNetV3-A", image_size=32)
    with pytest.raises(ValueError, match="image_size"):
        count(SPACE.decode(SPACE.default), FULL, image_size=0, in_channels=3, num_classes=10)


def test_an_architecture_says_itself_in_words():
    text = str(SPACE.decode(SPACE.default))
    assert "input 224x224" in text
    assert "1 block that halves the image: 5x5, expansion 5, 40 channels, squeeze-excite" in text
