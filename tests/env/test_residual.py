"""The residual space and its networks, against modules that are built independently."""

from __future__ import annotations

import itertools
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from timm.layers import SEModule
from timm.models.resnet import BasicBlock, Bottleneck
from torch import nn

from ma2ml_env import published
from ma2ml_env.models import build_network, cost, count
from ma2ml_env.models.modules import DropPath
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.render.page import Page
from ma2ml_env.render.panels import panel
from ma2ml_env.render.stages import stack_size
from ma2ml_env.search_spaces.residual import KINDS, Architecture, Stage, residual

SIZES = {"image_size": 16, "in_channels": 3, "num_classes": 10}
SPACE = residual(((16, 32), (32, 64)), depths=(0, 1, 3), stems=(16, 24))


def network(*stages: Stage, stem: int = 16, skeleton: ResidualSkeleton | None = None, **options: object) -> nn.Module:
    architecture = Architecture(stem, "relu", stages)
    return build_network(architecture, skeleton or ResidualSkeleton(), **{**SIZES, **options})


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]


@pytest.mark.parametrize("depth", [3, 5, 9])
def test_a_resnet_for_cifar_has_the_size_of_one_made_of_timm_s_blocks(depth: int) -> None:
    layers, inputs = [*conv_norm(3, 16), nn.ReLU()], 16
    for width, first in ((16, 1), (32, 2), (64, 2)):
        for stride in (first, *[1] * (depth - 1)):
            fit = nn.Sequential(*conv_norm(inputs, width, 1, stride)) if (inputs, stride) != (width, 1) else None
            layers.append(BasicBlock(inputs, width, stride, fit))
            inputs = width
    theirs = cost(nn.Sequential(*layers, *head(64)), 32)
    assert published.network(f"ResNet-{6 * depth + 2}").cost() == theirs


@pytest.mark.parametrize(("squeeze", "stride"), [(False, 1), (False, 2), (True, 1), (True, 2)])
def test_a_bottleneck_has_the_size_of_timm_s(squeeze: bool, stride: int) -> None:
    stage = Stage(1, "bottleneck", 64, expansion=4, squeeze=squeeze)
    ours = network(*([stage] if stride == 1 else [Stage(0), stage]))
    fit = nn.Sequential(*conv_norm(16, 64, 1, stride))
    block = Bottleneck(16, 16, stride, fit, attn_layer=partial(SEModule, rd_channels=16) if squeeze else None)
    assert cost(ours, 16) == cost(nn.Sequential(*conv_norm(3, 16), block, *head(64)), 16)


def test_plain_blocks_are_convolutions_and_an_empty_stage_halves_the_image() -> None:
    ours = network(Stage(2, "plain", 16, 5), Stage(0), Stage(1, "plain", 24))
    theirs = nn.Sequential(
        *conv_norm(3, 16), *conv_norm(16, 16, 5), *conv_norm(16, 16, 5), nn.AvgPool2d(2), *conv_norm(16, 24, 3, 2),
        *head(24),
    )  # fmt: skip
    assert cost(ours, 16) == cost(theirs, 16)


def test_an_inverted_block_widens_its_input_and_convolves_each_channel_alone() -> None:
    ours = network(Stage(1, "inverted", 24, 5, 3))
    depthwise = nn.Conv2d(48, 48, 5, padding=2, groups=48, bias=False)
    block = [*conv_norm(16, 48, 1), depthwise, nn.BatchNorm2d(48), *conv_norm(48, 24, 1)]
    assert cost(ours, 16) == cost(nn.Sequential(*conv_norm(3, 16), *block, *head(24)), 16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("squeeze", [False, True])
def test_a_block_beside_a_shortcut_starts_as_the_identity(kind: str, squeeze: bool) -> None:
    expansion = 2 if kind in ("bottleneck", "inverted") else 1
    block = network(Stage(1, kind, 16, expansion=expansion, squeeze=squeeze)).eval().blocks[0]
    images = torch.rand(2, 16, 8, 8)
    assert torch.equal(block(images), images) == (kind != "plain")


@pytest.mark.parametrize(("stride", "rows"), [(1, 16), (2, 8), (4, 4)])
def test_the_stem_divides_the_image_by_its_stride(stride: int, rows: int) -> None:
    model = network(Stage(1, "basic", 16), skeleton=ResidualSkeleton(stem_stride=stride))
    assert model.stem(torch.rand(1, 3, 16, 16)).shape == (1, 16, rows, rows)


def test_drop_path_grows_over_depth_and_leaves_plain_blocks_alone() -> None:
    model = network(Stage(2, "basic", 16), Stage(1, "plain", 16), Stage(1, "basic", 16), drop_path=0.4)
    paths = [module for module in model.modules() if isinstance(module, DropPath)]
    assert [path.probability for path in paths] == pytest.approx([0.1, 0.2, 0.4])
    model.set_drop_path_progress(0.5)
    assert {path.progress for path in paths} == {0.5}


def test_pipelines_that_differ_in_what_an_empty_stage_would_have_are_one() -> None:
    names = [decision.name for decision in SPACE.decisions]
    empty = dict.fromkeys(names, 0)
    other = empty | {"stage1_kind": 3, "stage1_width": 1, "stage1_squeeze": 1, "stage2_expansion": 2}
    assert SPACE.decode(list(other.values())) == SPACE.decode(list(empty.values()))
    assert SPACE.validate(list(other.values())) == tuple(empty.values())


def test_the_number_of_different_architectures_is_that_of_an_enumeration() -> None:
    small = residual(((8, 16), (8,)), depths=(0, 1), stems=(8,), kinds=("basic", "inverted"), kernels=(3,))
    everything = itertools.product(*(range(count) for count in small.nvec))
    assert len({small.decode(action) for action in everything}) == small.size


def test_the_last_stage_always_has_blocks_and_the_default_has_basic_ones() -> None:
    depths = {decision.name: decision.choices for decision in SPACE.decisions if decision.name.endswith("_depth")}
    assert depths == {"stage1_depth": (0, 1, 3), "stage2_depth": (1, 3)}
    assert {stage.kind for stage in SPACE.decode(SPACE.default).stages} == {"basic"}


def test_a_resnet_is_an_exact_action_where_its_widths_and_depth_are_offered_and_else_the_nearest() -> None:
    env = SimpleNamespace(search_spaces={"nas": residual(((16, 24), (24, 32), (32, 64)), stems=(8, 16))})
    space = env.search_spaces["nas"]
    assert space.decode(published.action("ResNet-20", env)) == published.architecture("ResNet-20")
    with pytest.raises(ValueError, match=r"'stage1_depth' cannot be 9.*nearest=True"):
        published.action("ResNet-56", env)
    nearest = published.action("ResNet-56", env, nearest=True)
    assert nearest.changes == tuple(f"stage{number}_depth 3 instead of 9" for number in (1, 2, 3))
    assert tuple(nearest) == tuple(published.action("ResNet-20", env))
    with pytest.raises(ValueError, match="this space has 2 stages, the architecture has 3"):
        published.action("ResNet-20", SimpleNamespace(search_spaces={"nas": SPACE}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "dense"}, "kind is one of"),
        ({"depth": -1}, "depth -1"),
        ({"width": 0}, "width 0"),
        ({"kernel": 4}, "odd"),
        ({"expansion": 2}, "1 unless kind"),
        ({"depth": 0}, r"it has no \['kind', 'width'\]"),
    ],
)
def test_a_stage_that_cannot_be_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Stage(**{"depth": 1, "kind": "basic", "width": 8, **options})


@pytest.mark.parametrize(
    ("stem", "activation", "stages", "says"),
    [
        (0, "relu", (Stage(1, "basic", 8),), "stem 0"),
        (8, "tanh", (Stage(1, "basic", 8),), "activation is one of"),
        (8, "relu", (Stage(0),), "must have blocks"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(
    stem: int, activation: str, stages: tuple[Stage, ...], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Architecture(stem, activation, stages)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"depths": (0,)}, "depth above 0"), ({"kernels": (2,)}, "odd"), ({"kinds": ("dense",)}, "kind is one of")],
)
def test_a_space_that_offers_what_cannot_be_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        residual(**options)


def test_skeletons_and_images_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="stem_stride is 1, 2 or 4, not 3"):
        ResidualSkeleton(3)
    with pytest.raises(ValueError, match="too small"):
        count(Architecture(8, "relu", (Stage(0), Stage(0), Stage(1, "basic", 8))), ResidualSkeleton(),
              image_size=1, in_channels=3, num_classes=10)  # fmt: skip


def test_an_architecture_says_and_draws_itself() -> None:
    architecture = Architecture(16, "silu", (Stage(2, "inverted", 24, 5, 3, squeeze=True), Stage(0)))
    assert "stem: 16 channels, activation silu" in str(architecture)
    assert "stage 1: 2 inverted blocks, 5x5, 24 channels, expansion 3, squeeze-excite" in str(architecture)
    assert "stage 2: no blocks" in str(architecture)
    assert panel(architecture).width == stack_size(architecture)[0]


def test_every_block_is_drawn_as_wide_as_its_channels_and_no_words_meet() -> None:
    architecture = Architecture(16, "relu", (Stage(2, "basic", 32), Stage(0), Stage(1, "plain", 64, 5)))
    figure = Page("title", "subtitle", {"nas": panel(architecture)}).figure()
    FigureCanvasAgg(figure).draw()
    boxes = [patch for axes in figure.axes for patch in axes.patches]
    widths = [box.get_width() for box in boxes]
    assert [width / widths[0] for width in widths] == pytest.approx([1, 2, 2, 4])
    texts = [text.get_window_extent() for axes in figure.axes for text in axes.texts if text.get_text()]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(texts, 2))
