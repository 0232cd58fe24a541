"""Recipes: which are possible, and that each member reaches the training of a real network."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import torch
from recipes import CHANGED

from ma2ml_env import Pipeline
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.models import build_network
from ma2ml_env.models.darts import DARTSSkeleton
from ma2ml_env.models.dropout import add_dropout
from ma2ml_env.models.fbnetv3 import FBNetV3Skeleton
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.search_spaces.darts import darts
from ma2ml_env.search_spaces.fbnetv3 import Architecture, Group
from ma2ml_env.search_spaces.fbnetv3_recipe import fbnetv3_recipe
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.search_spaces.recipe import OPTIMIZERS, Recipe, recipe
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.tasks.task import Images, Splits

USUAL = Recipe(batch_size=16, drop_path=0.0)
NASNET = NASNetSkeleton(filters=2, repeats=1, stages=2)
SPACES = {
    "recipe": (recipe(batch_sizes=(8, 16, 32)), nasnet().decode(nasnet().default), NASNET),
    "fbnetv3_recipe": (
        fbnetv3_recipe(batch_size=16),
        Architecture(16, 8, (Group(3, 1, 8), Group(3, 2, 8, 2), Group(3, 2, 8, repeats=2, squeeze=True))),
        FBNetV3Skeleton(head_width=16),
    ),
}


@dataclass(frozen=True)
class FewDigits(Digits):
    """The first 64 images of each part."""

    def load(self) -> Splits:
        whole = Digits().load()
        return Splits(*(Images(p.pixels[:64], p.labels[:64]) for p in (whole.train, whole.validation, whole.test)))


def weights(hyper: Recipe, architecture: Any = SPACES["recipe"][1], skeleton: Any = NASNET) -> torch.Tensor:
    pipeline = Pipeline({"nas": (0,)}, {"nas": architecture, "hpo": hyper})
    evaluator = TrainEvaluator(FewDigits(), skeleton, epochs=1, retrain_epochs=1)
    model, _ = evaluator.retrain(pipeline, seed=0)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture(scope="module")
def usual() -> torch.Tensor:
    return weights(USUAL)


def test_the_members_changed_here_are_all_there_are(usual: torch.Tensor) -> None:
    assert list(CHANGED) == [field.name for field in fields(Recipe)]
    assert torch.equal(usual, weights(USUAL)), "the same recipe gives the same weights"


@pytest.mark.parametrize("member", CHANGED)
def test_a_real_network_ends_elsewhere_when_one_member_changes(member: str, usual: torch.Tensor) -> None:
    assert not torch.equal(usual, weights(replace(USUAL, **{member: CHANGED[member]})))


@pytest.mark.parametrize(
    ("name", "decision"), [(name, d.name) for name, (space, *_) in SPACES.items() for d in space.decisions]
)
def test_all_choices_of_a_decision_end_in_different_networks(name: str, decision: str) -> None:
    space, *network = SPACES[name]
    usual = space.choices(space.default)
    choices = next(d.choices for d in space.decisions if d.name == decision)
    ends = [weights(space.build({**usual, decision: choice}), *network) for choice in choices]
    assert all(end.isfinite().all() for end in ends)
    assert len({end.numpy().tobytes() for end in ends}) == len(choices)


def test_the_ranges_of_fbnetv3_are_offered_from_end_to_end() -> None:
    ends = {d.name: (d.choices[0], d.choices[-1]) for d in fbnetv3_recipe(ema_decay=0.9).decisions}
    assert ends == {
        "learning_rate": (0.02, 0.03),
        "optimizer": ("rmsprop", "sgd"),
        "dropout": (0.01, 0.31),
        "drop_path": (0.1, 0.31),
        "mixup": (0.0, 0.41),
        "weight_decay": (7e-6, 21e-6),
        "ema_decay": (0.0, 0.9),
    }


def test_a_recipe_of_fbnetv3_is_encoded_unless_it_differs_in_what_is_not_searched() -> None:
    space = fbnetv3_recipe(batch_size=64)
    built = space.decode(space.default)
    assert built.batch_size == 64
    assert space.encode(built) == space.default
    with pytest.raises(ValueError, match=r"no decision for \['batch_size'\]"):
        space.encode(replace(built, batch_size=32))
    with pytest.raises(ValueError, match=r"'dropout' cannot be 0\.5"):
        space.encode(replace(built, dropout=0.5))


@pytest.mark.parametrize(("bad", "says"), [({"batch_size": 0}, "batch_size"), ({"ema_decay": 0.0}, "ema_decay")])
def test_a_recipe_space_of_fbnetv3_that_cannot_be_is_refused(bad: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fbnetv3_recipe(**bad)


def test_members_that_are_off_are_not_told() -> None:
    assert "dropout" not in str(Recipe())
    assert "dropout 0.1" in str(Recipe(dropout=0.1))


@pytest.mark.parametrize(
    ("architecture", "skeleton"),
    [
        SPACES["recipe"][1:],
        SPACES["fbnetv3_recipe"][1:],
        (darts().decode(darts().default), DARTSSkeleton(filters=4, layers=3)),
    ],
)
def test_dropout_acts_before_the_classifier_of_every_family_in_training_alone(architecture: Any, skeleton: Any) -> None:
    network = build_network(architecture, skeleton, image_size=16, in_channels=1, num_classes=10)
    images = torch.rand(4, 1, 16, 16)
    names, logits = list(network.state_dict()), network.eval()(images)
    add_dropout(network, 0.5)
    assert list(network.state_dict()) == names
    assert torch.equal(network(images), logits)
    dropped: list[float] = []
    network.head[-1][1].register_forward_pre_hook(lambda _, x: dropped.append((x[0] == 0).float().mean().item()))
    for _ in range(20):
        network.train()(images)
    assert sum(dropped) / len(dropped) > 0.4


def test_dropout_is_refused_where_there_is_no_classifier_and_out_of_range() -> None:
    with pytest.raises(ValueError, match="a Conv2d has no linear classifier"):
        add_dropout(torch.nn.Conv2d(1, 1, 1), 0.5)
    with pytest.raises(ValueError, match=r"not 1\.0"):
        add_dropout(torch.nn.Conv2d(1, 1, 1), 1.0)
    with pytest.raises(ValueError, match="dropout"):
        Recipe(dropout=1.0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_momentum_and_weight_decay_reach_every_optimizer(optimizer: str) -> None:
    base = replace(USUAL, optimizer=optimizer, learning_rate=0.01)
    ends = [weights(base), weights(replace(base, momentum=0.5)), weights(replace(base, weight_decay=0.1))]
    assert all(not torch.equal(ends[i], ends[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("member", ["learning_rate", "momentum", "weight_decay", "mixup", "drop_path"])
def test_a_member_that_is_not_a_number_is_refused(member: str) -> None:
    with pytest.raises(ValueError, match=member):
        Recipe(**{member: math.nan})


@pytest.mark.parametrize("bad", [{"learning_rates": [0.1, -0.1]}, {"batch_sizes": [0]}, {"learning_rates": []}])
def test_a_space_with_an_impossible_value_is_refused_when_it_is_made(bad: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad)).removesuffix("s")):
        recipe(**bad)
