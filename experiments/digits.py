"""Comparison of learners on `ma2ml/digits-v0` at the default budget: real trainings, several seeds, one table.

    python experiments/digits.py --out runs/digits

Runs `ma2ml train` for every learner and seed (finished ones are skipped) and prints the README's table: means over
seeds with 95 % intervals (Student's t).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

import ma2ml_env
from ma2ml_env.trials import TrialStore, top_k_mean

ALGOS = ("ma2ml", "ma2ml_on_policy", "ma2ml_lite", "random_search")
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}


def figures(folder: Path) -> dict[str, float]:
    """Returns a run's test accuracy, best validation accuracy, and mean reward of the top 20 and the last 20 trials."""
    trials = TrialStore(folder / "trials.db").load(ma2ml_env.make("ma2ml/digits-v0").decode)
    result = json.loads((folder / "result.json").read_text())
    return {
        "test accuracy of the retrained best": result["test_accuracy"],
        "best validation accuracy": result["accuracy"],
        "mean reward, top 20": top_k_mean(trials, 20),
        "mean reward, last 20": statistics.fmean(trial.reward for trial in trials[-20:]),
    }


def interval(values: list[float], percent: bool) -> str:
    half = T_95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return f"{mean:.2%} ± {half:.2%}" if percent else f"{mean:.3f} ± {half:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/digits"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for algo in ALGOS:
            folder = options.out / f"{algo}-{seed}"
            if not (folder / "result.json").exists():
                command = f"train --algo {algo} --seed {seed} --workers {options.workers} --out {folder}".split()
                subprocess.run([sys.executable, "-m", "ma2ml_agents.commands", *command], check=True)
            rows.setdefault(algo, []).append(figures(folder))
    (options.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")
    columns = list(rows[ALGOS[0]][0])
    print(f"| learner | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for algo, runs in rows.items():
        cells = [interval([run[column] for run in runs], percent="accuracy" in column) for column in columns]
        print(f"| `{algo}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
