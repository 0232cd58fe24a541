"""A table of finished trainings, looked up by joint action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import JointSpace
from ma2ml_env.types import AgentID, JointAction, Pipeline, Result

FACTS = ("accuracy", "flops", "params", "seconds")


@dataclass(frozen=True, eq=False)
class Table:
    """The trainings of P pipelines, R in all: those of one pipeline are its repeats, and stand side by side.

    Attributes:
        nvec: number of choices of each decision, by agent.
        pipelines: the joint actions, integers of shape (P, decisions), in lexicographic order.
        starts: row of each pipeline's first training, and R, shape (P + 1,).
        accuracy: accuracy of each training, in [0, 1], NaN where it failed, shape (R,).
        flops: multiply-accumulates, shape (R,).
        params: trainable parameters, shape (R,).
        seconds: duration of each training, shape (R,).
        priced: whether FLOPs and parameters are known; they are 0 where not.
    """

    nvec: Mapping[AgentID, tuple[int, ...]]
    pipelines: NDArray[np.integer[Any]]
    starts: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    flops: NDArray[np.float64]
    params: NDArray[np.float64]
    seconds: NDArray[np.float64]
    priced: bool

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Mean accuracy of each pipeline, shape (P,); a failed training counts 0."""
        return np.add.reduceat(np.nan_to_num(self.accuracy), self.starts[:-1]) / np.diff(self.starts)

    @property
    def complete(self) -> bool:
        """True if every joint action is in the table."""
        return len(self.pipelines) == np.prod([float(n) for n in self._joint.sizes])

    def find(self, action: JointAction) -> int | None:
        """The number of a joint action's pipeline, None if it is not in the table."""
        return self._numbers.get(self._joint.join(action))

    def nearest(self, action: JointAction) -> int:
        """Number of the pipeline that differs in the fewest decisions; the first of several."""
        different = self.pipelines != np.array(self._joint.join(action))
        return int(different.sum(axis=1).argmin())

    def action(self, number: int) -> dict[AgentID, tuple[int, ...]]:
        """The joint action of a pipeline."""
        return self._joint.split(self.pipelines[number])

    def training(self, number: int, pipeline: Pipeline, seed: int) -> Result:
        """The result of one of a pipeline's trainings, which one is drawn by the pipeline's own random seed."""
        first, end = self.starts[number : number + 2].tolist()
        row = first + (pipeline.random_seed(seed) % (end - first) if end - first > 1 else 0)
        accuracy = self.accuracy.item(row)
        failed = accuracy != accuracy
        return Result(
            0.0 if failed else accuracy,
            self.flops.item(row),
            self.params.item(row),
            self.seconds.item(row),
            error="this training failed" if failed else None,
        )

    def mean(self, number: int) -> Result:
        """The mean of a pipeline's trainings; it has failed if all of them did."""
        rows = slice(*self.starts[number : number + 2].tolist())
        failed = bool(np.isnan(self.accuracy[rows]).all())
        flops, params, seconds = (float(column[rows].mean()) for column in (self.flops, self.params, self.seconds))
        error = "all its trainings failed" if failed else None
        return Result(self.means.item(number), flops, params, seconds, error=error)

    @property
    def _joint(self) -> JointSpace:
        return JointSpace(self.nvec)

    @cached_property
    def _numbers(self) -> dict[tuple[int, ...], int]:
        return {tuple(flat): number for number, flat in enumerate(self.pipelines.tolist())}


def build_table(
    nvec: Mapping[AgentID, tuple[int, ...]],
    actions: ArrayLike,
    accuracy: ArrayLike,
    flops: ArrayLike | None = None,
    params: ArrayLike | None = None,
    seconds: ArrayLike | None = None,
) -> Table:
    """A table of R trainings in any order; the repeats of a pipeline keep theirs.

    Args:
        nvec: number of choices of each decision, by agent.
        actions: the joint actions, integers of shape (R, decisions), the agents' decisions one after another.
        accuracy: shape (R,), NaN for a training that failed.
        flops: shape (R,); None if not known.
        params: shape (R,); None if not known.
        seconds: shape (R,); None if not known.

    Raises:
        ValueError: if there is no training, an accuracy is not in [0, 1], or another number is below 0 or not finite.
    """
    columns = {
        name: np.zeros(len(np.asarray(accuracy))) if values is None else np.asarray(values, dtype=np.float64)
        for name, values in zip(FACTS, (accuracy, flops, params, seconds), strict=True)
    }
    _check(columns)
    integers = np.asarray(actions).astype(np.min_scalar_type(max(JointSpace(nvec).sizes)))
    order = np.lexsort(integers.T[::-1])
    ordered = integers[order]
    starts = np.flatnonzero(np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)]))
    return Table(
        nvec=nvec,
        pipelines=ordered[starts],
        starts=np.append(starts, len(ordered)),
        priced=flops is not None and params is not None,
        **{name: column[order] for name, column in columns.items()},
    )


def _check(columns: Mapping[str, NDArray[np.float64]]) -> None:
    if not len(columns["accuracy"]):
        raise MA2MLError("a table has at least one training")
    for name, column in columns.items():
        fits = np.isfinite(column) & (column >= 0)
        if name == "accuracy":
            fits = np.isnan(column) | (fits & (column <= 1))
        if not fits.all():
            row = int(np.argmin(fits))
            allowed = "in [0, 1], percents divided by 100" if name == "accuracy" else "a number of at least 0"
            raise MA2MLError(f"{name} is {allowed}; training {row} has {column[row]}")


__all__ = ["FACTS", "Table", "build_table"]
