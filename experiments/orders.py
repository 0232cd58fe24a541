"""Compares the surrogate's ranking of learners with that of real trainings.

    python experiments/orders.py
    MA2ML_DATA=data python experiments/orders.py --env ma2ml/cifar10-16px-v0

The real runs are those of the environment's table: 150 trainings for each of three seeds. They are compared with ten
runs of the same learners on two surrogates: the shipped one, and one fitted here to the table with all pipelines of the
compared runs held out; its noise is that of the whole table. The scores of a run use observed rewards: their mean over
its 20 best distinct pipelines, and over all its proposals.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import ttest_ind

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluators.surrogate import SHIPPED, SurrogateEvaluator
from ma2ml_env.surrogate.evaluations_file import read_evaluations
from ma2ml_env.surrogate.fit import fit, gather
from ma2ml_env.trials import top_k

SEEDS, BUDGET, TOP_K = (1, 2, 3), 150, 20
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Table of an environment, and the learners whose real runs are part of it.

    Attributes:
        table: file with the trainings.
        learners: those with a run of each seed in it.
    """

    table: Path
    learners: tuple[str, ...]


COMPARISONS = {
    "ma2ml/digits-v0": Comparison(
        SHIPPED / "digits-v0.csv.xz", ("ma2ml", "regularized_evolution", "one_plus_one", "random_search")
    ),
    "ma2ml/cifar10-16px-v0": Comparison(
        Path(__file__).parent / "results" / "cifar10-16px-v0.csv.xz",
        ("ma2ml", "regularized_evolution", "tpe", "random_search"),
    ),
}


def score(trials: Sequence[Trial]) -> Scores:
    """Returns the mean reward of the best distinct pipelines, and of all."""
    return np.array([np.mean([t.reward for t in chosen]) for chosen in (top_k(trials, TOP_K), trials)])


def on_surrogate(real: AutoMLEnv, file: Path, learners: Sequence[str], seeds: int) -> dict[str, Scores]:
    """Returns the scores of each learner's runs, shape (seeds, 2)."""
    env = AutoMLEnv(real.search_spaces, SurrogateEvaluator(real, file), real.reward)
    return {
        name: np.array(
            [
                score(run_search(env, make_learner(name, agent_specs(env), seed=seed), BUDGET, seed=seed))
                for seed in range(seeds)
            ]
        )
        for name in learners
    }


def agreement(real: Mapping[str, Scores], other: Mapping[str, Scores], column: int) -> str:
    """Returns the number of equally ranked pairs of learners, also among pairs that real runs distinguish (Welch)."""
    same, clear, pairs = 0, [0, 0], list(combinations(real, 2))
    for first, second in pairs:
        differences = [runs[first][:, column].mean() - runs[second][:, column].mean() for runs in (real, other)]
        agrees = differences[0] * differences[1] > 0
        same += agrees
        if ttest_ind(real[first][:, column], real[second][:, column], equal_var=False).pvalue < 0.05:
            clear[0] += agrees
            clear[1] += 1
    return f"{same} of {len(pairs)} pairs in the same order; {clear[0]} of the {clear[1]} that real runs distinguish"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=COMPARISONS, default="ma2ml/digits-v0")
    parser.add_argument("--seeds", type=int, default=10, help="number of runs on the surrogates")
    arguments = parser.parse_args()
    env, comparison = ma2ml_env.make(arguments.env), COMPARISONS[arguments.env]
    runs = read_evaluations(comparison.table, env)
    compared = {name: [f"{name}-seed{seed}-env0" for seed in SEEDS] for name in comparison.learners}
    short = [run for folders in compared.values() for run in folders if len(runs.get(run, ())) < BUDGET]
    if short:
        parser.error(f"{comparison.table} contains fewer than {BUDGET} trials of {', '.join(short)}")
    real = {name: np.array([score(runs[run][:BUDGET]) for run in folders]) for name, folders in compared.items()}
    seen = {trial.pipeline.key for folders in compared.values() for run in folders for trial in runs[run]}
    unseen = {name: [trial for trial in trials if trial.pipeline.key not in seen] for name, trials in runs.items()}
    shipped = SHIPPED / f"{env.name.rpartition('/')[2]}.surrogate.xz"
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other.surrogate.xz"
        replace(fit(env, gather(env, unseen)), noise=gather(env, runs).noise).save(other)
        sides = {
            "real trainings": real,
            "shipped surrogate": on_surrogate(env, shipped, comparison.learners, arguments.seeds),
            "surrogate without these runs": on_surrogate(env, other, comparison.learners, arguments.seeds),
        }
    console = Console(width=120)
    for column, title in enumerate((f"mean reward of the top {TOP_K}", "mean reward of all")):
        table = Table("learner", *sides, title=f"{title}, mean and standard error over runs")
        for name in comparison.learners:
            scores = [side[name][:, column] for side in sides.values()]
            table.add_row(name, *(f"{s.mean():.4f} ± {s.std(ddof=1) / np.sqrt(len(s)):.4f}" for s in scores))
        console.print(table)
        for side in list(sides)[1:]:
            console.print(f"{side}: {agreement(real, sides[side], column)}", highlight=False)


if __name__ == "__main__":
    main()
