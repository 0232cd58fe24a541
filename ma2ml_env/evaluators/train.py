"""The evaluator that trains a real network: augmentation x architecture x recipe -> validation accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ma2ml_env.errors import MA2MLError, require_known, require_range
from ma2ml_env.models import count
from ma2ml_env.tasks.task import Task
from ma2ml_env.types import Cost, Pipeline, Result

if TYPE_CHECKING:
    from torch import nn

    from ma2ml_env.training.classifier import Classifier
    from ma2ml_env.training.pipeline_training import PipelineTraining

METRICS = ("accuracy", "balanced_accuracy")
PRECISIONS = ("auto", "float32")
RETRAIN_AUGMENTATIONS = ("policy", "trivial", "auto")
MOST_EPOCHS, MOST_THREADS = 1_000_000, 4096
STRIDE_POWER = 1.7
"""Power of the stem's stride by which the time of a training falls: 3.1 times as long at half the stride, measured."""
THREADS_POWER = 0.6
"""Power of the number of threads by which the time of a training falls: two of them were 1.1 to 1.9 times as fast."""
SMALL_PART = 0.5
"""Share of the images in a search below which a final training may have a part of them too."""
TRAINING_VERSION = 1
"""Incremented by every change that affects a pipeline's accuracy; stored results of another version are refused."""


@dataclass(frozen=True)
class TrainEvaluator:
    """Trains the network that a pipeline describes.

    Reads `pipeline["nas"]`, and `pipeline["aug"]` and `pipeline["hpo"]` where there are such agents.

    Args:
        task: the images.
        network: the skeleton that the architecture is put into.
        epochs: number of epochs of a training in the search, at least 1.
        retrain_epochs: number of epochs of the training that makes the final model, at least 1.
        device: `"cpu"` or `"cuda"`; equal seeds differ on the two as different seeds do on one.
        threads: CPU threads of one training. Results depend on it in the last digits, so it is fixed here and
            does not follow the machine.
        measured_epochs: after which epochs accuracy is measured before the end, on 2,000 fixed validation
            images; after the last epoch it is measured on all of them. None: on all of them after every epoch.
        metric: what is measured and called accuracy: `"accuracy"`, the share of images, or `"balanced_accuracy"`, the
            mean over the classes of the share of each, for classes of unequal size.
        search_stem_stride: stride of the stem in the search, coarser than that of `network`, which is what costs are
            of and what the final model has. None: the same.
        retrain_threads: CPU threads of the final training; None: as many as of one in the search.
        precision: `"auto"`, bfloat16 on CUDA and float32 on a CPU, or `"float32"` everywhere.
        retrain_augmentation: augmentation of the final training: `"policy"`, the pipeline's own, `"trivial"`,
            TrivialAugment in its place, or `"auto"`, the latter where the training is long enough to gain from it.

    Raises:
        ValueError: for fewer than one epoch or thread, measured epochs that do not ascend from 1 or later, an unknown
            metric, a device that torch does not see, or a stride of the search for a network without one.

    Source: MA2ML, for training sampled pipelines on a proxy and measuring validation accuracy, not for the details.
    """

    task: Any
    network: Any
    epochs: int
    retrain_epochs: int
    device: str = "cpu"
    threads: int = 1
    measured_epochs: tuple[int, ...] | None = None
    metric: str = METRICS[0]
    search_stem_stride: int | None = None
    retrain_threads: int | None = None
    precision: str = PRECISIONS[0]
    retrain_augmentation: str = RETRAIN_AUGMENTATIONS[0]

    def __post_init__(self) -> None:
        measured = (0, *(self.measured_epochs or ()))
        if any(later <= earlier for earlier, later in pairwise(measured)):
            raise MA2MLError(f"measured_epochs ascend and are at least 1, not {list(measured[1:])}")
        limits = {"epochs": MOST_EPOCHS, "retrain_epochs": MOST_EPOCHS, "threads": MOST_THREADS}
        if self.retrain_threads is not None:
            limits["retrain_threads"] = MOST_THREADS
        for name, most in limits.items():
            require_range(name, getattr(self, name), 1, most)
        _ = self._search_network
        require_known(self.metric, METRICS, "metric")
        require_known(self.precision, PRECISIONS, "precision")
        require_known(self.retrain_augmentation, RETRAIN_AUGMENTATIONS, "retrain_augmentation")
        if self.device not in ("cpu", "cuda") and not self.device.startswith("cuda:"):
            raise MA2MLError(f"unknown device {self.device!r}; it is 'cpu', 'cuda' or 'cuda:0', 'cuda:1', ...")
        if self.device != "cpu" and not _cuda_is_available():
            raise MA2MLError(f"device {self.device!r} is asked for, but torch sees no CUDA device; use 'cpu'")

    def __call__(
        self, pipeline: Pipeline, *, seed: int, epochs: int | None = None, stop_below: Sequence[float] = ()
    ) -> Result:
        """Trains on the train part, measures accuracy on the validation part.

        Args:
            pipeline: to train.
            seed: seed of the environment.
            epochs: overrides the evaluator's; schedules are those of a training of so many epochs.
            stop_below: for each measured epoch, from the first, the validation accuracy below which training is stopped
                after it; NaN and missing ones stop nothing. The result is `pruned` then.

        Raises:
            ValueError: for fewer than one epoch.
        """
        if epochs is not None:
            require_range("epochs", epochs, 1, MOST_EPOCHS)
        started = time.perf_counter()
        epochs = epochs or self.epochs
        cost, measured = self.cost(pipeline), self._measured(epochs)
        curve, error = self._search_training.validation_curve(
            pipeline, seed, epochs, measured, in_part=self.measured_epochs is not None, stop_below=stop_below
        )
        final = 0.0 if error else curve[-1]
        pruned = error is None and len(curve) < len(measured)
        return Result(final, cost.flops, cost.params, time.perf_counter() - started, error, tuple(curve), pruned)

    @property
    def definition(self) -> dict[str, Any]:
        """All of a result but pipeline and seed; device, threads and precision change it no more than a seed does."""
        parts = {"task": _chosen(self.task), "network": _chosen(self.network), "epochs": self.epochs}
        standard = getattr(self.task, "augmentation", "none")
        always = {} if standard == "none" else {"augmentation": standard}
        measured = {} if self.measured_epochs is None else {"measured_epochs": list(self.measured_epochs)}
        metric = {} if self.metric == METRICS[0] else {"metric": self.metric}
        stride = {} if self.search_stem_stride is None else {"search_stem_stride": self.search_stem_stride}
        return {"kind": "train", "version": TRAINING_VERSION, **parts, **always, **measured, **metric, **stride}

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters of the final model's network, by arithmetic, before anything is trained."""
        return count(pipeline["nas"], self.network, **self._shapes())

    def build(self, pipeline: Pipeline) -> nn.Module:
        """Returns the untrained network on the device; its weights are drawn from torch's own generator."""
        return self._training.build(pipeline)

    def prepare(self) -> None:
        """Reads the images, so that missing data is noticed before anything is trained.

        Raises:
            MissingDataError: if the task's files are not there.
        """
        _ = self._training.splits

    def check_savable(self) -> None:
        """Checks, before anything is trained, that the model of `retrain` can be saved.

        Raises:
            MA2MLError: if it cannot: the network is of no kind that this package builds by name.
        """
        from ma2ml_env.training.image_form import ImageForm
        from ma2ml_env.training.model_file import described_network

        described_network(self.network)
        ImageForm.of(self.task)

    def retrain(self, pipeline: Pipeline, *, seed: int) -> tuple[Classifier, float]:
        """Trains the final model on train and validation together.

        Returns:
            The model, in evaluation mode on the CPU, and its test accuracy.

        Raises:
            DivergedError: if the longer training diverges.
        """
        return self.retrain_observed(pipeline, seed=seed)

    def retrain_observed(
        self,
        pipeline: Pipeline,
        *,
        seed: int,
        epochs: int | None = None,
        checkpoint: Path | None = None,
        on_epoch: Callable[[int, float, float], None] = lambda epoch, loss, accuracy: None,
        share: float = 1.0,
        on_step: Callable[[float], None] = lambda epochs: None,
    ) -> tuple[Classifier, float]:
        """Trains the final model on train and validation together; interrupted, it goes on from its checkpoint.

        The model is the same as without an interruption, on a CPU to the last bit.

        Args:
            pipeline: to train.
            seed: seed of the environment.
            epochs: epochs in place of `retrain_epochs`.
            checkpoint: file to go on from and to write; left there at the end. None for no checkpoints.
            on_epoch: receives (epoch from 1, mean training loss, training accuracy), those before the checkpoint too.
            share: share of the images of each class to train on, in (0, 1].
            on_step: receives the number of epochs so far, a fraction, after every step.

        Returns:
            The model, in evaluation mode on the CPU, and its test accuracy.

        Raises:
            DivergedError: if the training diverges.
            MA2MLError: for fewer than one epoch, or a share that is none.
        """
        wanted = self.retrain_epochs if epochs is None else epochs
        require_range("epochs", wanted, 1, MOST_EPOCHS)
        if not 0 < share <= 1:
            raise MA2MLError(f"share is a share of the images in (0, 1], not {share}")
        return self._training.final_model(pipeline, seed, wanted, checkpoint, on_epoch, share=share, on_step=on_step)

    def least_share(self) -> float:
        """Least share of the images of a final training, in (0, 1]: that of a search if it is small, else 1."""
        splits = self.task.load()
        searched: float = len(splits.train) / splits.final_images
        return searched if searched < SMALL_PART else 1.0

    def retrains_with_trivial_augment(self, epochs: int | None = None, share: float = 1.0) -> bool:
        """Whether the final training has TrivialAugment in place of the pipeline's policy.

        Args:
            epochs: epochs in place of `retrain_epochs`.
            share: share of the images that it trains on.
        """
        images = round(share * self.task.load().final_images)
        return self._training.has_trivial_augment(epochs or self.retrain_epochs, images)

    def retrain_length(self) -> float:
        """Duration of the final training divided by that of an evaluation: epochs, images, stem strides, threads."""
        splits = self.task.load()
        more: float = splits.final_images / len(splits.train)
        coarser: float = 1.0 if self.search_stem_stride is None else self.search_stem_stride / self.network.stem_stride
        longer: float = coarser**STRIDE_POWER
        faster: float = ((self.retrain_threads or self.threads) / self.threads) ** THREADS_POWER
        return self.retrain_epochs / self.epochs * more * longer / faster

    def sample_images(self, count: int) -> Any:
        """Training images, evenly spaced, uint8 (count, channels, height, width), for rendering and measurements.

        Args:
            count: maximum number of images.
        """
        pixels = self.task.load().train.pixels
        return pixels[:: max(1, len(pixels) // count)][:count]

    @property
    def _training(self) -> PipelineTraining:
        from ma2ml_env.training.pipeline_training import PipelineTraining

        threads = self.threads if self.retrain_threads is None else self.retrain_threads
        chosen = self.metric, self.precision, self.retrain_augmentation
        return PipelineTraining(self.task, self.network, self.device, threads, *chosen)

    @property
    def _search_training(self) -> PipelineTraining:
        return replace(self._training, skeleton=self._search_network, threads=self.threads)

    @property
    def _search_network(self) -> Any:
        """The skeleton that is trained in the search."""
        if self.search_stem_stride is None:
            return self.network
        if not hasattr(self.network, "stem_stride"):
            raise MA2MLError(
                f"search_stem_stride is for networks whose stem has a stride, not for a {type(self.network).__name__}"
            )
        return replace(self.network, stem_stride=self.search_stem_stride)

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

    Fields that are left out of its `repr`, such as the place of a task's files, do not identify it.
    """
    if not is_dataclass(part):
        return repr(part)
    values = {field.name: getattr(part, field.name) for field in fields(part) if field.repr}
    chosen = {f.name: values[f.name] for f in fields(part) if f.repr and values[f.name] != f.default}
    return [type(part).__name__, chosen]


def _cuda_is_available() -> bool:
    import torch

    return torch.cuda.is_available()
