"""The final training: interrupted anywhere and resumed, it makes the model that it would have made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ma2ml_env
from ma2ml_env import Pipeline
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import Resumable
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.tasks.task import Images, share_of
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
        pipeline_training.Fit,
        "run_epoch",
        lambda self, on_step: (trained.append(self.epoch + 1), run_epoch(self, on_step)),
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
    assert begun_training(tmp_path / "final.pt") == (pipeline.key, EPOCHS, 1, 1.0)
    document = torch.load(tmp_path / "final.pt", weights_only=True)
    assert document["identity"]["seed"] == 1
    assert document["state"]["epoch"] == 1


def test_a_longer_training_takes_as_many_evaluations_as_it_reads_more_images() -> None:
    evaluator, _ = case(RECIPES[0])
    splits = evaluator.task.load()
    assert isinstance(evaluator, Resumable)
    both = len(splits.train) + len(splits.validation)
    assert evaluator.retrain_length() == pytest.approx(EPOCHS / 5 * both / len(splits.train))
    two = replace(evaluator, retrain_threads=2).retrain_length()
    assert evaluator.retrain_length() / 2 < two < evaluator.retrain_length(), "threads help, but not in full"


def test_a_final_training_on_a_share_of_the_images_has_as_many_steps_as_they_are_worth_and_tells_of_each() -> None:
    evaluator, pipeline = case(RECIPES[1])
    both = evaluator.task.load().train_and_validation
    told, points = list[float](), list[tuple[int, float, float]]()
    evaluator.retrain_observed(
        pipeline, seed=1, epochs=2, share=0.3, on_step=told.append, on_epoch=lambda *point: points.append(point)
    )
    steps = len(share_of(both, 0.3)) // RECIPES[1].batch_size
    assert told == pytest.approx([step / steps for step in range(1, 2 * steps + 1)])
    assert [epoch for epoch, _, _ in points] == [1, 2]
    with pytest.raises(MA2MLError, match=r"share is a share of the images in \(0, 1\], not 0"):
        evaluator.retrain_observed(pipeline, seed=0, share=0)


def test_a_share_of_images_has_the_same_share_of_each_class_and_at_least_one() -> None:
    labels = torch.tensor([2, 0, 2, 0, 2, 0, 2, 0, 2, 2, 4])
    images = Images(torch.arange(11, dtype=torch.uint8).reshape(-1, 1, 1, 1), labels)
    half = share_of(images, 0.5)
    assert torch.bincount(half.labels).tolist() == [2, 0, 3, 0, 1]
    assert half.pixels.flatten().tolist() == [0, 1, 4, 5, 8, 10], "evenly spaced, in their order"
    assert torch.bincount(share_of(images, 1e-6).labels).tolist() == [1, 0, 1, 0, 1]
    assert share_of(images, 1.0) is images


def test_a_checkpoint_is_of_the_images_that_it_was_trained_on(tmp_path: Path) -> None:
    evaluator, pipeline = case(RECIPES[1])
    file = tmp_path / "final.pt"
    with pytest.raises(StoppedError):
        evaluator.retrain_observed(pipeline, seed=1, share=0.5, checkpoint=file, on_epoch=stop_after(1))
    assert begun_training(file) == (pipeline.key, EPOCHS, 1, 0.5)
    alone = evaluator.retrain_observed(pipeline, seed=1)[1]
    assert evaluator.retrain_observed(pipeline, seed=1, checkpoint=file)[1] == alone


def test_a_final_training_has_all_images_where_a_search_has_most_of_them() -> None:
    evaluator, _ = case(RECIPES[0])
    assert evaluator.least_share() == 1


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


def test_denormal_numbers_are_zero_in_a_training_and_afterwards_as_before() -> None:
    def survives() -> bool:
        return bool((torch.tensor(torch.finfo(torch.float32).tiny) / 2).view(torch.int32))

    evaluator, pipeline = case(RECIPES[0])
    inside = list[bool]()
    for before in (False, True):
        torch.set_flush_denormal(before)
        try:
            evaluator.retrain_observed(pipeline, seed=0, epochs=1, on_step=lambda _: inside.append(survives()))
            assert survives() is not before
        finally:
            torch.set_flush_denormal(False)
    assert inside
    assert not any(inside)


def test_no_epochs_are_refused() -> None:
    evaluator, pipeline = case(RECIPES[0])
    with pytest.raises(MA2MLError, match="epochs must be in 1"):
        evaluator.retrain_observed(pipeline, seed=0, epochs=0)
