"""Measure what finalists gain where the truth is known, for how many evaluations.

    python experiments/finalists.py --seeds 10 [--workers 16]
    python experiments/finalists.py --show

A search of `budget` evaluations spends k x n of them at its end on finalists: its k best distinct pipelines are
evaluated n more times each, and the best of these wins. Finalists are chosen by their observed reward or by a critic, a
Gaussian process fitted to all trials; the winner by the mean of its new evaluations, by the mean of all of them, or by
the critic, given the new ones too. Against them stand the best observed reward, and the critic's favorite, of a search
that spends its whole budget. The value of an answer is its noise-free reward.

Learners draw the same proposals under any budget, so one search of 300 evaluations shows them all. Runs are appended to
`results/finalists/runs.csv.xz` and not repeated. The tables go to `results/finalists/finalists.md`.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from csv_rows import append_rows, finished

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.building_blocks.gaussian_process.process import GaussianProcess
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.standardize import normal_scores
from ma2ml_agents.search.finalists import FinalistPlan
from ma2ml_agents.search.shrinkage import expected_values
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.trials import top_k

HERE = Path(__file__).parent
RUNS, PAGE = HERE / "results/finalists/runs.csv.xz", HERE / "results/finalists/finalists.md"
PROBLEMS = (
    "ma2ml/digits-surrogate-v0",
    "ma2ml/fcnet-protein-v0",
    "ma2ml/fcnet-naval-v0",
    "ma2ml/fcnet-parkinsons-v0",
    "ma2ml/fcnet-slice-v0",
    "ma2ml/cifar10-16px-surrogate-v0",
    "ma2ml/synthetic-v0",
)
LEARNERS = (
    "random_search",
    "regularized_evolution",
    "one_plus_one",
    "ma2ml_lite",
    "ma2ml_on_policy",
    "ma2ml",
    "gp",
    "tpe",
)
BUDGETS = (40, 80, 150, 300)
FINALISTS, REPEATS = (1, 2, 3, 4, 5, 10), (1, 2, 3)
FIT_STEPS = 20
RULES = ("observed_new", "observed_all", "critic_new", "critic_all", "critic_posterior")
CELL = ["problem", "learner", "seed"]
COLUMNS = [*CELL, "budget", "k", "n", *RULES, "covered", "error"]
Cell = Callable[[pd.DataFrame], str]


class Finale:
    """The trials of one search, their true values, and a critic of them.

    Args:
        env: the environment.
        trials: of the search, by number.
        budget: number of evaluations, of which the first half determine the critic's kernel.
        seed: of the search.
    """

    def __init__(self, env: AutoMLEnv, trials: Sequence[Trial], budget: int, seed: int) -> None:
        self.env, self.trials, self.budget, self.seed = env, trials[:budget], budget, seed
        self.layout = Layout(agent_specs(env))
        self.process = GaussianProcess(self.layout)
        joint, rewards = self.data(self.trials[: budget // 2])
        self.process.learn(joint, normal_scores(rewards), FIT_STEPS)

    def data(self, trials: Sequence[Trial]) -> tuple[Any, Any]:
        """Joint actions, shape (n, D), and rewards, shape (n,)."""
        actions = {a: np.array([trial.pipeline.action[a] for trial in trials]) for a in self.env.possible_agents}
        return self.layout.join(actions), np.array([trial.reward for trial in trials])

    def value(self, trial: Trial) -> float:
        """True value."""
        return float(self.env.reward(self.env.expected(trial.pipeline)))

    def again(self, trial: Trial, repeats: int) -> list[float]:
        """Rewards under other seeds."""
        seeds = [10_000 + 100 * self.seed + repeat for repeat in range(repeats)]
        return [float(self.env.reward(self.env.evaluate(trial.pipeline, seed=seed))) for seed in seeds]

    def favorites(self, trials: Sequence[Trial], joint: Any, rewards: Any) -> list[Trial]:
        """Distinct pipelines, the one that the critic expects to be best first."""
        fitted = self.process.condition(joint, normal_scores(rewards)).fitted()
        order = np.argsort(-fitted[: len(trials)], kind="stable")
        return list({trials[row].pipeline.key: trials[row] for row in reversed(order)}.values())[::-1]

    def answers(self, k: int, n: int) -> list[Any]:
        """One row: true values of the answers by every rule; whether the interval covered the truth, and the error."""
        searched = self.trials[: self.budget - k * n]
        joint, rewards = self.data(searched)
        observed, liked = top_k(searched, max(k, 1)), self.favorites(searched, joint, rewards)
        if not k:
            best, favorite = self.value(observed[0]), self.value(liked[0])
            return [best, best, favorite, favorite, favorite, "", ""]
        liked = liked[:k]
        new = {trial.pipeline.key: self.again(trial, n) for trial in [*observed, *liked]}
        mean = {key: float(np.mean(values)) for key, values in new.items()}
        found = []
        for shortlist in (observed, liked):
            found.append(self.value(max(shortlist, key=lambda t: mean[t.pipeline.key])))
            found.append(self.value(max(shortlist, key=lambda t: mean[t.pipeline.key] * n + t.reward)))
        more = np.concatenate([self.data([trial] * n)[0] for trial in liked])
        rewards = np.concatenate([rewards, *(new[trial.pipeline.key] for trial in liked)])
        chosen = {trial.pipeline.key for trial in liked}
        posterior = self.favorites(searched, np.concatenate([joint, more]), rewards)
        found.append(self.value(next(trial for trial in posterior if trial.pipeline.key in chosen)))
        return [*found, *self.checked(observed, new, mean)]

    def checked(self, shortlist: Sequence[Trial], new: Any, mean: Any) -> list[Any]:
        """Checks the winner's interval: 1 if it holds the true value, else 0, and the error of its estimate."""
        estimates = expected_values([new[t.pipeline.key] for t in shortlist], [t.reward for t in shortlist])
        winner = max(range(len(shortlist)), key=lambda row: mean[shortlist[row].pipeline.key])
        said, truth = estimates[winner], self.value(shortlist[winner])
        covered = "" if said.low is None or said.high is None else int(said.low <= truth <= said.high)
        return [covered, said.expected - truth]


def run(problem: str, learner: str, seed: int) -> list[list[Any]]:
    """Rows of one search."""
    torch.set_num_threads(1)
    env = ma2ml_env.make(problem)
    env.reset(seed=seed)
    trials = run_search(env, make_learner(learner, agent_specs(env), seed=seed), max(BUDGETS))
    rows = []
    for budget in BUDGETS:
        finale = Finale(env, trials, budget, seed)
        for k, n in [(0, 0), *((k, n) for k in FINALISTS for n in REPEATS if k * n <= budget // 4)]:
            numbers = [round(value, 5) if value != "" else "" for value in finale.answers(k, n)]
            rows.append([problem, learner, seed, budget, k, n, *numbers])
    return rows


def missing(seeds: int) -> list[tuple[str, str, int]]:
    """The searches to make, those of the first seeds first."""
    wanted = [(problem, learner, seed) for seed in range(seeds) for problem in PROBLEMS for learner in LEARNERS]
    done = finished(RUNS, CELL)
    return [cell for cell in wanted if cell not in done]


def gains(runs: pd.DataFrame) -> pd.DataFrame:
    """Gains over the highest observed reward of a search with the whole budget, in percentage points, by run."""
    found = runs.set_index([*CELL, "budget"])
    usual = found[found.k == 0]["observed_new"].reindex(found.index)
    found[list(RULES)] = 100 * found[list(RULES)].sub(usual, axis=0)
    return found.reset_index()


def page(runs: pd.DataFrame) -> str:
    """The tables as Markdown."""
    lines = ["# Finalists", "", *(part.replace("\n", " ") + "\n" for part in (__doc__ or "").split("\n\n")[2:4])]
    searches = runs[CELL].drop_duplicates()
    lines += [
        f"{len(searches)} searches: {searches.problem.nunique()} problems, {searches.learner.nunique()} learners, "
        f"{searches.seed.nunique()} seeds. Gains are in percentage points of reward, ± their standard error; with "
        "k = 0 nothing is evaluated again.",
        "",
    ]
    found = gains(runs)
    lines += _defaults(found)
    for budget in BUDGETS:
        lines += _rules(found[found.budget == budget], budget) + _problems(found[found.budget == budget], budget)
    return "\n".join([*lines, *_intervals(runs)])


def _title(rule: str) -> str:
    chosen, winner = rule.split("_")
    by = {"new": "new mean", "all": "mean of all", "posterior": "critic"}[winner]
    return f"finalists {'observed' if chosen == 'observed' else 'by critic'}, winner by {by}"


def _defaults(found: pd.DataFrame) -> list[str]:
    """Lines of a table of the gains of the default extent, which has observed finalists and takes the new mean."""
    plans = {budget: FinalistPlan.of_budget(budget) for budget in BUDGETS}
    heads = [f"{budget} evaluations: {plan.count} x {plan.repeats}" for budget, plan in plans.items()]
    lines = ["## The default extent, by learner", "", f"| learner | {' | '.join(heads)} | searches |"]
    lines.append("|---|" + "---|" * (len(heads) + 1))
    cells = {b: found[(found.budget == b) & (found.k == p.count) & (found.n == p.repeats)] for b, p in plans.items()}
    for learner in [*LEARNERS, "all"]:
        parts = [cell if learner == "all" else cell[cell.learner == learner] for cell in cells.values()]
        values = " | ".join(_mean(part.observed_new) for part in parts)
        lines.append(f"| {learner} | {values} | {len(parts[0])} |")
    return [*lines, ""]


def _rules(found: pd.DataFrame, budget: int) -> list[str]:
    """Lines of a table of the gains of every rule, by extent."""
    cells = {_title(rule): lambda part, rule=rule: _mean(part[rule]) for rule in RULES}
    return [f"## {budget} evaluations, by rule", "", *_by_extent(found, cells)]


def _problems(found: pd.DataFrame, budget: int) -> list[str]:
    """Lines of a table of the gains of observed finalists whose new mean decides, by extent and problem."""
    cells = _by_problem(lambda part: _mean(part.observed_new))
    return [f"## {budget} evaluations, by problem", "", *_by_extent(found, cells)]


def _intervals(runs: pd.DataFrame) -> list[str]:
    """Lines of a table of the winner's estimate: share of intervals that hold the truth, by problem, and mean error."""
    cells = _by_problem(lambda part: f"{part.covered.mean():.0%}")
    cells["mean error"] = lambda part: f"{100 * part.error.mean():+.2f}"
    return [
        "## Estimates of the winner's value",
        "",
        "Share of the intervals of 95 % that hold the true value, at all budgets, and the mean error in percentage "
        "points. FCNet's tables have four trainings of a pipeline, so that two evaluations are often the same.",
        "",
        *_by_extent(runs[(runs.k > 0) & runs.covered.notna()], cells),
    ]


def _by_problem(cell: Cell) -> dict[str, Cell]:
    """The same cell for every problem."""
    names = {problem: problem.removeprefix("ma2ml/").removesuffix("-v0") for problem in PROBLEMS}
    return {name: lambda part, one=problem: cell(part[part.problem == one]) for problem, name in names.items()}


def _by_extent(rows: pd.DataFrame, cells: Mapping[str, Cell]) -> list[str]:
    """Lines of a table with a row per extent; cells are {title of a column: text from the rows of an extent}."""
    lines = [f"| k | n | {' | '.join(cells)} |", "|---|---|" + "---|" * len(cells)]
    for (k, n), part in rows.groupby(["k", "n"]):
        lines.append(f"| {k} | {n} | {' | '.join(cell(part) for cell in cells.values())} |")
    return [*lines, ""]


def _mean(values: pd.Series) -> str:
    return f"{values.mean():+.2f} ± {values.sem():.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="make no runs, write the tables")
    given = parser.parse_args()
    if not given.show:
        RUNS.parent.mkdir(parents=True, exist_ok=True)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.workers, mp_context=spawn) as pool:
            searches = {pool.submit(run, *cell): cell for cell in missing(given.seeds)}
            for search in as_completed(searches):
                append_rows(RUNS, COLUMNS, search.result())
                print(*searches[search], flush=True)
    PAGE.write_text(page(pd.read_csv(RUNS)), encoding="utf-8")


if __name__ == "__main__":
    main()
