"""Training of the networks that pipelines describe, on one task and one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ma2ml_env.models import build_network
from ma2ml_env.models.dropout import add_dropout
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.search_spaces.trivialaugment import fewest_epochs, trivial_augment
from ma2ml_env.tasks.task import Images, Splits, share_of
from ma2ml_env.training.checkpoint import Checkpoint
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.loop import DivergedError, Fit, Fitting, Normalization, accuracy, fit
from ma2ml_env.training.precision import denormals_flushed, precision
from ma2ml_env.types import Pipeline

AVERAGED = 0.1
"""Share of the steps of a final training over which weights are averaged (`experiments/final_training.py`)."""
MEASURED_IMAGES = 2000
"""Validation images, evenly spaced among all, of a measurement before the end of a training."""


@dataclass(frozen=True)
class PipelineTraining:
    """Trains networks on a task.

    Attributes:
        task: source of images, a `Task`.
        skeleton: network skeleton that an architecture is put into.
        device: `"cpu"`, `"cuda"` or `"cuda:0"`, ...
        threads: CPU threads of one training.
        metric: measure of a network, as of `ma2ml_env.training.loop.accuracy`.
        precision: number format, as of `ma2ml_env.training.precision.precision`.
        final_augmentation: that of the final training: `"policy"`, `"trivial"` for TrivialAugment in place of the
            policy, or `"auto"` for the latter where the training is long enough for it.
    """

    task: Any
    skeleton: Any
    device: str
    threads: int
    metric: str = "accuracy"
    precision: str = "auto"
    final_augmentation: str = "policy"

    @property
    def splits(self) -> Splits:
        """Images on the device, read once per process."""
        return _splits_on(self.task, self.device)

    def build(self, pipeline: Pipeline) -> nn.Module:
        """Returns the untrained network on the device; its weights are drawn from torch's own generator."""
        recipe, task = pipeline.get("hpo", Recipe()), self.task
        network = build_network(
            pipeline["nas"],
            self.skeleton,
            image_size=task.image_size,
            in_channels=task.channels,
            num_classes=len(task.classes),
            drop_path=recipe.drop_path,
        )
        network.to(device=torch.device(self.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.dropout:
            add_dropout(network, recipe.dropout)
        return network

    def validation_curve(
        self,
        pipeline: Pipeline,
        seed: int,
        epochs: int,
        measured: Sequence[int],
        *,
        in_part: bool,
        stop_below: Sequence[float] = (),
    ) -> tuple[list[float], str | None]:
        """Trains on the train part and measures validation accuracy on the way.

        Args:
            pipeline: to train.
            seed: seed of the environment.
            epochs: number of epochs of the training.
            measured: epochs after which accuracy is measured, ascending; the last one is `epochs`.
            in_part: whether measurements before the last one use `MEASURED_IMAGES` of the images only.
            stop_below: for each measurement, accuracy below which the training is stopped after it; NaN and missing
                ones stop nothing.

        Returns:
            Accuracy at each measurement, and the reason of a failure: a diverged loss or exhausted memory.
        """
        splits, curve = self.splits, list[float]()
        some = _evenly_spaced(splits.validation) if in_part else splits.validation
        normalization = Normalization.of(splits.train)

        def go_on_after(epoch: int, network: nn.Module) -> bool:
            if epoch not in measured:
                return True
            images = splits.validation if epoch == epochs else some
            curve.append(accuracy(network, images, normalization, self.metric))
            return not (len(curve) <= len(stop_below) and curve[-1] < stop_below[len(curve) - 1])

        try:
            self._fit(pipeline, seed, splits.train, epochs, go_on_after)
        except DivergedError as failure:
            return curve, str(failure)
        except (MemoryError, RuntimeError) as failure:
            if not _out_of_memory(failure):
                raise
            return curve, f"out of memory: {str(failure).splitlines()[0]}"
        return curve, None

    def final_model(
        self,
        pipeline: Pipeline,
        seed: int,
        epochs: int,
        checkpoint: Path | None = None,
        on_epoch: Callable[[int, float, float], None] = lambda epoch, loss, accuracy: None,
        *,
        share: float = 1.0,
        on_step: Callable[[float], None] = lambda epochs: None,
    ) -> tuple[Classifier, float]:
        """Trains on train and validation together, from a checkpoint if there is one of the same training.

        The weights are averaged over the last tenth of the steps, or over more where the recipe averages over more.

        Args:
            pipeline: to train.
            seed: seed of the environment.
            epochs: number of epochs of the training.
            checkpoint: file of the checkpoint; None for none.
            on_epoch: receives (epoch from 1, mean training loss, training accuracy).
            share: share of the images of each class to train on, in (0, 1].
            on_step: receives the number of epochs so far, a fraction, after every step.

        Returns:
            The model, in evaluation mode on the CPU, and its test accuracy.

        Raises:
            DivergedError: if the training diverges.
        """
        both = _moved(share_of(self.task.load().train_and_validation, share), self.device)
        with self._deterministic(pipeline.random_seed(seed)):
            training = self._started(pipeline, seed, both, epochs, final=True)
            file = Checkpoint(checkpoint, self._identity(pipeline, seed, epochs, len(both), share))
            if (state := file.load()) is not None:
                training.load_state_dict(state)
            for number, point in enumerate(training.curve, start=1):
                on_epoch(number, *point)
            while training.epoch < epochs:
                training.run_epoch(on_step)
                on_epoch(training.epoch, *training.curve[-1])
                file.offer(training.state_dict)
            network = training.evaluated
        normalization = Normalization.of(self.splits.train)
        with self._deterministic(0):
            test = accuracy(network, self.splits.test, normalization, self.metric)
        model = Classifier(network.cpu(), pipeline["nas"], self.skeleton, normalization, self.task)
        return model.eval(), test

    def has_trivial_augment(self, epochs: int, images: int) -> bool:
        """Whether a final training of so many epochs on so many images has TrivialAugment in place of the policy."""
        if self.final_augmentation == "auto":
            return epochs >= fewest_epochs(images)
        return self.final_augmentation == "trivial"

    def _fit(
        self,
        pipeline: Pipeline,
        seed: int,
        images: Images,
        epochs: int,
        go_on_after: Callable[[int, nn.Module], bool],
    ) -> nn.Module:
        """Trains a fresh network; `go_on_after(epoch, network)` decides after each epoch whether to go on."""
        with self._deterministic(pipeline.random_seed(seed)):
            return fit(self._started(pipeline, seed, images, epochs), go_on_after)

    def _started(self, pipeline: Pipeline, seed: int, images: Images, epochs: int, *, final: bool = False) -> Fit:
        """A training of a fresh network, before its first epoch; draws weights from torch's own generator."""
        device, task, recipe = torch.device(self.device), self.task, pipeline.get("hpo", Recipe())
        policy = pipeline.get("aug")
        if final:
            recipe = averaged(recipe, epochs * (len(images) // recipe.batch_size))
            policy = trivial_augment() if self.has_trivial_augment(epochs, len(images)) else policy
        fitting = Fitting(
            images,
            Normalization.of(self.splits.train),
            policy,
            recipe,
            epochs,
            len(task.classes),
            device,
            getattr(task, "augmentation", "none"),
        )
        generator = torch.Generator(device).manual_seed(pipeline.random_seed(seed))
        return Fit(self.build(pipeline), fitting, generator, watched=final)

    @contextmanager
    def _deterministic(self, seed: int) -> Iterator[None]:
        """Seeds torch, sets its threads and arithmetic for one training; afterwards all are as before."""
        before, devices = torch.get_num_threads(), [self.device] if self.device != "cpu" else []
        with torch.random.fork_rng(devices=devices), precision(self.precision), denormals_flushed():
            torch.manual_seed(seed)
            torch.set_num_threads(self.threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)

    def _identity(self, pipeline: Pipeline, seed: int, epochs: int, images: int, share: float) -> dict[str, Any]:
        """All that determines a final training, as plain values."""
        parts = {"task": str(self.task.name), "network": repr(self.skeleton), "device": self.device}
        more = {"augmentation": "trivial"} if self.has_trivial_augment(epochs, images) else {}
        part = {"share": share} if share < 1 else {}
        return {"pipeline": pipeline.key, "seed": seed, "epochs": epochs, **parts, **more, **part}


def averaged(recipe: Recipe, steps: int) -> Recipe:
    """Returns a recipe that averages weights over at least `AVERAGED` of the steps.

    Args:
        recipe: recipe of the search, which may average over more.
        steps: steps of the training.
    """
    return replace(recipe, ema_decay=max(recipe.ema_decay, 1 - 1 / max(1.0, AVERAGED * steps)))


@cache
def _splits_on(task: Any, device: str) -> Splits:
    splits = task.load()
    return Splits(*(_moved(part, device) for part in (splits.train, splits.validation, splits.test)))


def _evenly_spaced(images: Images) -> Images:
    """`MEASURED_IMAGES` of the images, evenly spaced, or all if there are not so many."""
    if len(images) <= MEASURED_IMAGES:
        return images
    rows = torch.arange(MEASURED_IMAGES) * len(images) // MEASURED_IMAGES
    return Images(images.pixels[rows.to(images.pixels.device)], images.labels[rows.to(images.labels.device)])


def _moved(images: Images, device: str) -> Images:
    """The images on the device; only the labels of more than a quarter of its memory, or than is free."""
    pixels = images.pixels
    if device == "cpu" or pixels.nbytes <= torch.cuda.get_device_properties(device).total_memory // 4:
        with suppress(torch.OutOfMemoryError):
            pixels = pixels.to(device, non_blocking=True)
    return Images(pixels, images.labels.to(device, non_blocking=True))


def _out_of_memory(failure: Exception) -> bool:
    text = str(failure).lower()
    return isinstance(failure, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text
