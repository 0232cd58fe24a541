from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from ma2ml_env import published
from ma2ml_env.models import cost
from ma2ml_env.published.entries import ENTRIES
from ma2ml_env.search_spaces.autoaugment import autoaugment, policy_actions
from ma2ml_env.search_spaces.darts import darts
from ma2ml_env.search_spaces.fbnetv3 import fbnetv3
from ma2ml_env.search_spaces.nasnet import nasnet

NAMES = [
    "NASNet-A",
    "AmoebaNet-A",
    "AmoebaNet-C",
    "ENAS",
    "DARTS-V1",
    "DARTS-V2",
    "PC-DARTS-CIFAR",
    "PC-DARTS-ImageNet",
    "ISTA-NAS-onestage",
    "ISTA-NAS-twostage",
    "ISTA-NAS-ImageNet",
    "Shapley-NAS-CIFAR",
    "Shapley-NAS-ImageNet",
    "DARTS-minus-CIFAR10",
    "DARTS-minus-CIFAR100",
    "MiLeNAS",
    "FBNetV3-A0",
    "FBNetV3-A",
    "FBNetV3-B",
    "FBNetV3-C",
    "FBNetV3-D",
    "FBNetV3-E",
    "FBNetV3-F",
    "FBNetV3-G",
    "ResNet-20",
    "ResNet-32",
    "ResNet-56",
    "EfficientNet-B1",
    "RegNetY-600MF",
    "AutoAugment-CIFAR10",
    "AutoAugment-ImageNet",
    "AutoAugment-SVHN",
]
NETWORKS = [name for name in NAMES if not name.startswith("AutoAugment")]
IMAGENET = {"image_size": 224, "num_classes": 1000}

# Parameters and multiply-accumulates, counted from the authors' code or timm's.
EXACT = [
    ("NASNet-A", {"filters": 44, "repeats": 4, **IMAGENET}, 5289978, 563638816),
    ("NASNet-A", {"filters": 168, "repeats": 6, "image_size": 331}, 88753150, 23783414658),
    ("AmoebaNet-C", {"filters": 36, "repeats": 6, "image_size": 32, "num_classes": 10}, 3979126, 609700896),
    ("AmoebaNet-C", {"filters": 50, "repeats": 4, **IMAGENET}, 6353815, 676936592),
    ("ENAS", {}, 3894372, 620907552),
    ("DARTS-V1", {"filters": 36, "layers": 20, "image_size": 32, "num_classes": 10}, 3169414, 500987520),
    ("DARTS-V1", {"filters": 48, "layers": 14, **IMAGENET}, 4510432, 505864704),
    ("DARTS-V2", {}, 3349342, 528359040),
    ("DARTS-V2", IMAGENET, 4718752, 529911552),
    ("FBNetV3-A", {}, 8598480, 355514328),
    ("FBNetV3-B", {}, 8598480, 460.1e6),
    ("FBNetV3-C", {}, 9973816, 555578368),
    ("FBNetV3-D", {}, 10306296, 642628864),
    ("ResNet-20", {}, 272474, 40813184),
    ("ResNet-32", {}, 466906, 69124736),
    ("ResNet-56", {}, 855770, 125747840),
    ("EfficientNet-B1", {}, 7794184, 686802832),
    ("RegNetY-600MF", {}, 6055160, 601220992),
]
# As rounded in the papers: millions of parameters, millions of multiply-accumulates.
ROUNDED = [
    ("AmoebaNet-A", {}, 5.1, 555),
    ("AmoebaNet-A", {"filters": 190, "repeats": 6}, 86.7, 23.1e3),
    ("AmoebaNet-A", {"image_size": 32}, 3.2, None),
    ("NASNet-A", {"image_size": 32}, 3.3, None),
    ("PC-DARTS-CIFAR", {}, 3.6, None),
    ("PC-DARTS-ImageNet", {}, 5.3, None),
    ("ISTA-NAS-twostage", {}, 3.32, None),
    ("MiLeNAS", {}, 3.87, None),
]


def environment(space):
    return SimpleNamespace(search_spaces={"aug": autoaugment(), "nas": space})


def tiny(name):
    if name.startswith("FBNetV3"):
        return {"image_size": 64}
    if ENTRIES[name].family == "timm":
        return {"image_size": 32}
    if ENTRIES[name].family == "residual":
        return {"image_size": 8}
    size = {"layers": 3} if ENTRIES[name].family == "darts" else {"repeats": 1}
    return {"image_size": 8, "filters": 4, **size}


def test_the_names_are_the_published_ones():
    assert published.names() == sorted(NAMES)


@pytest.mark.parametrize(("name", "options", "params", "flops"), EXACT)
def test_a_published_network_has_its_published_size(name, options, params, flops):
    found = published.network(name, **options).cost()
    assert found.params == params
    assert found.flops == pytest.approx(flops, rel=1e-3)


@pytest.mark.parametrize(("name", "options", "params", "flops"), ROUNDED)
def test_a_published_network_has_the_size_in_its_paper_as_far_as_that_is_rounded(name, options, params, flops):
    found = published.network(name, **options).cost()
    assert found.params / 1e6 == pytest.approx(params, abs=0.05)
    assert flops is None or found.flops / 1e6 == pytest.approx(flops, rel=2e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_network_runs_forward_and_backward(name):
    model = published.build(name, num_classes=3, **tiny(name))
    size = tiny(name)["image_size"]
    logits = model(torch.randn(4, 3, size, size))
    assert logits.shape == (4, 3)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["NASNet-A", "DARTS-V2", "FBNetV3-A", "ResNet-56", "EfficientNet-B1"])
def test_a_built_network_costs_what_the_arithmetic_says(name):
    options = tiny(name)
    assert cost(published.build(name, **options), options["image_size"]) == published.network(name, **options).cost()


def test_images_of_one_channel_and_an_auxiliary_classifier_are_possible():
    model = published.build("DARTS-V2", image_size=32, in_channels=1, filters=4, layers=3, auxiliary=True)
    assert [logits.shape for logits in model(torch.randn(2, 1, 32, 32))] == [(2, 10), (2, 10)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("NASNet", {}, "did you mean 'NASNet-A'"),
        ("NASNet-A", {"filter": 3}, "did you mean 'filters'"),
        ("EfficientNet-B1", {"filters": 3}, "no option 'filters'"),
        ("AutoAugment-SVHN", {}, "an augmentation policy, not a network"),
        ("NASNet-A", {"image_size": 2}, "too small"),
    ],
)
def test_a_network_that_cannot_be_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        published.build(name, **options)


@pytest.mark.parametrize("name", [name for name in NAMES if ENTRIES[name].family == "darts"])
def test_a_darts_genotype_is_an_exact_action(name):
    env = environment(darts())
    action = published.action(name, env)
    assert (action.agent, action.changes) == ("nas", ())
    decoded, original = env.search_spaces["nas"].decode(action), published.architecture(name)
    for ours, theirs in zip((decoded.normal, decoded.reduction), (original.normal, original.reduction), strict=True):
        for one, other in zip(ours.blocks, theirs.blocks, strict=True):
            edges = [sorted(zip(block.inputs, block.operations, strict=True)) for block in (one, other)]
            assert edges[0] == edges[1]


def test_enas_keeps_the_strict_rule_and_is_an_exact_action():
    env = environment(nasnet())
    assert env.search_spaces["nas"].decode(published.action("ENAS", env)) == published.architecture("ENAS")


@pytest.mark.parametrize("name", ["NASNet-A", "AmoebaNet-A", "AmoebaNet-C"])
def test_cells_that_break_the_strict_rule_are_said_only_as_the_nearest(name):
    env = environment(nasnet())
    with pytest.raises(ValueError, match=r"cell concatenates states.*nearest=True"):
        published.action(name, env)
    action = published.action(name, env, nearest=True)
    assert env.search_spaces["nas"].action_space.contains(list(action))
    assert all("instead of" in change for change in action.changes)
    assert env.search_spaces["nas"].decode(action).normal.blocks == published.architecture(name).normal.blocks


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("FBNetV3")])
def test_a_released_fbnetv3_has_a_nearest_action_that_says_what_it_changed(name):
    env = environment(fbnetv3())
    with pytest.raises(ValueError, match="nearest"):
        published.action(name, env)
    action = published.action(name, env, nearest=True)
    assert env.search_spaces["nas"].encode(env.search_spaces["nas"].decode(action)) == tuple(action)
    assert any("kernel" in change for change in action.changes)


@pytest.mark.parametrize("name", ["AutoAugment-CIFAR10", "AutoAugment-ImageNet", "AutoAugment-SVHN"])
def test_a_learned_policy_is_said_by_its_first_sub_policies(name):
    env = environment(nasnet())
    with pytest.raises(ValueError, match="5 sub-policies"):
        published.action(name, env)
    action = published.action(name, env, nearest=True)
    assert (action.agent, tuple(action)) == ("aug", policy_actions(published.architecture(name))[0])
    assert action.changes == ("sub-policies 1 to 5 of 25",)


@pytest.mark.parametrize("name", ["DARTS-V2", "EfficientNet-B1"])
def test_an_environment_without_such_a_space_is_told_why(name):
    with pytest.raises(ValueError, match="which no agent of this environment chooses"):
        published.action(name, environment(nasnet()), nearest=True)


def test_the_table_has_a_row_for_every_name_with_a_ratio_or_a_reason():
    rows = published.sizes()
    assert [row.name for row in rows] == NAMES
    for row in rows:
        assert row.source
        assert (row.params is None) == row.name.startswith("AutoAugment")
        for ratio in (row.params_ratio, row.flops_ratio):
            assert ratio is None or abs(ratio - 1) < 0.05 or row.note


def test_importing_the_catalogue_and_saying_an_action_load_no_torch():
    code = (
        "import sys; from types import SimpleNamespace as N; from ma2ml_env import published;"
        "from ma2ml_env.search_spaces.darts import darts;"
        "published.action('DARTS-V2', N(search_spaces={'nas': darts()})); published.network('NASNet-A').cost();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
