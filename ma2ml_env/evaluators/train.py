"""The evaluator that trains a real network: augmentation x architecture x recipe -> validation accuracy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ma2ml_env.errors import MA2MLError, require_range
from ma2ml_env.models import build_network, count
from ma2ml_env.models.dropout import add_dropout
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.tasks.task import Images, Splits, Task
from ma2ml_env.training.classifier import Classifier, ImageForm, described_network
from ma2ml_env.training.loop import DivergedError, Fitting, Normalization, accuracy, fit
from ma2ml_env.types import Cost, Pipeline, Result

MOST_EPOCHS, MOST_THREADS = 1_000_000, 4096
TRAINING_VERSION = 1
"""Raised by whatever changes the accuracy that a pipeline gets; stored results of another version are refused."""
MEASURED_IMAGES = 2000
"""Validation images, evenly spaced among all, of a measurement before the end of a training."""


@dataclass(frozen=True)
class TrainEvaluator:
    """Trains the network that a pipeline describes.

    Reads `pipeline["nas"]`, and `pipeline["aug"]` and `pipeline["hpo"]` where there are such agents.

    Args:
        task: the images.
        network: the skeleton that the architecture is put into.
        epochs: of a training in the search, at least 1.
        retrain_epochs: of the training that makes the final model, at least 1.
        device: `"cpu"` or `"cuda"`, with bfloat16 and channels last on CUDA, where equal seeds may differ in the last
            digits.
        threads: CPU threads of one training. Results depend on it in the last digits, so it is fixed here and
            does not follow the machine.
        measured_epochs: after which epochs accuracy is measured before the end, on `MEASURED_IMAGES` fixed validation
            images; after the last epoch it is measured on all of them. None: on all of them after every epoch.

    Raises:
        ValueError: for fewer than one epoch or thread, measured epochs that do not ascend from 1 or later, or a
            device that torch does not see.

    Source: MA2ML trains each sampled pipeline on a proxy and measures validation accuracy; the details are ours.
    """

    task: Any
    network: Any
    epochs: int
    retrain_epochs: int
    device: str = "cpu"
    threads: int = 1
    measured_epochs: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        measured = (0, *(self.measured_epochs or ()))
        if any(later <= earlier for earlier, later in pairwise(measured)):
            raise MA2MLError(f"measured_epochs ascend and are at least 1, not {list(measured[1:])}")
        for name, most in {"epochs": MOST_EPOCHS, "retrain_epochs": MOST_EPOCHS, "threads": MOST_THREADS}.items():
            require_range(name, getattr(self, name), 1, most)
        if self.device not in ("cpu", "cuda") and not self.device.startswith("cuda:"):
            raise MA2MLError(f"unknown device {self.device!r}; it is 'cpu', 'cuda' or 'cuda:0', 'cuda:1', ...")
        if self.device != "cpu" and not torch.cuda.is_available():
            raise MA2MLError(f"device {self.device!r} is asked for, but torch sees no CUDA device; use 'cpu'")

    def __call__(
        self, pipeline: Pipeline, *, seed: int, epochs: int | None = None, stop_below: Sequence[float] = ()
    ) -> Result:
        """Train on the train part, measure on the validation part.

        Args:
            pipeline: to train.
            seed: of the environment.
            epochs: takes the place of the evaluator's; its schedules are those of a training of so many.
            stop_below: for each measured epoch, from the first, the validation accuracy below which training is stopped
                after it; NaN and missing ones stop nothing. The result is `pruned` then.

        Raises:
            ValueError: for fewer than one epoch.
        """
        if epochs is not None:
            require_range("epochs", epochs, 1, MOST_EPOCHS)
        started = time.perf_counter()
        epochs = epochs or self.epochs
        cost = self.cost(pipeline)
        splits = _on_device(self.task, self.device)
        curve: list[float] = []
        try:
            self._fit(pipeline, seed, splits.train, epochs, splits.validation, curve, stop_below)
            error = None
        except DivergedError as failure:
            error = str(failure)
        except (MemoryError, RuntimeError) as failure:
            if not _out_of_memory(failure):
                raise
            error = f"out of memory: {str(failure).splitlines()[0]}"
        final = 0.0 if error else curve[-1]
        pruned = error is None and len(curve) < len(self._measured(epochs))
        return Result(final, cost.flops, cost.params, time.perf_counter() - started, error, tuple(curve), pruned)

    @property
    def definition(self) -> dict[str, Any]:
        """What a result depends on beside pipeline and seed; device and threads change its last digits only."""
        parts = {"task": _chosen(self.task), "network": _chosen(self.network), "epochs": self.epochs}
        standard = getattr(self.task, "augmentation", "none")
        always = {} if standard == "none" else {"augmentation": standard}
        measured = {} if self.measured_epochs is None else {"measured_epochs": list(self.measured_epochs)}
        return {"kind": "train", "version": TRAINING_VERSION, **parts, **always, **measured}

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters of the network, by arithmetic, before anything is trained."""
        return count(pipeline["nas"], self.network, **self._shapes())

    def build(self, pipeline: Pipeline) -> nn.Module:
        """The network, untrained and on the device; its weights are drawn from torch's own generator."""
        recipe = pipeline.get("hpo", Recipe())
        network = build_network(pipeline["nas"], self.network, drop_path=recipe.drop_path, **self._shapes())
        network.to(device=torch.device(self.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.dropout:
            add_dropout(network, recipe.dropout)
        return network

    def prepare(self) -> None:
        """Read the images, so that missing data is noticed before anything is trained.

        Raises:
            MissingDataError: if the task's files are not there.
        """
        _on_device(self.task, self.device)

    def check_savable(self) -> None:
        """Check, before anything is trained, that the model of `retrain` can be saved.

        Raises:
            MA2MLError: if it cannot: the network is of no kind that this package builds by name.
        """
        described_network(self.network)
        ImageForm.of(self.task)

    def retrain(self, pipeline: Pipeline, *, seed: int) -> tuple[Classifier, float]:
        """Train the final model on train and validation together.

        Returns:
            The model, in evaluation mode on the CPU, and its test accuracy.

        Raises:
            DivergedError: if the longer training diverges.
        """
        splits = _on_device(self.task, self.device)
        both = _moved(self.task.load().train_and_validation, self.device)
        network = self._fit(pipeline, seed, both, self.retrain_epochs, None, [])
        normalization = Normalization.of(splits.train)
        with _deterministic(0, self.device, self.threads):
            test = accuracy(network, splits.test, normalization)
        model = Classifier(network.cpu(), pipeline["nas"], self.network, normalization, self.task)
        return model.eval(), test

    def sample_images(self, count: int) -> Any:
        """Training images from all over, uint8 (count, channels, height, width), to draw or to measure.

        Args:
            count: how many, fewer if there are not so many.
        """
        pixels = self.task.load().train.pixels
        return pixels[:: max(1, len(pixels) // count)][:count]

    def _fit(
        self,
        pipeline: Pipeline,
        seed: int,
        images: Images,
        epochs: int,
        validation: Images | None,
        curve: list[float],
        stop_below: Sequence[float] = (),
    ) -> nn.Module:
        """Train a fresh network; its validation accuracy after each measured epoch is appended to `curve`."""
        random_seed = pipeline.random_seed(seed)
        device = torch.device(self.device)
        normalization = Normalization.of(_on_device(self.task, self.device).train)

        measured = self._measured(epochs)

        def go_on_after(epoch: int, network: nn.Module) -> bool:
            if validation is None or epoch not in measured:
                return True
            some = validation if self.measured_epochs is None or epoch == epochs else _some(validation)
            curve.append(accuracy(network, some, normalization))
            return not (len(curve) <= len(stop_below) and curve[-1] < stop_below[len(curve) - 1])

        with _deterministic(random_seed, self.device, self.threads):
            network = self.build(pipeline)
            generator = torch.Generator(device).manual_seed(random_seed)
            policy, recipe = pipeline.get("aug"), pipeline.get("hpo", Recipe())
            standard = getattr(self.task, "augmentation", "none")
            fitting = Fitting(images, normalization, policy, recipe, epochs, len(self.task.classes), device, standard)
            return fit(network, fitting, generator, go_on_after)

    def _measured(self, epochs: int) -> tuple[int, ...]:
        """The epochs of a training of `epochs` after which accuracy is measured."""
        if self.measured_epochs is None:
            return tuple(range(1, epochs + 1))
        return (*(epoch for epoch in self.measured_epochs if epoch < epochs), epochs)

    def _shapes(self) -> dict[str, int]:
        task: Task = self.task
        return {"image_size": task.image_size, "in_channels": task.channels, "num_classes": len(task.classes)}


def _chosen(part: Any) -> Any:
    """A dataclass's type and the fields that differ from their defaults, so that a new field changes nothing.

    Fields that are left out of its `repr`, as the place of a task's files, do not tell what it is.
    """
    if not is_dataclass(part):
        return repr(part)
    values = {field.name: getattr(part, field.name) for field in fields(part) if field.repr}
    chosen = {f.name: values[f.name] for f in fields(part) if f.repr and values[f.name] != f.default}
    return [type(part).__name__, chosen]


@cache
def _on_device(task: Any, device: str) -> Splits:
    """The images on the device, once a process."""
    splits = task.load()
    return Splits(*(_moved(part, device) for part in (splits.train, splits.validation, splits.test)))


def _some(images: Images) -> Images:
    """`MEASURED_IMAGES` of the images, evenly spaced, or all if there are not so many."""
    rows = torch.arange(MEASURED_IMAGES) * len(images) // MEASURED_IMAGES
    if len(images) <= MEASURED_IMAGES:
        return images
    return Images(images.pixels[rows.to(images.pixels.device)], images.labels[rows.to(images.labels.device)])


def _moved(images: Images, device: str) -> Images:
    """The images on the device; of more than a quarter of its memory only the labels."""
    room = torch.cuda.get_device_properties(device).total_memory // 4 if device != "cpu" else 0
    fits = device == "cpu" or images.pixels.nbytes <= room
    pixels = images.pixels.to(device, non_blocking=True) if fits else images.pixels
    return Images(pixels, images.labels.to(device, non_blocking=True))


@contextmanager
def _deterministic(seed: int, device: str, threads: int) -> Iterator[None]:
    """Torch's own randomness and threads as this evaluation wants them, and afterwards as they were."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device != "cpu" else []):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _out_of_memory(failure: Exception) -> bool:
    text = str(failure).lower()
    return isinstance(failure, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text
