"""Evaluators: the one call that all support, and optional abilities.

An evaluator has an ability if it has the attribute or method of its protocol, as in `isinstance(evaluator, Priced)`.
`ma2ml_env.testing.check_evaluator` checks all abilities that an evaluator has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.types import AgentID, Cost, Pipeline, Result


class Evaluator(Protocol):
    """Scores a pipeline; any callable with this signature is accepted.

    A failure of the trained pipeline (a loss that is not a number, memory, time) is a `Result` with
    an error; any other exception is a bug of the evaluator.
    """

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        """Evaluates `pipeline` under the environment's `seed`."""
        ...


class BatchResults(NamedTuple):
    """Results of B pipelines, each column of shape (B,), in the units of `Result`."""

    accuracy: NDArray[np.float64]
    flops: NDArray[np.int64]
    params: NDArray[np.int64]
    seconds: NDArray[np.float64]


@runtime_checkable
class Priced(Protocol):
    """Reports the cost of a pipeline before it is evaluated."""

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters, those of the pipeline's result."""
        ...


@runtime_checkable
class PartlyPriced(Protocol):
    """Is priced, but may not know the cost of every pipeline."""

    @property
    def priced(self) -> bool:
        """Whether it knows all costs; where it does not, learners are given none."""


@runtime_checkable
class BatchPriced(Protocol):
    """Reports the costs of many pipelines at once."""

    def cost_batch(self, actions: Mapping[AgentID, Any]) -> NDArray[np.int64]:
        """Costs of B pipelines, shape (2, B): multiply-accumulates of one image, trainable parameters.

        Args:
            actions: by agent, integers of shape (B, decisions).
        """
        ...


@runtime_checkable
class NoiseFree(Protocol):
    """Reports the result of a pipeline without noise."""

    def expected(self, pipeline: Pipeline) -> Result:
        """Noise-free result."""
        ...


@runtime_checkable
class Batched(Protocol):
    """Evaluates many pipelines at once."""

    def evaluate_batch(self, actions: Mapping[AgentID, Any], seed: int) -> BatchResults:
        """Results of B pipelines, equal to those of B single evaluations apart from the seconds.

        Args:
            actions: by agent, integers of shape (B, decisions).
            seed: seed of the environment.
        """
        ...


@runtime_checkable
class NoiseFreeBatched(Protocol):
    """Reports the results of many pipelines without noise."""

    def expected_batch(self, actions: Mapping[AgentID, Any]) -> BatchResults:
        """Noise-free results of B pipelines; `actions` as of `Batched`."""
        ...


@runtime_checkable
class KnownOptimum(Protocol):
    """Reports the highest noise-free accuracy of all pipelines."""

    @property
    def optimum_accuracy(self) -> float:
        """Highest noise-free accuracy, in [0, 1]."""


@runtime_checkable
class Instant(Protocol):
    """States whether an evaluation is too fast to be worth a process of its own."""

    @property
    def instant(self) -> bool:
        """True for tables and closed forms."""


@runtime_checkable
class Preparing(Protocol):
    """Reads its data before the first evaluation, on demand."""

    def prepare(self) -> None:
        """Reads them; raises MA2MLError if they are missing."""


@runtime_checkable
class Retrainable(Protocol):
    """Trains the final model of a search."""

    def retrain(self, pipeline: Pipeline, *, seed: int) -> tuple[Any, float]:
        """Returns the model, which has `save(path)`, and its test accuracy in [0, 1]."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """Trains the final model under observation, with checkpoints from which an interrupted training goes on.

    Attributes:
        retrain_epochs: epochs of the final training.
    """

    @property
    def retrain_epochs(self) -> int:
        """Epochs of the final training, at least 1."""

    def retrain_length(self) -> float:
        """Returns the duration of the final training divided by that of an evaluation, above 0."""
        ...

    def retrain_observed(
        self,
        pipeline: Pipeline,
        *,
        seed: int,
        epochs: int | None = None,
        checkpoint: Path | None = None,
        on_epoch: Callable[[int, float, float], None] = lambda epoch, loss, accuracy: None,
    ) -> tuple[Any, float]:
        """Returns the model, which has `save(path)`, and its test accuracy in [0, 1].

        Args:
            pipeline: to train.
            seed: seed of the environment.
            epochs: epochs in place of `retrain_epochs`.
            checkpoint: file to go on from and to write; None for no checkpoints.
            on_epoch: receives (epoch from 1, mean training loss, training accuracy), those before the checkpoint too.
        """
        ...


@runtime_checkable
class Shortenable(Resumable, Protocol):
    """Trains the final model on a part of the images too, where all would take too long, and tells of every step."""

    def least_share(self) -> float:
        """Returns the least share of the images that a final training should have, in (0, 1]."""
        ...

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
    ) -> tuple[Any, float]:
        """Returns the model, which has `save(path)`, and its test accuracy in [0, 1].

        Args:
            pipeline: to train.
            seed: seed of the environment.
            epochs: epochs in place of `retrain_epochs`.
            checkpoint: file to go on from and to write; None for no checkpoints.
            on_epoch: as of `Resumable`.
            share: share of the images of each class to train on, in (0, 1].
            on_step: receives the number of epochs so far, a fraction, after every step.
        """
        ...


@runtime_checkable
class Savable(Protocol):
    """Checks before a search that its final model can be saved."""

    def check_savable(self) -> None:
        """Raises MA2MLError if the model that `retrain` makes could not be saved."""


@runtime_checkable
class Illustrated(Protocol):
    """Has sample images, for rendering and measurements."""

    def sample_images(self, count: int) -> Any:
        """At most `count` images, uint8 (count, channels, height, width)."""
        ...


@runtime_checkable
class Defined(Protocol):
    """States all that its results depend on besides pipeline and seed; the environment's definition is a hash of it."""

    @property
    def definition(self) -> Mapping[str, Any]:
        """JSON values, the same in every process."""


@runtime_checkable
class TrainsNetworks(Protocol):
    """Puts an architecture into a skeleton, for the images of a task."""

    @property
    def network(self) -> Any:
        """The skeleton."""

    @property
    def task(self) -> Any:
        """The images' `ma2ml_env.tasks.task.Task`."""


ABILITIES = (
    Priced,
    PartlyPriced,
    BatchPriced,
    NoiseFree,
    Batched,
    NoiseFreeBatched,
    KnownOptimum,
    Instant,
    Preparing,
    Retrainable,
    Resumable,
    Shortenable,
    Savable,
    Illustrated,
    Defined,
    TrainsNetworks,
)
"""All abilities."""


def is_instant(evaluator: Evaluator) -> bool:
    """True if an evaluator states that it is too fast to be worth a process of its own."""
    return isinstance(evaluator, Instant) and evaluator.instant


def abilities(evaluator: Evaluator) -> tuple[str, ...]:
    """Names of the abilities that an evaluator has."""
    return tuple(ability.__name__ for ability in ABILITIES if isinstance(evaluator, ability))
