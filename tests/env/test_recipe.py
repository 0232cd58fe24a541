"""Recipes: which are possible, and that each member reaches the training of a real network."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import pytest
import torch

from ma2ml_env import Pipeline
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.search_spaces.recipe import OPTIMIZERS, Recipe, recipe
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.tasks.task import Images, Splits

USUAL = Recipe(batch_size=16, drop_path=0.0)
CHANGED = {
    "learning_rate": 0.02,
    "optimizer": "momentum",
    "momentum": 0.5,
    "weight_decay": 0.1,
    "batch_size": 32,
    "schedule": "constant",
    "warmup": 0.5,
    "label_smoothing": 0.2,
    "mixup": 0.5,
    "drop_path": 0.5,
    "ema_decay": 0.5,
}


@dataclass(frozen=True)
class FewDigits(Digits):
    """The first 64 images of each part."""

    def load(self) -> Splits:
        whole = Digits().load()
        return Splits(*(Images(p.pixels[:64], p.labels[:64]) for p in (whole.train, whole.validation, whole.test)))


def weights(hyper: Recipe) -> torch.Tensor:
    space = nasnet()
    pipeline = Pipeline({"nas": space.default}, {"nas": space.decode(space.default), "hpo": hyper})
    evaluator = TrainEvaluator(FewDigits(), NASNetSkeleton(filters=2, repeats=1, stages=2), epochs=1, retrain_epochs=1)
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
