"""Balanced accuracy as what an evaluator measures."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

import ma2ml_env
from ma2ml_env.errors import UnknownNameError
from ma2ml_env.search_space import decode_joint
from ma2ml_env.tasks.task import Images
from ma2ml_env.training.loop import Normalization, accuracy


class FirstPixel(nn.Module):
    """Takes the first pixel for the class."""

    def forward(self, pixels):
        return nn.functional.one_hot(pixels[:, 0, 0, 0].mul(255).round().long(), 5).float()


@pytest.mark.parametrize("classes", [[0, 1, 2, 3, 4], [0, 2, 4]])
def test_balanced_accuracy_is_that_of_scikit_learn(classes: list[int]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(classes, size=1100)
    predicted = rng.integers(0, 5, size=1100)
    pixels = torch.from_numpy(predicted.astype(np.uint8)).reshape(-1, 1, 1, 1)
    images = Images(pixels, torch.from_numpy(labels))
    found = accuracy(FirstPixel(), images, Normalization([0.0], [1.0]), "balanced_accuracy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-12)
    assert accuracy(FirstPixel(), images, Normalization([0.0], [1.0])) == np.mean(labels == predicted)


def test_only_another_metric_is_part_of_the_definition() -> None:
    usual, balanced = (ma2ml_env.make("ma2ml/digits-v0", metric=metric) for metric in ("accuracy", "balanced_accuracy"))
    assert usual.definition == ma2ml_env.make("ma2ml/digits-v0").definition
    assert "metric" not in usual.evaluator.definition
    assert balanced.evaluator.definition["metric"] == "balanced_accuracy"
    assert balanced.definition != usual.definition
    with pytest.raises(UnknownNameError, match=r"unknown metric 'balanced'; did you mean 'balanced_accuracy'\?"):
        ma2ml_env.make("ma2ml/digits-v0", metric="balanced")


def test_the_evaluator_measures_what_it_is_asked_for() -> None:
    env = ma2ml_env.make("ma2ml/digits-v0", metric="balanced_accuracy", epochs=1)
    pipeline = decode_joint(env.search_spaces, {agent: space.default for agent, space in env.search_spaces.items()})
    balanced = env.evaluator(pipeline, seed=0).accuracy
    plain = ma2ml_env.make("ma2ml/digits-v0", epochs=1).evaluator(pipeline, seed=0).accuracy
    assert balanced != plain
    assert balanced == pytest.approx(plain, abs=0.1)
