"""Judge MA2ML on real trainings that no learner was tuned on: is half the budget enough to match the best baseline?

    python experiments/half_budget.py --seeds 5
    python experiments/half_budget.py --seeds 10 --learners ma2ml gp
    python experiments/half_budget.py --show

Each learner evaluates 300 pipelines a run. After each quarter three true values are noted: the mean of the top 20
distinct pipelines by observed reward; the best found, the pipeline of the highest observed reward; and the final
answer, the pipeline that the learner recommends, which is the best found for those that recommend none. Baselines on
FCNet and `digits-surrogate` are those of the stored grid (`results/grid`, 10 seeds, the same environments), all others
are run here. Half the budget is enough on a problem where MA2ML's mean over seeds after 150 is at least the highest
mean of a baseline after 300.

Runs are appended to `results/half/runs.csv` and not repeated; each process takes what is missing, in the order of
seeds. The tables go to `results/half/half.md`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.benchmark.cell import true_value
from ma2ml_agents.benchmark.curves import curve
from ma2ml_agents.benchmark.measured import MeasuredLearner
from ma2ml_agents.learner import Batch, Learner, Recommender

HERE = Path(__file__).parent
RUNS, PAGE, GRID = HERE / "results/half/runs.csv", HERE / "results/half/half.md", HERE / "results/grid/anytime.parquet"
BUDGET, QUARTERS = 300, (75, 150, 225, 300)
TABLES = ("ma2ml-sklearn/breast-cancer-v0", "ma2ml-sklearn/digits-v0")
STORED = (
    *(f"ma2ml/fcnet-{name}-v0" for name in ("protein", "naval", "parkinsons", "slice")),
    "ma2ml/digits-surrogate-v0",
)
Learners = dict[str, tuple[str, dict[str, Any]]]
OWN: Learners = {
    "ma2ml": ("ma2ml", {}),
    "ma2ml, improvement alone": ("ma2ml", {"policy_scale": 1_000_000}),
    "ma2ml, policies alone": ("ma2ml", {"policy_scale": 1}),
    "ma2ml, batches of 5": ("ma2ml", {"batch_size": 5}),
}
RIVALS: Learners = {"gp": ("gp", {}), "local_search": ("local_search", {}), "vdn": ("vdn", {}), "migo": ("migo", {})}
BASELINES: Learners = {
    "regularized_evolution": ("regularized_evolution", {}),
    "regularized_evolution, P = 30": ("regularized_evolution", {"population": 30, "sample": 10}),
    "one_plus_one": ("one_plus_one", {}),
    "random_search": ("random_search", {}),
    "tpe": ("tpe", {}),
    "smac": ("smac", {}),
    "ma2ml, ensemble": ("ma2ml", {"critic": "ensemble", "batch_size": 5}),
}
ALL = (*OWN, *RIVALS, *BASELINES)
NO_BASELINES = (*OWN, "ma2ml, ensemble")
FEW = {"smac": 2, "ma2ml, batches of 5": 3, "ma2ml, ensemble": 3} | dict.fromkeys(["local_search", "vdn", "migo"], 3)
MEASURES = {"top": "Top 20", "best": "Best found", "answer": "Final answer"}
COLUMNS = [
    "problem",
    "learner",
    "seed",
    *(f"{measure}_{quarter}" for measure in MEASURES for quarter in QUARTERS),
    "ms",
]


class Answering(MeasuredLearner):
    """A learner whose final answers after each quarter are kept, where it has any."""

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner)
        self.inner, self.count = learner, 0
        self.answers: dict[int, Any] = {}

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Learn, and note the answer."""
        numbers = super().update(batch)
        self.count += len(batch)
        if self.count in QUARTERS and isinstance(self.inner, Recommender):
            self.answers[self.count] = self.inner.recommend()
        return numbers


def run(problem: str, name: str, seed: int) -> list[Any]:
    """One run as a row."""
    env = ma2ml_env.make(problem)
    env.reset(seed=seed)
    algo, settings = (OWN | RIVALS | BASELINES)[name]
    learner = Answering(make_learner(algo, agent_specs(env), seed=seed, **settings))
    trials = run_search(env, learner, BUDGET)
    values = [true_value(env, trial.pipeline, trial.reward) for trial in trials]
    rewards = [trial.reward for trial in trials]
    top = curve([trial.pipeline.key for trial in trials], rewards, values).top
    best = {count: values[int(np.argmax(rewards[:count]))] for count in QUARTERS}
    answers = best | {q: true_value(env, env.decode(a), 0.0) for q, a in learner.answers.items()}
    found = [*(float(top[count - 1]) for count in QUARTERS), *best.values(), *answers.values()]
    milliseconds = round(1000 * (learner.seconds_per_pipeline or 0.0), 1)
    return [problem, name, seed, *(round(value, 5) for value in found), milliseconds]


def missing(seeds: int, learners: list[str]) -> list[tuple[str, str, int]]:
    """The runs to make, those of the first seeds first."""
    wanted = [
        (problem, learner, seed)
        for seed in range(seeds)
        for problem in (*TABLES, *STORED)
        for learner in learners
        if (learner not in BASELINES or problem in TABLES) and seed < FEW.get(learner, seeds)
    ]
    done = set() if not RUNS.exists() else set(pd.read_csv(RUNS)[COLUMNS[:3]].itertuples(index=False, name=None))
    return [cell for cell in wanted if cell not in done]


def table() -> pd.DataFrame:
    """All runs, made here and stored with the grid, in the columns of `runs.csv`."""
    grid = pd.read_parquet(GRID).rename(columns={"env": "problem", "algo": "learner", "top_mean": "top"})
    grid = grid[grid.evaluations.isin(QUARTERS)].replace({"learner": {"ma2ml": "ma2ml, ensemble"}})
    wide = grid.pivot_table(index=COLUMNS[:3], columns="evaluations", values=["top", "best"])
    wide.columns = [f"{measure}_{quarter}" for measure, quarter in wide.columns]
    for quarter in QUARTERS:
        wide[f"answer_{quarter}"] = wide[f"best_{quarter}"]
    return pd.concat([pd.read_csv(RUNS), wide.reset_index()])


def verdicts(runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The best final value of the usual baselines and of the rivals, and MA2ML's after half the budget, by problem."""
    means = runs.groupby(["problem", "learner"])[[f"{measure}_{quarter}" for quarter in QUARTERS]].mean()
    rows = []
    for problem in (*TABLES, *STORED):
        final = means.loc[problem][f"{measure}_{BUDGET}"]
        usual, rivals = final[~final.index.isin([*NO_BASELINES, *RIVALS])], final[final.index.isin(RIVALS)]
        half = means.loc[(problem, "ma2ml"), f"{measure}_{BUDGET // 2}"]
        best = [usual.idxmax(), usual.max(), half >= usual.max(), rivals.idxmax(), rivals.max(), half >= rivals.max()]
        rows.append([problem, half, *best])
    names = ["problem", "half", "usual", "usual_value", "usual_enough", "rival", "rival_value", "rival_enough"]
    return pd.DataFrame(rows, columns=names)


def page(runs: pd.DataFrame) -> str:
    """The tables as Markdown."""
    lines = ["# Half the budget", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    for measure, name in MEASURES.items():
        found = verdicts(runs, measure)
        lines += [
            f"## {name}",
            "",
            "| problem | `ma2ml` at 150 | best usual baseline at 300 | enough | best rival at 300 | enough |",
        ]
        lines += ["|---|---|---|---|---|---|"]
        for row in found.itertuples():
            usual, rival = ("yes" if verdict else "no" for verdict in (row.usual_enough, row.rival_enough))
            lines.append(f"| {row.problem} | {row.half:.4f} | {row.usual_value:.4f}, {row.usual} | {usual} ")
            lines[-1] += f"| {row.rival_value:.4f}, {row.rival} | {rival} |"
        both = (found.usual_enough & found.rival_enough).sum()
        share = f"{found.usual_enough.sum()} of {len(found)} problems against the usual baselines, {both} against all"
        lines += ["", f"Half the budget is enough on {share}.", ""]
    for measure, name in MEASURES.items():
        for problem in (*TABLES, *STORED):
            lines += [f"## {name}, {problem}", "", *quarters(runs[runs.problem == problem], measure), ""]
    return "\n".join(lines)


def quarters(runs: pd.DataFrame, measure: str) -> list[str]:
    """Lines of a table of the means at the quarters on one problem, the best of a column bold."""
    columns = [f"{measure}_{quarter}" for quarter in QUARTERS]
    rows = runs.groupby("learner")[columns].mean().sort_values(columns[-1], ascending=False)
    seeds = runs.groupby("learner").seed.nunique()
    lines = ["| learner | 75 | 150 | 225 | 300 | seeds |", "|---|---|---|---|---|---|"]
    for learner, row in rows.iterrows():
        cells = " | ".join(f"**{v:.4f}**" if v == rows[c].max() else f"{v:.4f}" for c, v in row.items())
        lines.append(f"| {learner} | {cells} | {seeds[learner]} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learners", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--show", action="store_true", help="make no runs, write the tables")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ma2ml_env.register_file(HERE / "sklearn.yaml")
    for cell in [] if given.show else missing(given.seeds, given.learners):
        row = run(*cell)
        with RUNS.open("a", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            if text.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(row)
        print(*row, flush=True)
    if given.show:
        text = page(table())
        PAGE.write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
