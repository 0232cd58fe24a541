"""Boosted trees without LightGBM answer as LightGBM does."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from ma2ml_env.surrogate.boosted_trees import BoostedTrees


def fitted(leaves: int, rows: int = 400, trees: int = 30) -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(leaves)
    table = rng.normal(size=(rows, 6)).round(1)
    target = np.sin(table[:, 0]) + table[:, 1] * (table[:, 2] > 0) + 0.1 * rng.normal(size=rows)
    settings = {"num_leaves": leaves, "min_data_in_leaf": 2, "verbose": -1, "num_threads": 1, "objective": "regression"}
    return lightgbm.train(settings, lightgbm.Dataset(table, target), trees), table


@pytest.mark.parametrize("leaves", [2, 12, 64])
def test_every_prediction_is_that_of_lightgbm_to_the_last_bit(leaves: int) -> None:
    booster, table = fitted(leaves)
    unseen = np.random.default_rng(1).normal(size=(700, 6))
    trees = BoostedTrees.from_lightgbm(booster.model_to_string())
    for rows in (table, unseen, unseen[:1]):
        np.testing.assert_array_equal(trees(rows), booster.predict(rows))


def test_a_threshold_itself_goes_to_the_left() -> None:
    booster, table = fitted(12)
    trees = BoostedTrees.from_lightgbm(booster.model_to_string())
    rows = np.repeat(table[:1], trees.thresholds[0].size, axis=0)
    rows[np.arange(len(rows)), trees.columns[0]] = trees.thresholds[0]
    np.testing.assert_array_equal(trees(rows), booster.predict(rows))


def test_a_tree_that_is_one_leaf_is_a_constant() -> None:
    booster, _ = fitted(4, rows=3, trees=2)
    trees = BoostedTrees.from_lightgbm(booster.model_to_string())
    np.testing.assert_array_equal(trees(np.zeros((2, 6))), booster.predict(np.zeros((2, 6))))


def test_a_tree_of_too_many_leaves_is_refused() -> None:
    booster, _ = fitted(80, rows=2000, trees=1)
    with pytest.raises(ValueError, match="at most 64 leaves, not"):
        BoostedTrees.from_lightgbm(booster.model_to_string())


def test_splits_by_category_and_texts_without_trees_are_refused() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 4, size=(300, 1)).astype(float)
    data = lightgbm.Dataset(table, (table[:, 0] % 2), categorical_feature=[0])
    booster = lightgbm.train({"min_data_per_group": 1, "cat_smooth": 0, "verbose": -1}, data, 1)
    with pytest.raises(ValueError, match="only numeric splits"):
        BoostedTrees.from_lightgbm(booster.model_to_string())
    with pytest.raises(ValueError, match="at least one tree"):
        BoostedTrees.from_lightgbm("tree\nversion=v4\n")
