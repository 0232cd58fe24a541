"""Validation accuracy after chosen epochs only, on a part of the images until the last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import ma2ml_env
from ma2ml_env.tasks.task import Images
from ma2ml_env.training import pipeline_training

TINY: dict[str, Any] = {"filters": 2, "retrain_epochs": 1}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_training, "MEASURED_IMAGES", 50)


def evaluated(**options: Any) -> ma2ml_env.Result:
    env = ma2ml_env.make("ma2ml/digits-v0", **TINY, **{"epochs": 4, **options})
    return env.evaluate(env.decode({agent: space.default for agent, space in env.search_spaces.items()}))


def test_the_curve_has_the_measured_epochs_and_the_end_and_the_accuracy_is_as_before(few: None) -> None:
    every, some = evaluated(), evaluated(measured_epochs=(1, 3))
    assert len(some.curve) == 3
    assert (some.accuracy, some.curve[-1]) == (every.accuracy, every.curve[-1])
    assert all((share * 50).is_integer() for share in some.curve[:-1])


def test_epochs_beyond_the_end_are_not_measured(few: None) -> None:
    assert len(evaluated(measured_epochs=(1, 4, 9)).curve) == 2
    assert len(evaluated(measured_epochs=()).curve) == 1


def test_images_of_all_validation_are_measured_at_the_end_and_the_same_few_before(monkeypatch) -> None:
    sizes: list[int] = []
    usual = pipeline_training.accuracy
    monkeypatch.setattr(pipeline_training, "MEASURED_IMAGES", 50)
    monkeypatch.setattr(pipeline_training, "accuracy", lambda *given: sizes.append(len(given[1])) or usual(*given))
    evaluated(measured_epochs=(2, 3))
    assert sizes == [50, 50, 359]


def test_the_few_images_are_spread_over_all(few: None) -> None:
    rows = torch.arange(120)
    some = pipeline_training._evenly_spaced(Images(rows, rows))
    assert some.labels.tolist() == [number * 120 // 50 for number in range(50)]


def test_a_training_is_stopped_after_a_measured_epoch(few: None) -> None:
    env = ma2ml_env.make("ma2ml/digits-v0", **TINY, epochs=4, measured_epochs=(2,))
    pipeline = env.decode({agent: space.default for agent, space in env.search_spaces.items()})
    stopped = env.evaluator(pipeline, seed=0, stop_below=[1.0])
    assert (len(stopped.curve), stopped.pruned) == (1, True)
    whole = env.evaluator(pipeline, seed=0, stop_below=[0.0, 1.0])
    assert (len(whole.curve), whole.pruned) == (2, False)


def test_only_chosen_epochs_are_part_of_the_definition() -> None:
    usual = ma2ml_env.make("ma2ml/digits-v0").evaluator
    assert "measured_epochs" not in usual.definition
    assert replace(usual, measured_epochs=(1, 2)).definition["measured_epochs"] == [1, 2]


@pytest.mark.parametrize("measured", [(0,), (2, 2), (3, 1)])
def test_epochs_that_do_not_ascend_are_refused(measured: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="measured_epochs ascend"):
        evaluated(measured_epochs=measured)
