"""Judge MA2ML on real trainings that no learner was tuned on: is half the budget enough to match the best baseline?

    python experiments/half_budget.py --seeds 10
    python experiments/half_budget.py --seeds 10 --learners ma2ml gp
    python experiments/half_budget.py --show

Each learner evaluates 300 pipelines a run. After each quarter three true values are noted: the mean of the top 20
distinct pipelines by observed reward; the best found, the pipeline of the highest observed reward; and the final
answer, the pipeline that the learner recommends, which is the best found for those that recommend none. Other learners
on FCNet and the surrogates are those of the stored grid (`results/grid`, the same environments), all others are run
here. Half the budget is enough on a problem where MA2ML's mean over seeds after 150 is at least the highest
mean of a baseline after 300; beside it stands in how many of 2,000 bootstrap samples of the seeds that is so.
Brackets are 95 % bootstrap intervals of a mean, or the number of runs where these are fewer than five.

Runs are appended to `results/half/runs.csv` and not repeated; each process takes what is missing, in the order of
seeds. The tables go to `results/half/half.md`, the curves of the top 20 to `results/half/anytime.png`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from csv_rows import append_rows, finished
from matplotlib.figure import Figure

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.benchmark.cell import true_value
from ma2ml_agents.benchmark.curves import curve
from ma2ml_agents.benchmark.measured import MeasuredLearner
from ma2ml_agents.benchmark.styles import styles
from ma2ml_agents.learner import Batch, Learner, Recommender

HERE = Path(__file__).parent
HALF, GRID = HERE / "results/half", HERE / "results/grid/anytime.parquet"
RUNS, PAGE, FIGURE = HALF / "runs.csv", HALF / "half.md", HALF / "anytime.png"
BUDGET, QUARTERS, STEPS = 300, (75, 150, 225, 300), tuple(range(25, 301, 25))
TABLES = ("ma2ml-sklearn/breast-cancer-v0", "ma2ml-sklearn/digits-v0")
STORED = (
    *(f"ma2ml/fcnet-{name}-v0" for name in ("protein", "naval", "parkinsons", "slice")),
    "ma2ml/digits-surrogate-v0",
    "ma2ml/cifar10-16px-surrogate-v0",
    "ma2ml/cifar10-16px-flops-surrogate-v0",
)
Learners = dict[str, tuple[str, dict[str, Any]]]
OWN: Learners = {"ma2ml": ("ma2ml", {})}
FREQUENT = ("gp", "local_search", "vdn", "migo", "cmaes", "nsga2")
SLOW = ("nars", "predictor_evolution", "rmi_forest")
RIVALS: Learners = {name: (name, {}) for name in (*FREQUENT, *SLOW)} | {"tpe, ordered": ("tpe", {"ordered": True})}
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
FEW = {"smac": 2, "ma2ml, ensemble": 3, **dict.fromkeys(SLOW, 3)}
LEAST_RUNS = 5
"""Fewest runs for which an interval is reported."""
DRAWN = ("ma2ml", "gp", "migo", "tpe", "regularized_evolution, P = 30", "random_search")
MEASURES = {"top": "Top 20", "best": "Best found", "answer": "Final answer"}
COLUMNS = [
    "problem",
    "learner",
    "seed",
    *(f"{measure}_{quarter}" for measure in MEASURES for quarter in QUARTERS),
    "ms",
    *(f"curve_{step}" for step in STEPS),
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
    curve_at = [round(float(top[step - 1]), 5) for step in STEPS]
    return [problem, name, seed, *(round(value, 5) for value in found), milliseconds, *curve_at]


def missing(seeds: int, learners: list[str]) -> list[tuple[str, str, int]]:
    """The runs to make, those of the first seeds first."""
    wanted = [
        (problem, learner, seed)
        for seed in range(seeds)
        for problem in (*TABLES, *STORED)
        for learner in learners
        if (learner in OWN or problem in TABLES) and seed < FEW.get(learner, seeds)
    ]
    done = finished(RUNS, COLUMNS[:3])
    return [cell for cell in wanted if cell not in done]


def table() -> pd.DataFrame:
    """All runs, made here and stored with the grid, in the columns of `runs.csv`."""
    names = {"env": "problem", "algo": "learner", "top_mean": "top", "apparent_best": "best"}
    grid = pd.read_parquet(GRID).rename(columns=names)
    grid = grid[grid.problem.isin(STORED) & grid.learner.isin((*RIVALS, *BASELINES))]
    wide = grid.pivot_table(index=COLUMNS[:3], columns="evaluations", values=["top", "best"])
    found = {f"{measure}_{quarter}": wide[(measure, quarter)] for measure in ("top", "best") for quarter in QUARTERS}
    found |= {f"answer_{quarter}": wide[("best", quarter)] for quarter in QUARTERS}
    found |= {f"curve_{step}": wide[("top", step)] for step in STEPS}
    runs = pd.concat([pd.read_csv(RUNS), pd.DataFrame(found).reset_index()])
    return runs.drop_duplicates(COLUMNS[:3])


def resampled(values: pd.Series, seed: int = 0) -> np.ndarray:
    """Means of bootstrap samples of a learner's runs, shape (2000,)."""
    return np.random.default_rng(seed).choice(values.to_numpy(), size=(2000, len(values))).mean(axis=1)


def interval(values: pd.Series) -> str:
    """A mean and its interval; of few runs their number instead."""
    if len(values) < LEAST_RUNS:
        return f"{values.mean():.4f} [{len(values)} run{'s' * (len(values) > 1)}]"
    low, high = np.quantile(resampled(values), [0.025, 0.975])
    return f"{values.mean():.4f} [{low:.4f}, {high:.4f}]"


def verdict(runs: pd.DataFrame, measure: str, rivals: list[str]) -> tuple[bool, list[str]]:
    """Whether half the budget is enough against some learners on one problem, and two cells of its row."""
    final = runs[runs.learner.isin(rivals)].groupby("learner")[f"{measure}_{BUDGET}"]
    half = runs[runs.learner == "ma2ml"][f"{measure}_{BUDGET // 2}"]
    best = final.mean().idxmax()
    enough = bool(half.mean() >= final.mean().max())
    rival = final.get_group(best)
    often = f", {np.mean(resampled(half, 1) >= resampled(rival)):.0%}" if len(rival) >= LEAST_RUNS else ""
    return enough, [f"{interval(rival)}, {best}", f"{'yes' if enough else 'no'}{often}"]


def verdicts(runs: pd.DataFrame, measure: str) -> list[str]:
    """Lines of the table of all problems, with the count below it."""
    lines = ["| problem | `ma2ml` at 150 | best usual baseline at 300 | enough | best rival at 300 | enough |"]
    lines += ["|---|---|---|---|---|---|"]
    usual = [name for name in runs.learner.unique() if name not in (*NO_BASELINES, *RIVALS)]
    counts = np.zeros(2, dtype=int)
    for problem in (*TABLES, *STORED):
        own = runs[runs.problem == problem]
        half = interval(own[own.learner == "ma2ml"][f"{measure}_{BUDGET // 2}"])
        (first, left), (second, right) = (verdict(own, measure, names) for names in (usual, list(RIVALS)))
        counts += [first, first and second]
        lines.append(f"| {' | '.join([problem, half, *left, *right])} |")
    share = f"{counts[0]} of {len(TABLES) + len(STORED)} problems against the usual baselines, {counts[1]} against all"
    return [*lines, "", f"Half the budget is enough on {share}.", ""]


def page(runs: pd.DataFrame) -> str:
    """The tables as Markdown."""
    lines = ["# Half the budget", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    lines += ["![Mean of the top 20 over evaluations, with 95 % intervals](anytime.png)", ""]
    lines += ["Lines that begin at 75 are those of runs of which only the quarters were stored.", ""]
    for measure, name in MEASURES.items():
        lines += [f"## {name}", "", *verdicts(runs, measure)]
    for measure, name in MEASURES.items():
        for problem in (*TABLES, *STORED):
            lines += [f"## {name}, {problem}", "", *quarters(runs[runs.problem == problem], measure), ""]
    return "\n".join(lines)


def quarters(runs: pd.DataFrame, measure: str) -> list[str]:
    """Lines of a table of the means at the quarters on one problem, the best of a column bold."""
    columns = [f"{measure}_{quarter}" for quarter in QUARTERS]
    groups = runs.groupby("learner")
    rows = groups[columns].mean().sort_values(columns[-1], ascending=False)
    lines = ["| learner | 75 | 150 | 225 | 300 | interval | seeds |", "|---|---|---|---|---|---|---|"]
    for learner, row in rows.iterrows():
        cells = " | ".join(f"**{v:.4f}**" if v == rows[c].max() else f"{v:.4f}" for c, v in row.items())
        own = groups.get_group(learner)
        spread = interval(own[columns[-1]]).partition(" ")[2]
        lines.append(f"| {learner} | {cells} | {spread} | {own.seed.nunique()} |")
    return lines


def draw(runs: pd.DataFrame) -> None:
    """Draws the mean of the top 20 over evaluations, one panel a problem; runs without a curve at the quarters."""
    figure = Figure(figsize=(16, 6.2), dpi=150, layout="constrained")
    panels = figure.subplots(2, 5).ravel()
    curves, quarter_columns = [f"curve_{step}" for step in STEPS], [f"top_{quarter}" for quarter in QUARTERS]
    looks = styles(DRAWN)
    for axes, problem in zip(panels, (*TABLES, *STORED), strict=False):
        own = runs[runs.problem == problem]
        for learner in reversed(DRAWN):
            values = own[own.learner == learner]
            columns, steps = (curves, STEPS) if values[curves].notna().all(axis=None) else (quarter_columns, QUARTERS)
            low, high = np.quantile([resampled(values[column]) for column in columns], [0.025, 0.975], axis=1)
            look = looks[learner]
            means = values[columns].mean()
            axes.plot(steps, means, color=look.color, linestyle=look.dash, linewidth=look.width, label=learner)
            axes.fill_between(steps, low, high, color=look.color, alpha=0.15, linewidth=0)
        axes.set_ylim(bottom=own[own.learner == "random_search"][f"top_{QUARTERS[0]}"].mean())
        axes.axvline(BUDGET // 2, color="#999999", linewidth=0.8, linestyle="dotted")
        axes.set_title(problem, fontsize=9, loc="left")
        axes.set_xlabel("evaluated pipelines", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = panels[0].get_legend_handles_labels()
    panels[-1].legend(handles[::-1], names[::-1], loc="center", frameon=False, title="mean true value of the top 20")
    panels[-1].set_axis_off()
    figure.savefig(FIGURE)


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
        append_rows(RUNS, COLUMNS, [row])
        print(*row, flush=True)
    if given.show:
        runs = table()
        PAGE.write_text(page(runs), encoding="utf-8")
        draw(runs)
        print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
