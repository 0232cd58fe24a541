"""The final training: interrupted anywhere and resumed, it makes the model that it would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import ma2ml_env
from ma2ml_env import Pipeline
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import Resumable
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.training import pipeline_training
from ma2ml_env.training.checkpoint import Checkpoint, begun_training

EPOCHS = 3
RECIPES = [
    Recipe(batch_size=128, momentum=0.9, mixup=0.2, drop_path=0.2, dropout=0.2, ema_decay=0.9, warmup=0.1),
    Recipe(learning_rate=2e-3, optimizer="adamw", batch_size=128, label_smoothing=0.1),
    Recipe(learning_rate=1e-3, optimizer="rmsprop", batch_size=128, schedule="linear"),
]


class StoppedError(Exception):
    """Stands in for a kill between two epochs."""


class EveryEpoch(Checkpoint):
    """Writes after every epoch, however short."""

    def offer(self, state: Any) -> None:
        self.seconds = 0.0
        super().offer(state)


@pytest.fixture(autouse=True)
def _checkpoints_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_training, "Checkpoint", EveryEpoch)


def case(recipe: Recipe) -> tuple[Any, Pipeline]:
    env = ma2ml_env.make("ma2ml/digits-v0", filters=2, retrain_epochs=EPOCHS)
    usual = env.decode({agent: space.default for agent, space in env.search_spaces.items()})
    return env.evaluator, Pipeline(usual.action, {**{agent: usual[agent] for agent in usual}, "hpo": recipe})


def stop_after(epoch: int):
    def on_epoch(number: int, loss: float, accuracy: float) -> None:
        if number == epoch + 1:
            raise StoppedError

    return on_epoch


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.optimizer)
def test_a_training_that_was_stopped_after_any_epoch_ends_as_one_that_was_not(recipe: Recipe, tmp_path: Path) -> None:
    evaluator, pipeline = case(recipe)
    points: list[tuple[int, float, float]] = []
    whole, accuracy = evaluator.retrain_observed(pipeline, seed=1, on_epoch=lambda *point: points.append(point))
    file, again = tmp_path / "final.pt", list[tuple[int, float, float]]()
    for epoch in (1, 2):
        with pytest.raises(StoppedError):
            evaluator.retrain_observed(pipeline, seed=1, checkpoint=file, on_epoch=stop_after(epoch))
    torch.rand(7)  # whatever another process has drawn
    resumed, resumed_accuracy = evaluator.retrain_observed(
        pipeline, seed=1, checkpoint=file, on_epoch=lambda *point: again.append(point)
    )
    assert (again, resumed_accuracy) == (points, accuracy)
    state = resumed.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.network.state_dict().items())


def test_only_the_epochs_after_the_checkpoint_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator, pipeline = case(RECIPES[0])
    with pytest.raises(StoppedError):
        evaluator.retrain_observed(pipeline, seed=1, checkpoint=tmp_path / "final.pt", on_epoch=stop_after(2))
    trained: list[int] = []
    run_epoch = pipeline_training.Fit.run_epoch
    monkeypatch.setattr(
        pipeline_training.Fit, "run_epoch", lambda self: (trained.append(self.epoch + 1), run_epoch(self))
    )
    evaluator.retrain_observed(pipeline, seed=1, checkpoint=tmp_path / "final.pt")
    assert trained == [3]


def test_checkpoints_of_other_trainings_and_damaged_ones_are_not_used(tmp_path: Path) -> None:
    evaluator, pipeline = case(RECIPES[1])
    file, alone = tmp_path / "final.pt", evaluator.retrain_observed(pipeline, seed=2, epochs=1)[1]
    with pytest.raises(StoppedError):
        evaluator.retrain_observed(pipeline, seed=1, checkpoint=file, on_epoch=stop_after(1))
    assert evaluator.retrain_observed(pipeline, seed=2, epochs=1, checkpoint=file)[1] == alone
    file.write_bytes(file.read_bytes()[:100])
    assert begun_training(file) is None
    assert evaluator.retrain_observed(pipeline, seed=2, epochs=1, checkpoint=file)[1] == alone


def test_a_checkpoint_is_no_pickle_of_objects(tmp_path: Path) -> None:
    evaluator, pipeline = case(RECIPES[0])
    with pytest.raises(StoppedError):
        evaluator.retrain_observed(pipeline, seed=1, checkpoint=tmp_path / "final.pt", on_epoch=stop_after(1))
    assert begun_training(tmp_path / "final.pt") == (pipeline.key, EPOCHS, 1)
    document = torch.load(tmp_path / "final.pt", weights_only=True)
    assert document["identity"]["seed"] == 1
    assert document["state"]["epoch"] == 1


def test_a_longer_training_takes_as_many_evaluations_as_it_reads_more_images() -> None:
    evaluator, _ = case(RECIPES[0])
    splits = evaluator.task.load()
    assert isinstance(evaluator, Resumable)
    both = len(splits.train) + len(splits.validation)
    assert evaluator.retrain_length() == pytest.approx(EPOCHS / 5 * both / len(splits.train))


def test_the_weights_are_averaged_over_a_tenth_of_the_steps_and_never_over_fewer_than_the_recipe_wants() -> None:
    assert pipeline_training.averaged(Recipe(), 1000).ema_decay == pytest.approx(0.99)
    assert pipeline_training.averaged(Recipe(), 1000) == Recipe(ema_decay=1 - 1 / 100)
    assert pipeline_training.averaged(Recipe(ema_decay=0.999), 1000).ema_decay == 0.999
    assert pipeline_training.averaged(Recipe(), 5) == Recipe()


def test_the_final_model_holds_the_average_of_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator, pipeline = case(RECIPES[1])
    started: list[pipeline_training.Fit] = []
    start = pipeline_training.PipelineTraining._started

    def note(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(pipeline_training.PipelineTraining, "_started", note)
    model, _ = evaluator.retrain(pipeline, seed=0)
    (training,) = started
    last, kept = training.network.state_dict(), model.network.state_dict()
    assert training.average is not None
    assert model.network is training.average.module
    assert any(not torch.equal(last[name], kept[name]) for name in kept)


def test_no_epochs_are_refused() -> None:
    evaluator, pipeline = case(RECIPES[0])
    with pytest.raises(MA2MLError, match="epochs must be in 1"):
        evaluator.retrain_observed(pipeline, seed=0, epochs=0)
