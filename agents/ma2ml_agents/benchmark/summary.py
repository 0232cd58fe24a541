"""From the runs on disk to one row per run: final, anytime, regret, evaluations to the target."""

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
    """What the best baseline of an environment reached in the end.

    Attributes:
        baseline: its name.
        value: interquartile mean over its runs.

    Source: ours.
    """

    baseline: str
    value: float


@dataclass(frozen=True)
class Summary:
    """What the finished runs of a benchmark found.

    Attributes:
        index: what was to be compared.
        trials: a row per evaluation: env, algo, seed, number, reward, true_value, accuracy, flops, params, seconds,
            failed, key.
        runs: a row per run: env, algo, seed, evaluations, distinct, top_mean (true value of the top 20 distinct
            pipelines by observed reward), best (true value of the top one), regret (0 is the optimum, 1 a random
            pipeline; NaN where not known), score (0 is a random pipeline, 1 the best known), learner_seconds,
            evaluations_to_target (NaN where not reached).
        anytime: a row per run and checkpoint: env, algo, seed, evaluations, top_mean, best.
        targets: {environment: what `evaluations_to_target` counts to}.

    Source: ours.
    """

    index: Index
    trials: pd.DataFrame
    runs: pd.DataFrame
    anytime: pd.DataFrame
    targets: Mapping[str, Target]

    def envs(self) -> list[str]:
        """The environments with finished runs, in the order of the tables."""
        return [env for env in self.index.envs if (self.runs.env == env).any()]

    def algos(self, env: str) -> list[str]:
        """The algorithms with finished runs on an environment, in the order of the tables."""
        return [algo for algo in self.index.algos if len(self.of(env, algo))]

    def of(self, env: str, algo: str) -> pd.DataFrame:
        """The rows of `runs` of one algorithm on one environment."""
        return self.runs[(self.runs.env == env) & (self.runs.algo == algo)]

    def scores(self, env: str, algo: str, column: str = "top_mean") -> NDArray[np.float64]:
        """A column of `runs`, shape (runs, 1)."""
        return np.asarray(self.of(env, algo)[column], dtype=np.float64)[:, None]


def summarize(out: str | Path) -> Summary:
    """Sum up the finished runs of a benchmark, and write the three tables beside them.

    Args:
        out: folder of the benchmark.

    Raises:
        ValueError: if the extra is not installed, or there is no benchmark or no finished run.

    Source: ours.
    """
    check_packages()
    import pandas as pd

    out = Path(out)
    index = read_index(out)
    found = [_found(run, out) for run in index.runs if finished(out / CELLS_FOLDER / run.folder)]
    if not found:
        raise MA2MLError(f"no run of the benchmark in {out} is finished yet")
    runs = _relate(pd.DataFrame([one.row() for one in found]))
    targets = {env: _target(part, index) for env, part in runs.groupby("env", sort=False)}
    reached = [evaluations_to(one.top, targets[one.run.env].value) for one in found]
    runs["evaluations_to_target"] = pd.Series(reached, dtype=float)
    anytime = pd.DataFrame([row for one in found for row in one.anytime(index.budget)])
    trials = pd.concat([one.trials for one in found], ignore_index=True)
    for name, table in ((TRIALS_FILE, trials), (RUNS_FILE, runs), (ANYTIME_FILE, anytime)):
        with replacing(out / name) as temporary:
            table.to_parquet(temporary, index=False)
    return Summary(index, trials, runs, anytime, targets)


@dataclass(frozen=True)
class _Found:
    """A finished run: its trials, its facts, and the curves of its best 20 and its best one."""

    run: Run
    trials: pd.DataFrame
    facts: Facts
    top: Curve
    best: Curve

    @property
    def place(self) -> dict[str, Any]:
        return {"env": self.run.env, "algo": self.run.algo, "seed": self.run.seed}

    def row(self) -> dict[str, Any]:
        """The run's line of `Summary.runs`, before it is compared with others."""
        counts = {"evaluations": len(self.trials), "distinct": int(self.top.distinct[-1])}
        values = {"top_mean": float(self.top.top[-1]), "best": float(self.best.top[-1])}
        return {**self.place, **counts, **values, **vars(self.facts)}

    def anytime(self, budget: int) -> list[dict[str, Any]]:
        """The run's lines of `Summary.anytime`."""
        return [
            {**self.place, "evaluations": n, "top_mean": at(self.top.top, n), "best": at(self.best.top, n)}
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


def _relate(runs: pd.DataFrame) -> pd.DataFrame:
    """With `regret` and `score`: where a run is between a random pipeline and the best one.

        regret = (optimum - top_mean) / (optimum - random_mean)
        score = (top_mean - low) / (high - low)

    `high` is the optimum, or where it is not known the best value that any run found; `low` is `random_mean`, or
    where it is not known the lowest final value of any run.
    """
    runs = runs.astype({"optimum": float, "random_mean": float, "learner_seconds": float})
    runs["regret"] = (runs.optimum - runs.top_mean) / (runs.optimum - runs.random_mean)
    by_env = runs.groupby("env")
    high = runs.optimum.fillna(by_env.best.transform("max"))
    low = runs.random_mean.fillna(by_env.top_mean.transform("min"))
    runs["score"] = ((runs.top_mean - low) / (high - low).where(high > low)).fillna(0.0)
    return runs


def _target(runs: pd.DataFrame, index: Index) -> Target:
    """The best baseline by its interquartile mean; of all algorithms where there is no baseline."""
    finals = {algo: float(iqm(part.top_mean.to_numpy()[:, None])[0]) for algo, part in runs.groupby("algo", sort=False)}
    baselines = {algo: value for algo, value in finals.items() if algo in index.baselines} or finals
    best = max(baselines, key=lambda algo: baselines[algo] if not math.isnan(baselines[algo]) else -math.inf)
    return Target(best, baselines[best])
