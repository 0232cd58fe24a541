"""Evaluators: the one call that each has, and the abilities that some have beside it.

An evaluator has an ability if it has the attribute or method of its protocol; `isinstance(evaluator, Priced)` tells.
`ma2ml_env.testing.check_evaluator` checks all abilities that an evaluator has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.types import AgentID, Cost, Pipeline, Result


class Evaluator(Protocol):
    """Scores a pipeline; any callable of this shape serves.

    A failure of the trained pipeline (a loss that is not a number, memory, time) is a `Result` with
    an error; any other exception is a bug of the evaluator.
    """

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        """Evaluate `pipeline` under the environment's `seed`."""
        ...


class BatchResults(NamedTuple):
    """Results of B pipelines, each column of shape (B,), in the units of `Result`."""

    accuracy: NDArray[np.float64]
    flops: NDArray[np.int64]
    params: NDArray[np.int64]
    seconds: NDArray[np.float64]


@runtime_checkable
class Priced(Protocol):
    """Knows the cost of a pipeline before it is evaluated."""

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters, those of the pipeline's result."""
        ...


@runtime_checkable
class BatchPriced(Protocol):
    """Knows the costs of many pipelines at once."""

    def cost_batch(self, actions: Mapping[AgentID, Any]) -> NDArray[np.int64]:
        """Costs of B pipelines, shape (2, B): multiply-accumulates of one image, trainable parameters.

        Args:
            actions: by agent, integers of shape (B, decisions).
        """
        ...


@runtime_checkable
class NoiseFree(Protocol):
    """Knows the result of a pipeline without noise."""

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
            seed: of the environment.
        """
        ...


@runtime_checkable
class NoiseFreeBatched(Protocol):
    """Knows the results of many pipelines without noise."""

    def expected_batch(self, actions: Mapping[AgentID, Any]) -> BatchResults:
        """Noise-free results of B pipelines; `actions` as of `Batched`."""
        ...


@runtime_checkable
class KnownOptimum(Protocol):
    """Knows the highest noise-free accuracy of all pipelines."""

    @property
    def optimum_accuracy(self) -> float:
        """In [0, 1]."""


@runtime_checkable
class Instant(Protocol):
    """States whether an evaluation takes no time worth a process of its own."""

    @property
    def instant(self) -> bool:
        """True for tables and closed forms."""


@runtime_checkable
class Preparing(Protocol):
    """Reads its data before the first evaluation, on demand."""

    def prepare(self) -> None:
        """Read them; raises MA2MLError if they are missing."""


@runtime_checkable
class Retrainable(Protocol):
    """Trains the final model of a search."""

    def retrain(self, pipeline: Pipeline, *, seed: int) -> tuple[Any, float]:
        """The model, which has `save(path)`, and its test accuracy in [0, 1]."""
        ...


@runtime_checkable
class Savable(Protocol):
    """Tells before a search whether its final model can be saved."""

    def check_savable(self) -> None:
        """Raises MA2MLError if the model that `retrain` makes could not be saved."""


@runtime_checkable
class Illustrated(Protocol):
    """Has images to draw or to measure."""

    def sample_images(self, count: int) -> Any:
        """At most `count` images, uint8 (count, channels, height, width)."""
        ...


@runtime_checkable
class Defined(Protocol):
    """States what its results depend on beside pipeline and seed; the environment's definition is a hash of it."""

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
    BatchPriced,
    NoiseFree,
    Batched,
    NoiseFreeBatched,
    KnownOptimum,
    Instant,
    Preparing,
    Retrainable,
    Savable,
    Illustrated,
    Defined,
    TrainsNetworks,
)
"""All abilities."""


def is_instant(evaluator: Evaluator) -> bool:
    """Whether an evaluator states that it takes no time worth a process of its own."""
    return isinstance(evaluator, Instant) and evaluator.instant


def abilities(evaluator: Evaluator) -> tuple[str, ...]:
    """Names of the abilities that an evaluator has."""
    return tuple(ability.__name__ for ability in ABILITIES if isinstance(evaluator, ability))
