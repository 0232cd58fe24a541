"""Trains thousands of `ma2ml/cifar10-16px-v0` pipelines: the training data of its surrogate.

    MA2ML_DATA=data python experiments/colour_table.py --out runs/colour-table
    MA2ML_DATA=data python experiments/colour_table.py --out runs/colour-table --collect TABLE.csv.xz

Half of the pipelines are random, the others come from four learners, so that good ones are covered, too; an unfinished
table has about as many of both. The first hundred random ones are trained under three seeds, to estimate the noise.
Every learner has three runs of 150, whose ranking can be compared with the surrogate's. Each process uses one core, may
be stopped at any time, and resumes when restarted; any number of them share the folder, or the runs, with `--shard
i/n`. The second command trains nothing: it adds finished trials to one small file, which keeps the runs that the
folder lacks, so that folders of several machines merge into it, and adds the trainings of `colour_gate.py` that are of
the same definition. Runs in the stored table are not trained again. On a GPU (`--device cuda`) trainings are in single
precision, as on a CPU.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import colour_gate
import filelock
import torch

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env.surrogate.evaluations_file import read_evaluations, write_evaluations
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import Result, Trial

ENV = "ma2ml/cifar10-16px-v0"
TABLE = Path(__file__).parent / "results" / "cifar10-16px-v0.csv.xz"
GATE = Path(__file__).parent / "results" / "colour_gate"
SEARCHES = ("regularized_evolution", "ma2ml", "local_search", "tpe")
NOISE_SEEDS = 3
ROUNDS = 3


@dataclass(frozen=True)
class Run:
    """One search, or random pipelines under a seed of the environment."""

    algo: str
    seed: int
    env_seed: int = 0
    budget: int = 150

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.algo}-seed{self.seed}-env{self.env_seed}"


def runs() -> list[Run]:
    """Returns all runs, ordered to keep an unfinished table balanced: 3,450 trainings in three rounds."""
    noise = [Run("random_search", 0, env_seed, budget=100) for env_seed in range(NOISE_SEEDS)]
    rounds = []
    for seed in range(1, ROUNDS + 1):
        searches = [Run(algo, seed) for algo in SEARCHES]
        random = [Run("random_search", seed + ROUNDS * number) for number in range(len(SEARCHES) - 1)]
        rounds += [run for pair in zip(searches, random, strict=False) for run in pair] + searches[len(random) :]
    return [noise[0], *rounds[:2], *noise[1:], *rounds[2:]]


def train(root: Path, run: Run, known: dict[str, list[Trial]], **settings: str) -> None:
    """Finishes a run, with settings of the environment."""
    env = ma2ml_env.make(ENV, **settings)
    if max(len(known.get(run.name, [])), len(stored(root, run))) >= run.budget:
        return
    learner = make_learner(run.algo, agent_specs(env), seed=run.seed)
    trials = run_search(env, learner, run.budget, out=root / run.name, seed=run.env_seed)
    print(f"{run.name}: {len(trials)} trials, best {max(t.reward for t in trials):.4f}", flush=True)


def stored(root: Path, run: Run) -> list[Trial]:
    """Returns a run's finished trials."""
    env = ma2ml_env.make(ENV)
    file = root / run.name / "trials.db"
    return TrialStore(file, env.definition).load(env.decode) if file.exists() else []


def known_runs(table: Path) -> dict[str, list[Trial]]:
    """Returns a table's trials by run; empty if there is no table."""
    return read_evaluations(table, ma2ml_env.make(ENV)) if table.exists() else {}


def crossed_runs(folder: Path) -> dict[str, list[Trial]]:
    """The trainings of the gate's chosen design with the environment's epochs and images, a run a block."""
    env, spaces = ma2ml_env.make(ENV), colour_gate.CHOSEN.spaces
    found: dict[str, list[Trial]] = {}
    for row in sorted(colour_gate.rows("chosen", folder), key=lambda row: row["key"]):
        if (row["epochs"], row["images"]) != (1, 1):
            continue
        chosen = colour_gate.actions(spaces, row["block"])
        agents = zip(colour_gate.AGENTS, row["cell"], strict=True)
        pipeline = env.decode({agent: chosen[agent][index] for agent, index in agents})
        facts = {fact: row[fact] for fact in ("accuracy", "flops", "seconds", "error")}
        result = Result(**facts, params=env.cost(pipeline).params, curve=tuple(row["curve"]))
        trials = found.setdefault(f"crossed-block{row['block']}", [])
        trials.append(Trial(len(trials), row["seed"], pipeline, result, float(env.reward(result))))
    return found


def collect(root: Path, file: Path) -> None:
    """Writes the finished trials of all runs and of the gate to one file, beside those already in it."""
    found = known_runs(file) | crossed_runs(GATE)
    for run in runs():
        if len(trials := stored(root, run)) > len(found.get(run.name, [])):
            found[run.name] = trials
    write_evaluations(file, ma2ml_env.make(ENV), found)
    print(f"{file}: {sum(map(len, found.values()))} trials of {len(found)} runs, {file.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/colour-table"))
    parser.add_argument("--shard", default="0/1", help="i/n: the i-th of n processes, from 0, trains every n-th run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--collect", type=Path, help="write finished trials to this file, and train nothing")
    arguments = parser.parse_args()
    if arguments.collect is not None:
        collect(arguments.out, arguments.collect)
        return
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    known = known_runs(TABLE)
    settings = {} if arguments.device == "cpu" else {"device": arguments.device, "precision": "float32"}
    index, count = map(int, arguments.shard.split("/"))
    for run in runs()[index::count]:
        lock = filelock.FileLock(arguments.out / f"{run.name}.lock", timeout=0)
        try:
            with lock:
                train(arguments.out, run, known, **settings)
        except filelock.Timeout:
            continue


if __name__ == "__main__":
    main()
