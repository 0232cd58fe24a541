"""One run of a grid: searched, measured, and saved as a tidy table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ma2ml_agents.benchmark.grid import WINDOW, Cell
from ma2ml_agents.benchmark.measured import MeasuredLearner
from ma2ml_agents.learners import learner_from_config
from ma2ml_agents.runs.folder import run_folder
from ma2ml_agents.search import Callbacks, run_search
from ma2ml_agents.search.loop import CHECKPOINT_FOLDER
from ma2ml_env import AutoMLEnv, Pipeline, Result, Trial
from ma2ml_env.evaluator import KnownOptimum, NoiseFree
from ma2ml_env.files import replacing, write_text

if TYPE_CHECKING:
    import pandas as pd

CELLS_FOLDER, TABLE_FILE, FACTS_FILE = "cells", "trials.parquet", "facts.json"
REFERENCE_PIPELINES = 200


@dataclass(frozen=True)
class Facts:
    """Facts of a finished run beside its trials.

    Attributes:
        learner_seconds: CPU seconds of the learner for one pipeline; None where another library drove the run.
        optimum: highest true value of any pipeline, None if not known.
        random_mean: mean true value of uniformly random pipelines, None where true values are not known.
    """

    learner_seconds: float | None
    optimum: float | None
    random_mean: float | None


def run_cell(cell: Cell, out: Path, evaluated: Callable[[int], None] = lambda count: None) -> None:
    """Searches one cell of a grid; resumes an earlier attempt, does nothing if it is finished.

    Args:
        cell: the run.
        out: folder of the benchmark; the cell gets a folder in it.
        evaluated: receives the number of evaluated pipelines, after each.

    Raises:
        MA2MLError: if the cell's folder cannot be used.
    """
    folder = out / CELLS_FOLDER / cell.folder
    if finished(folder):
        return
    with run_folder(folder, cell.identity, {}):
        env = cell.problem.entry.build()
        env.reset(seed=cell.seed)
        made = learner_from_config(cell.contender.algo, cell.problem.specs, cell.contender.config, cell.seed)
        learner = MeasuredLearner(made)
        callbacks = Callbacks(on_trial=lambda trial, fresh: evaluated(trial.number + 1))
        trials = run_search(
            env,
            learner,
            cell.budget,
            out=folder,
            window=WINDOW,
            seed=cell.seed,
            bounds=cell.bounds,
            callbacks=callbacks,
        )
        save_run(env, trials, learner.seconds_per_pipeline, folder, bounded=bool(cell.bounds))
        shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)


def finished(folder: Path) -> bool:
    """Returns whether a run's table and facts exist."""
    return (folder / FACTS_FILE).exists()


def save_run(
    env: AutoMLEnv, trials: Sequence[Trial], learner_seconds: float | None, folder: Path, *, bounded: bool = False
) -> None:
    """Writes a run's table and, last, its facts, which mark it finished; the optimum within bounds is not known."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / TABLE_FILE) as table:
        tidy(env, trials).to_parquet(table, index=False)
    facts = Facts(learner_seconds, None if bounded else optimum(env), random_mean(env))
    write_text(folder / FACTS_FILE, json.dumps(asdict(facts), indent=2) + "\n")


def load_facts(folder: Path) -> Facts:
    """Returns the facts of a finished run."""
    return Facts(**json.loads((folder / FACTS_FILE).read_text(encoding="utf-8")))


def tidy(env: AutoMLEnv, trials: Sequence[Trial]) -> pd.DataFrame:
    """Returns trials as a table, one row each.

    Its columns are number, reward, true_value, accuracy, flops, params, seconds, failed and key.
    """
    import pandas as pd

    rows = [
        {
            "number": trial.number,
            "reward": float(trial.reward),
            "true_value": trial.reward if trial.result.infeasible else true_value(env, trial.pipeline, trial.reward),
            "accuracy": float(trial.result.accuracy),
            "flops": float(trial.result.flops),
            "params": float(trial.result.params),
            "seconds": float(trial.result.seconds),
            "failed": trial.result.failed,
            "key": trial.pipeline.key,
        }
        for trial in trials
    ]
    return pd.DataFrame(rows)


def true_value(env: AutoMLEnv, pipeline: Pipeline, observed: float) -> float:
    """Returns the noise-free reward of a pipeline where the environment knows it, else the observed one."""
    return float(env.reward(env.expected(pipeline))) if _knows_true_values(env) else observed


def optimum(env: AutoMLEnv) -> float | None:
    """Returns the highest true value, where the evaluator knows its optimum and cost does not matter."""
    if not isinstance(env.evaluator, KnownOptimum):
        return None
    accuracy = float(env.evaluator.optimum_accuracy)
    cheap, dear = (float(env.reward(Result(accuracy, size, size, 0.0))) for size in (1.0, 1e18))
    return cheap if cheap == dear else None


def random_mean(env: AutoMLEnv, count: int = REFERENCE_PIPELINES) -> float | None:
    """Returns the mean true value of `count` uniformly random pipelines, the same ones at every call."""
    if not _knows_true_values(env):
        return None
    rng = np.random.default_rng(0)
    drawn = [env.decode({agent: space.sample(rng) for agent, space in env.search_spaces.items()}) for _ in range(count)]
    return float(np.mean([env.reward(env.expected(pipeline)) for pipeline in drawn]))


def _knows_true_values(env: AutoMLEnv) -> bool:
    return isinstance(env.evaluator, NoiseFree)
