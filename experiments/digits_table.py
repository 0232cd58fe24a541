"""Trains thousands of `ma2ml/digits-v0` pipelines: the training data of the surrogate environments.

    python experiments/digits_table.py --out runs/digits-table
    python experiments/digits_table.py --out runs/digits-table --collect experiments/results/digits-v0-more.csv.xz

Two in five pipelines are random, the others come from searches, so that good ones are covered, too. The first hundred
random ones are trained under three seeds and those of six searches under two, to estimate the noise ceiling of both
kinds. Four learners have three runs of 150 each, whose ranking `experiments/orders.py` compares with the surrogate's.
Each process uses one core, may be stopped at any time, and resumes when restarted; any number of them share the folder.
A training takes about 4 seconds. The second command trains nothing: it adds finished trials to one small file. There
are two, which `ma2ml surrogate fit` and others read: the package's own, to which its surrogate was fitted, and later
trainings. Runs in either of them are not trained again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import filelock
import torch

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env.evaluators.surrogate import SHIPPED
from ma2ml_env.surrogate.evaluations_file import read_evaluations, write_evaluations
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import Trial

ENV = "ma2ml/digits-v0"
FITTED = SHIPPED / "digits-v0.csv.xz"
SINCE = Path(__file__).parent / "results" / "digits-v0-more.csv.xz"
TABLES = (FITTED, SINCE)
SEARCHES = ("regularized_evolution", "one_plus_one", "ma2ml")


@dataclass(frozen=True)
class Run:
    """One search, or second trainings of another search's pipelines."""

    algo: str
    seed: int
    env_seed: int = 0
    budget: int = 150
    again: bool = False

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.algo}-seed{self.seed}-env{self.env_seed}"

    @property
    def first(self) -> Run:
        """Run whose pipelines this one trains again."""
        return Run(self.algo, self.seed)


def runs() -> list[Run]:
    """Returns all runs, ordered to keep an unfinished table balanced."""
    noise = [Run("random_search", 0, env_seed, budget=100) for env_seed in range(3)]
    compared = [Run(algo, seed) for seed in (1, 2, 3) for algo in ("random_search", *SEARCHES)]
    again = [Run(algo, seed, env_seed=1, again=True) for seed in (1, 2) for algo in SEARCHES]
    more = [Run(algo, 0) for algo in SEARCHES] + [Run("random_search", seed) for seed in range(4, 10)]
    wider = [
        run for seed in range(4, 8) for run in (*(Run(algo, seed) for algo in SEARCHES), Run("random_search", seed + 6))
    ]
    widest = [
        run
        for round_, seed in enumerate(range(8, 16))
        for run in (
            *(Run("random_search", 14 + 5 * round_ + number) for number in range(5)),
            *(Run(algo, seed) for algo in SEARCHES),
        )
    ]
    return [*noise, *compared, *again, *more, *wider, *widest]


def train(root: Path, run: Run, known: dict[str, list[Trial]]) -> None:
    """Finishes a run; second trainings are postponed to the next start if their first run is unfinished."""
    env = ma2ml_env.make(ENV)
    first = (known.get(run.first.name) or stored(root, run.first)) if run.again else []
    if run.again and len(first) < run.first.budget:
        return
    pipelines = {trial.pipeline.key: trial.pipeline.action for trial in first}
    budget = len(pipelines) or run.budget
    if max(len(known.get(run.name, [])), len(stored(root, run))) >= budget:
        return
    learner = make_learner("random_search" if run.again else run.algo, agent_specs(env), seed=run.seed)
    again = list(pipelines.values())
    trials = run_search(env, learner, budget, out=root / run.name, seed=run.env_seed, warm_start=again)
    print(f"{run.name}: {len(trials)} trials, best {max(t.reward for t in trials):.4f}", flush=True)


def stored(root: Path, run: Run) -> list[Trial]:
    """Returns a run's finished trials."""
    env = ma2ml_env.make(ENV)
    file = root / run.name / "trials.db"
    return TrialStore(file, env.definition).load(env.decode) if file.exists() else []


def known_runs(*tables: Path) -> dict[str, list[Trial]]:
    """Returns the trials of the existing ones of these files, by run."""
    env = ma2ml_env.make(ENV)
    return {name: trials for table in tables if table.exists() for name, trials in read_evaluations(table, env).items()}


def collect(root: Path, file: Path) -> None:
    """Writes the finished trials of all runs to one file, after those already in it; no run is in two tables."""
    found = known_runs(file)
    elsewhere = known_runs(*(table for table in TABLES if table.resolve() != file.resolve()))
    for run in runs():
        if run.name not in elsewhere and len(trials := stored(root, run)) > len(found.get(run.name, [])):
            found[run.name] = trials
    write_evaluations(file, ma2ml_env.make(ENV), found)
    print(f"{file}: {sum(map(len, found.values()))} trials of {len(found)} runs, {file.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/digits-table"))
    parser.add_argument("--collect", type=Path, help="write finished trials to this file, and train nothing")
    arguments = parser.parse_args()
    if arguments.collect is not None:
        collect(arguments.out, arguments.collect)
        return
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    known = known_runs(*TABLES)
    complete = known_runs(FITTED).keys()  # even unfinished runs: no run is in two tables
    for run in runs():
        if run.name in complete:
            continue
        lock = filelock.FileLock(arguments.out / f"{run.name}.lock", timeout=0)
        try:
            with lock:
                train(arguments.out, run, known)
        except filelock.Timeout:
            continue


if __name__ == "__main__":
    main()
