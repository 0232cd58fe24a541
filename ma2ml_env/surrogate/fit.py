"""Fits a surrogate to real evaluations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.gaussian_process import GaussianProcess, fit_gaussian_process
from ma2ml_env.surrogate.image_changes import changes_in, table_of_changes
from ma2ml_env.surrogate.model import Surrogate
from ma2ml_env.surrogate.noise import Floats, Noise, logistic, logit, measure_noise, slope
from ma2ml_env.types import Trial

TREE_SETTINGS: Mapping[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 12,
    "extra_trees": True,
    "min_data_in_leaf": 10,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbose": -1,
}
"""LightGBM's, for the seconds; `ma2ml importance` starts from them too."""
TREES = 250
LEAST = 20


@dataclass(frozen=True)
class Data:
    """Evaluations as arrays of N rows.

    Attributes:
        columns: names of the columns.
        table: inputs of the models, shape (N, columns).
        accuracy: 0 for what failed, shape (N,).
        seconds: seconds of the evaluation, shape (N,).
        key: key of the pipeline, shape (N,).
        seed: seed of the environment, shape (N,); two rows of equal key and seed are one evaluation.
        run: the search that each row belongs to, shape (N,).
        groups: the columns that each agent decides alone.
        image_changes: changes behind the columns of augmentation policies, shape (16, 10); None for the assumed ones.
    """

    columns: tuple[str, ...]
    table: Floats
    accuracy: Floats
    seconds: Floats
    key: NDArray[np.str_]
    seed: NDArray[np.int64]
    run: NDArray[np.str_]
    groups: tuple[tuple[int, ...], ...] = ()
    image_changes: Floats | None = None

    def __len__(self) -> int:
        return len(self.accuracy)

    def __getitem__(self, rows: NDArray[Any]) -> Data:
        """Selected rows."""
        names = ("table", "accuracy", "seconds", "key", "seed", "run")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def distinct(self) -> Data:
        """Deduplicated evaluations, each by its first row."""
        first: dict[tuple[str, int], int] = {}
        for row, evaluation in enumerate(zip(self.key.tolist(), self.seed.tolist(), strict=True)):
            first.setdefault(evaluation, row)
        return self[np.array(list(first.values()))]

    @property
    def repeats(self) -> list[list[float]]:
        """The accuracies of each pipeline under different seeds, in the order of their first evaluation."""
        groups: dict[str, dict[int, float]] = defaultdict(dict)
        for key, seed, accuracy in zip(self.key.tolist(), self.seed.tolist(), self.accuracy.tolist(), strict=True):
            groups[key].setdefault(seed, accuracy)
        return [list(group.values()) for group in groups.values()]

    @property
    def pairs(self) -> Floats:
        """A first and a later accuracy of one pipeline, for each such pair, shape (P, 2)."""
        return np.array([pair for group in self.repeats for pair in combinations(group, 2)]).reshape(-1, 2)

    @property
    def noise(self) -> Noise:
        """Noise of the accuracy, estimated from pipelines that were evaluated several times."""
        return measure_noise(self.repeats)


def gather(env: AutoMLEnv, runs: Mapping[str, Sequence[Trial]]) -> Data:
    """The evaluations of some runs, deduplicated within each run; trials without an evaluation are left out.

    Args:
        env: environment of the evaluations; if it augments images, these are read.
        runs: by name.

    Raises:
        ValueError: if there are fewer than `LEAST` evaluations, a column, accuracy or seconds are out of range, or the
            files of the images are not there.
    """
    evaluated = [(name, trial) for name, run in runs.items() for trial in evaluations(run)]
    if len(evaluated) < LEAST:
        raise MA2MLError(f"a surrogate needs at least {LEAST} evaluations to learn from, these are {len(evaluated)}")
    trials = [trial for _, trial in evaluated]
    actions = {agent: np.array([t.pipeline.action[agent] for t in trials]) for agent in env.possible_agents}
    costs = np.array([[t.result.flops for t in trials], [t.result.params for t in trials]])
    changes = changes_in(env)
    features = Features(env.search_spaces, changes)
    columns = features(actions, costs)
    for name, column in columns.items():
        if wrong := int((~np.isfinite(column)).sum()):
            raise MA2MLError(f"column {name!r} is not a finite number for {wrong} of {len(column)} evaluations")
    accuracy, seconds = np.array([[t.result.accuracy, t.result.seconds] for t in trials]).T
    for name, array, limit in (("accuracy", accuracy, 1.0), ("seconds", seconds, np.inf)):
        if len(wrong := array[~((array >= 0.0) & (array <= limit) & np.isfinite(array))]):
            raise MA2MLError(
                f"{name} is in [0, {limit:g}], but {wrong[0]:g} in {len(wrong)} of {len(array)} evaluations"
            )
    position = {name: number for number, name in enumerate(columns)}
    return Data(
        columns=tuple(columns),
        table=np.stack(list(columns.values()), axis=1),
        accuracy=accuracy,
        seconds=seconds,
        key=np.array([trial.pipeline.key for trial in trials]),
        seed=np.array([trial.seed for trial in trials]),
        run=np.array([name for name, _ in evaluated]),
        groups=tuple(tuple(position[name] for name in own) for own in features.of_agents(actions).values()),
        image_changes=changes,
    )


def evaluations(run: Sequence[Trial]) -> list[Trial]:
    """The trials of a run that were evaluated, each evaluation once."""
    found = {(trial.pipeline.key, trial.seed): trial for trial in reversed(run) if not trial.result.infeasible}
    return list(found.values())


def fit(env: AutoMLEnv, data: Data, quality: Mapping[str, Any] | None = None) -> Surrogate:
    """A surrogate of `env` from evaluations.

    Args:
        env: environment to imitate.
        data: from `gather`.
        quality: figures to keep in it.

    Source: NAS-Bench-301, which predicts accuracy by boosted trees instead of a Gaussian process.
    """
    data = data.distinct
    return Surrogate(
        env=env.name,
        definition=env.definition,
        columns=data.columns,
        accuracy=fit_accuracy(data),
        seconds=fit_seconds(data),
        noise=data.noise,
        image_changes=None if data.image_changes is None else table_of_changes(data.image_changes.tolist()),
        quality=quality or {},
    )


def fit_accuracy(data: Data) -> GaussianProcess:
    """A Gaussian process of the accuracy's logit, with noise that depends on the accuracy."""
    noise = data.noise

    def of_logit(score: Floats) -> Floats:
        within = logit(logistic(score))
        return noise(logistic(within)) / slope(within)

    return fit_gaussian_process(data.table, logit(data.accuracy), of_logit, data.groups)


def fit_seconds(data: Data) -> str:
    """A LightGBM model of the logarithm of the typical machine's seconds, as text.

    Source: LightGBM.
    """
    import lightgbm

    seconds = np.log(np.maximum(data.seconds, 1e-6))
    flops = data.table[:, data.columns.index("log_flops")]
    known = lightgbm.Dataset(data.table, seconds - slowness(seconds, flops, data.run))
    return lightgbm.train(dict(TREE_SETTINGS), known, TREES).model_to_string()


def slowness(log_seconds: Floats, log_flops: Floats, run: NDArray[np.str_]) -> Floats:
    """Slowdown of each evaluation's machine against the typical one: logarithms of factors, shape (N,).

    Machines differ, and what else runs on them, so that each run has a factor of its own; its networks' FLOPs are
    allowed for. What else a search settles on, as on a batch size, counts as its machine's: some 10 % in the digits'
    searches. The median is 0.

    Args:
        log_seconds: shape (N,).
        log_flops: shape (N,).
        run: that each evaluation belongs to, shape (N,).

    Source: least squares, but not the factor per run.
    """
    names, of_run = np.unique(run, return_inverse=True)
    table = np.column_stack([np.eye(len(names))[of_run], log_flops - log_flops.mean()])
    factors = np.linalg.lstsq(table, log_seconds, rcond=None)[0][of_run]
    return np.asarray(factors - np.median(factors))
