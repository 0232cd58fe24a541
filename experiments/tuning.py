"""Tunes every learner with the same small budget; the best settings are the learner's defaults.

    python experiments/tuning.py --out runs/tuning --workers 2

Each learner is run with 12 settings, its default before tuning and others sampled from its choices below, on two
problems (`problems.yaml`) with 3 seeds of 200 evaluations, slow learners with one seed. The score is the mean true
value of the top 20 distinct pipelines, averaged over 100 and 200 evaluations, seeds and problems. Both problems are
closed forms, one of 89 decisions and one of nine. No reported result uses them or these seeds; learners are evaluated
on tables and surrogates of real trainings.

An exception is `ma2ml` with its Gaussian process, whose defaults were chosen by hand on the same problems: of its 12
settings they are the fifth. They stay, since the better ones have no interactions, which these problems hardly need.

Writes `experiments/results/tuning.json`; rows of learners that `--algos` leaves out are kept. Unfinished runs are
resumed; about an hour and a half on one core, most of it models that are fitted at every proposal.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import ma2ml_env
from ma2ml_agents.benchmark import make_grid, run_grid, summarize

RESULTS = Path(__file__).parent / "results" / "tuning.json"
PROBLEMS = Path(__file__).parent / "problems.yaml"
SETTINGS, BUDGET, CHECKPOINTS = 12, 200, (100, 200)
SEEDS = [100, 101, 102]
SLOW = ("bananas", "predictor_evolution", "rmi_forest", "l2nas")
"""Learners that are run with the first seed alone: they fit a model at every proposal."""
BEFORE: dict[str, dict[str, Any]] = {
    "ma2ml": {
        "warmup": 10,
        "kernel": "mixed",
        "policy_scale": 60,
        "pool": 352,
        "gp_kl_coef": 1.5,
        "entropy_halving": 120,
        "standardization": "ranks",
    },
    "ma2ml, ensemble": {
        "learning_rate": 0.05,
        "actor_steps": 30,
        "kl_coef": 2.7,
        "warmup": 20,
        "critic_learning_rate": 2e-3,
        "critic_weight_decay": 0.1,
        "batch_size": 10,
    },
    "ma2ml_lite": {"learning_rate": 0.4, "batch_size": 10, "baseline_decay": 0.95},
    "ma2ml_on_policy": {
        "learning_rate": 0.6,
        "batch_size": 10,
        "critic_steps": 20,
        "critic_learning_rate": 2e-3,
        "critic_weight_decay": 0.1,
    },
    "regularized_evolution": {"population": 30, "sample": 10},
    "one_plus_one": {"mutations": 1.0},
    "nsga2": {"population": 30, "crossover_rate": 0.9},
    "ppo": {"learning_rate": 0.2, "batch_size": 10, "epochs": 10, "clip": 0.2, "entropy_coef": 1e-5},
    "gp": {"warmup": 10, "parents": 10, "local_pool": 200, "total_weight": 1.0, "kernel": "product"},
    "vdn": {"exploration": "epsilon", "epsilon_end": 0.05, "epsilon_steps": 100, "penalty": 3.0},
    "migo": {"batch_size": 10, "step": 0.6, "momentum": 0.5},
    "local_search": {"starts": 1},
    "cmaes": {"population": 0},
    "bananas": {"batch_size": 10, "warmup": 10, "parents": 5, "epochs": 60, "learning_rate": 3e-3, "weight_decay": 0.1},
    "predictor_evolution": {"batch_size": 10, "warmup": 20, "mutation_rate": 0.1, "optimism": 0.5, "epochs": 60},
    "rmi_forest": {"warmup": 30, "good": 0.2, "mutants": 500, "trees": 50},
    "nars": {"batch_size": 12, "first_round": 32, "pool_results": 68, "epochs": 60},
    "l2nas": {"warmup": 20, "best": 16, "quantile": 0.9, "learning_rate": 1e-3, "noise": 0.1, "epsilon_steps": 100},
}
ENSEMBLE = {"ma2ml, ensemble": ("ma2ml", {"critic": "ensemble"})}
"""The learner of an entry that is not a learner's name, and the settings that make it."""
CHOICES: dict[str, dict[str, list[Any]]] = {
    "ma2ml": {
        "warmup": [5, 10, 20],
        "kernel": ["mixed", "product", "additive"],
        "policy_scale": [30, 60, 120],
        "pool": [176, 352, 704],
        "gp_kl_coef": [0.5, 1.5, 4.5],
        "entropy_halving": [60, 120, 240],
        "standardization": ["ranks", "quartiles", "top"],
    },
    "ma2ml, ensemble": {
        "learning_rate": [0.02, 0.05, 0.1, 0.2],
        "actor_steps": [15, 30, 60],
        "kl_coef": [0.3, 0.9, 2.7, 9.0],
        "warmup": [10, 20, 40],
        "critic_learning_rate": [1e-3, 2e-3, 4e-3],
        "critic_weight_decay": [0.03, 0.1, 0.3],
        "batch_size": [5, 10, 20],
    },
    "ma2ml_lite": {
        "learning_rate": [0.1, 0.2, 0.4, 0.8],
        "batch_size": [5, 10, 20],
        "baseline_decay": [0.8, 0.9, 0.95],
    },
    "ma2ml_on_policy": {
        "learning_rate": [0.1, 0.2, 0.4, 0.6, 0.8],
        "batch_size": [5, 10, 20],
        "critic_steps": [10, 20, 60],
        "critic_learning_rate": [1e-3, 2e-3, 4e-3],
    },
    "regularized_evolution": {"population": [10, 20, 30, 50, 100], "sample": [3, 5, 10, 20]},
    "one_plus_one": {"mutations": [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0]},
    "nsga2": {"population": [6, 10, 16, 20, 30, 50], "crossover_rate": [0.0, 0.3, 0.5, 0.7, 0.9]},
    "ppo": {
        "learning_rate": [0.05, 0.1, 0.2, 0.4],
        "batch_size": [5, 10, 20],
        "epochs": [5, 10, 20],
        "clip": [0.1, 0.2, 0.3],
        "entropy_coef": [1e-5, 1e-3, 1e-2],
    },
    "gp": {
        "warmup": [5, 10, 20],
        "parents": [5, 10, 20],
        "local_pool": [100, 200, 400],
        "total_weight": [0.5, 1.0, 2.0, 4.0],
        "kernel": ["product", "mixed"],
    },
    "vdn": {
        "exploration": ["epsilon", "thompson"],
        "epsilon_end": [0.02, 0.05, 0.1],
        "epsilon_steps": [25, 50, 100, 200],
        "penalty": [1.0, 3.0, 10.0],
    },
    "migo": {"batch_size": [5, 10, 20], "step": [0.3, 0.6, 1.0, 1.5], "momentum": [0.0, 0.5, 0.9]},
    "local_search": {"starts": [1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80]},
    "cmaes": {"population": [0, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 24]},
    "bananas": {
        "batch_size": [5, 10],
        "warmup": [10, 20],
        "parents": [5, 10, 20],
        "epochs": [30, 60, 120],
        "learning_rate": [1e-3, 3e-3, 1e-2],
        "weight_decay": [0.03, 0.1, 0.3],
    },
    "predictor_evolution": {
        "batch_size": [5, 10],
        "warmup": [10, 20, 40],
        "mutation_rate": [0.05, 0.1, 0.2],
        "optimism": [0.0, 0.5, 1.0],
        "epochs": [30, 60, 120],
    },
    "rmi_forest": {
        "warmup": [10, 20, 30, 50],
        "good": [0.05, 0.1, 0.2, 0.3],
        "mutants": [250, 500, 1000],
        "trees": [25, 50, 100],
    },
    "nars": {
        "batch_size": [6, 12],
        "first_round": [16, 32],
        "pool_results": [32, 68, 100],
        "epochs": [30, 60, 120],
    },
    "l2nas": {
        "warmup": [10, 20, 40],
        "best": [8, 16, 32],
        "quantile": [0.8, 0.9, 0.95],
        "learning_rate": [5e-4, 1e-3, 3e-3],
        "noise": [0.05, 0.1, 0.2],
        "epsilon_steps": [50, 100, 200],
    },
}


def drawn(algo: str) -> list[dict[str, Any]]:
    """Returns the 12 settings of a learner: its default before tuning, and distinct random ones."""
    rng = np.random.default_rng(0)
    settings = [BEFORE[algo]]
    while len(settings) < SETTINGS:
        made = {name: values[int(rng.integers(len(values)))] for name, values in CHOICES[algo].items()}
        if made not in settings and made != settings[0]:
            settings.append(made)
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/tuning"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--algos", nargs="+", choices=list(CHOICES), default=list(CHOICES))
    given = parser.parse_args()
    variants = {f"{algo} {number}": (algo, made) for algo in given.algos for number, made in enumerate(drawn(algo))}
    algos = [
        {"name": name, "algo": learner, "settings": made | fixed} | ({"seeds": SEEDS[:1]} if entry in SLOW else {})
        for name, (entry, made) in variants.items()
        for learner, fixed in [ENSEMBLE.get(entry, (entry, {}))]
    ]
    problems = ma2ml_env.register_file(PROBLEMS)
    grid = make_grid(problems, algos, SEEDS, BUDGET)
    run_grid(grid, given.out, workers=given.workers, console=Console())
    found = summarize(given.out).anytime
    found = found[found.evaluations.isin(CHECKPOINTS)]
    means = found.groupby(["algo", "env"]).top_mean.mean().unstack()
    rows = [
        {"learner": algo, "settings": made, "score": round(float(means.loc[name].mean()), 4)}
        | {problem: round(float(means.loc[name, problem]), 4) for problem in means.columns}
        for name, (algo, made) in variants.items()
    ]
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    kept = [row for row in stored if row["learner"] not in given.algos]
    ordered = sorted(kept + rows, key=lambda row: (row["learner"], -row["score"]))
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    for row in ordered:
        print(f"{row['learner']:22s} {row['score']:.4f}  {row['settings']}")


if __name__ == "__main__":
    main()
