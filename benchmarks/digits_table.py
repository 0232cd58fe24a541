"""Train thousands of `ma2ml/digits-v0` pipelines for real: the data behind the surrogate environments.

    python benchmarks/digits_table.py --out runs/digits-table
    python benchmarks/digits_table.py --out runs/digits-table --collect ma2ml_env/data/digits-v0.csv.xz

Half the pipelines are random, the others come from searches, so that good ones are covered too; the first hundred
random ones are trained under three seeds, which gives the noise floor. One process on one core; it may be stopped
at any time, and the same command goes on. About 4 seconds a training, 3,700 trainings. The second command trains
nothing: it writes what is finished to one small file, the data that `ma2ml surrogate fit` and others read.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import torch

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env.surrogate.table import write_table
from ma2ml_env.trials import TrialStore

ENV = "ma2ml/digits-v0"
Run = tuple[str, int, int, int]
"""Learner, its seed, the environment's seed, budget."""


def runs() -> list[Run]:
    """All runs, in an order that keeps an unfinished table balanced."""
    random = [("random_search", seed, 0, 100) for seed in range(16)]
    repeated = [("random_search", 0, env_seed, 100) for env_seed in (1, 2)]
    searches = [
        (algo, seed, 0, budget)
        for seed in range(5)
        for algo, budget in (("regularized_evolution", 150), ("ma2ml", 150), ("one_plus_one", 100))
    ]
    first, later = [random[0], *repeated], random[1:]
    mixed = itertools.chain.from_iterable(itertools.zip_longest(later, searches))
    return [*first, *(run for run in mixed if run is not None)]


def folder(root: Path, run: Run) -> Path:
    """Where a run keeps its trials."""
    algo, seed, env_seed, _ = run
    return root / f"{algo}-seed{seed}-env{env_seed}"


def collect(root: Path, file: Path) -> None:
    """Write the finished trials of all runs to one file."""
    env = ma2ml_env.make(ENV)
    stores = {folder(root, run).name: folder(root, run) / "trials.db" for run in runs()}
    found = {name: TrialStore(path, env.definition).load(env.decode) for name, path in stores.items() if path.exists()}
    write_table(file, env, found)
    print(f"{file}: {sum(map(len, found.values()))} trials of {len(found)} runs, {file.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/digits-table"))
    parser.add_argument("--collect", type=Path, help="write what is finished to this file, and train nothing")
    arguments = parser.parse_args()
    root = arguments.out
    if arguments.collect is not None:
        collect(root, arguments.collect)
        return
    torch.set_num_threads(1)
    env = ma2ml_env.make(ENV)
    for run in runs():
        algo, seed, env_seed, budget = run
        learner = make_learner(algo, agent_specs(env), seed=seed)
        trials = run_search(env, learner, budget, out=folder(root, run), seed=env_seed)
        print(f"{folder(root, run).name}: {len(trials)} trials, best {max(t.reward for t in trials):.4f}", flush=True)


if __name__ == "__main__":
    main()
