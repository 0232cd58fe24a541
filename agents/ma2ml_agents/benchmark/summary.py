"""Summary of the runs on disk, one row each: final, anytime, regret, evaluations to the target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.benchmark.cell import CELLS_FOLDER, TABLE_FILE, Facts, finished, load_facts
from ma2ml_agents.benchmark.curves import Curve, at, checkpoints, curve, evaluations_to
from ma2ml_agents.benchmark.index import Index, Run, read_index
from ma2ml_agents.benchmark.statistics import check_packages, iqm
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import replacing

if TYPE_CHECKING:
    import pandas as pd

TRIALS_FILE, RUNS_FILE, ANYTIME_FILE = "trials.parquet", "summary.parquet", "anytime.parquet"


@dataclass(frozen=True)
class Target:
    """Final value of the best baseline on an environment.

    Attributes:
        baseline: its name.
        value: interquartile mean over its runs.
    """

    baseline: str
    value: float


@dataclass(frozen=True)
class Summary:
    """Results of a benchmark's finished runs.

    Attributes:
        index: the runs to compare.
        trials: a row per evaluation: env, algo, seed, number, reward, true_value, accuracy, flops, params, seconds,
            failed, key.
        runs: a row per run: env, algo, seed, evaluations, distinct, top_mean (true value of the top 20 distinct
            pipelines by observed reward), apparent_best (true value of the pipeline of the highest observed reward),
            true_best (highest true value of all its pipelines; NaN where it was not stored), regret (0 is the
            optimum, 1 a random pipeline; NaN where not known), score (0 is a random pipeline, 1 the best known),
            learner_seconds, evaluations_to_target (NaN where not reached).
        anytime: a row per run and checkpoint: env, algo, seed, evaluations, top_mean, apparent_best.
        targets: {environment: the value to which `evaluations_to_target` counts}.
    """

    index: Index
    trials: pd.DataFrame
    runs: pd.DataFrame
    anytime: pd.DataFrame
    targets: Mapping[str, Target]

    def envs(self) -> list[str]:
        """Returns the environments with finished runs, in the order of the tables."""
        return [env for env in self.index.envs if (self.runs.env == env).any()]

    def algos(self, env: str) -> list[str]:
        """Returns the algorithms with finished runs on an environment, in the order of the tables."""
        return [algo for algo in self.index.algos if len(self.of(env, algo))]

    def of(self, env: str, algo: str) -> pd.DataFrame:
        """Returns the rows of `runs` of one algorithm on one environment."""
        return self.runs[(self.runs.env == env) & (self.runs.algo == algo)]

    def scores(self, env: str, algo: str, column: str = "top_mean") -> NDArray[np.float64]:
        """Returns a column of `runs`, shape (runs, 1)."""
        return np.asarray(self.of(env, algo)[column], dtype=np.float64)[:, None]


def summarize(out: str | Path) -> Summary:
    """Summarizes the finished runs of a benchmark, and writes the three tables beside them.

    Args:
        out: folder of the benchmark.

    Raises:
        MissingExtraError: if the extra is not installed.
        MA2MLError: if there is no benchmark or no finished run.
    """
    check_packages()
    import pandas as pd

    out = Path(out)
    index = read_index(out)
    found = [_found(run, out) for run in index.runs if finished(out / CELLS_FOLDER / run.folder)]
    if not found:
        raise MA2MLError(f"the benchmark in {out} has no finished run yet")
    runs = _relate(pd.DataFrame([one.row() for one in found]))
    targets = {env: _target(part, index) for env, part in runs.groupby("env", sort=False)}
    reached = [evaluations_to(one.top, targets[one.run.env].value) for one in found]
    runs["evaluations_to_target"] = pd.Series(reached, dtype=float)
    anytime = pd.DataFrame([row for one in found for row in one.anytime(index.budget)])
    trials = pd.concat([one.trials for one in found], ignore_index=True)
    for name, table in ((TRIALS_FILE, trials), (RUNS_FILE, runs), (ANYTIME_FILE, anytime)):
        _write(table, out / name)
    return Summary(index, trials, runs, anytime, targets)


@dataclass(frozen=True)
class _Found:
    """Finished run: its trials, its facts, and the curves of its top 20 and of its apparently best pipeline."""

    run: Run
    trials: pd.DataFrame
    facts: Facts
    top: Curve
    best: Curve

    @property
    def place(self) -> dict[str, Any]:
        return {"env": self.run.env, "algo": self.run.algo, "seed": self.run.seed}

    def row(self) -> dict[str, Any]:
        """Returns the run's row of `Summary.runs`, before it is compared with others."""
        counts = {"evaluations": len(self.trials), "distinct": int(self.top.distinct[-1])}
        values = {
            "top_mean": float(self.top.top[-1]),
            "apparent_best": float(self.best.top[-1]),
            "true_best": float(self.trials.true_value.max()),
        }
        return {**self.place, **counts, **values, **vars(self.facts)}

    def anytime(self, budget: int) -> list[dict[str, Any]]:
        """Returns the run's rows of `Summary.anytime`."""
        return [
            {**self.place, "evaluations": n, "top_mean": at(self.top.top, n), "apparent_best": at(self.best.top, n)}
            for n in checkpoints(budget)
        ]


def _found(run: Run, out: Path) -> _Found:
    import pandas as pd

    folder = out / CELLS_FOLDER / run.folder
    trials = pd.read_parquet(folder / TABLE_FILE)
    columns = (trials.key.to_list(), trials.reward.to_list(), trials.true_value.to_list())
    for place, (name, value) in enumerate((("env", run.env), ("algo", run.algo), ("seed", run.seed))):
        trials.insert(place, name, value)
    return _Found(run, trials, load_facts(folder), curve(*columns), curve(*columns, k=1))


def _write(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _relate(runs: pd.DataFrame) -> pd.DataFrame:
    """Adds `regret` and `score`, which rank a run between a random pipeline and the best one.

        regret = (optimum - top_mean) / (optimum - random_mean)
        score = (top_mean - low) / (high - low)

    `high` is the optimum, or where it is not known the highest true value of any pipeline of any run, so that no
    score is above 1; `low` is `random_mean`, or where it is not known the lowest final value of any run.
    """
    runs = runs.astype({"optimum": float, "random_mean": float, "learner_seconds": float})
    runs["regret"] = (runs.optimum - runs.top_mean) / (runs.optimum - runs.random_mean)
    by_env = runs.groupby("env")
    high = runs.optimum.fillna(by_env.true_best.transform("max"))
    low = runs.random_mean.fillna(by_env.top_mean.transform("min"))
    runs["score"] = ((runs.top_mean - low) / (high - low).where(high > low)).fillna(0.0)
    return runs


def _target(runs: pd.DataFrame, index: Index) -> Target:
    """Returns the best baseline by interquartile mean; the best of all algorithms where there is no baseline."""
    finals = {algo: float(iqm(part.top_mean.to_numpy()[:, None])[0]) for algo, part in runs.groupby("algo", sort=False)}
    baselines = {algo: value for algo, value in finals.items() if algo in index.baselines} or finals
    best = max(baselines, key=lambda algo: baselines[algo] if not math.isnan(baselines[algo]) else -math.inf)
    return Target(best, baselines[best])
