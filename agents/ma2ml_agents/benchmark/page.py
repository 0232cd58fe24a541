"""The results page: tables in Markdown and figures, made from the stored runs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from ma2ml_agents.benchmark.curves import TOP_K
from ma2ml_agents.benchmark.figures import draw_figures
from ma2ml_agents.benchmark.statistics import Estimate, Scores, estimate, improvement, iqm, middle
from ma2ml_agents.benchmark.summary import Summary, summarize
from ma2ml_agents.run_folder import write_atomically

PAGE_FILE = "results.md"
INTRODUCTION = """# Results

Every algorithm proposed {budget} pipelines a run, and a run knew all its earlier results. "Top {k}" is the mean true \
value of the {k} best distinct pipelines, chosen by the reward that the algorithm saw; the true value is the reward \
without noise where the environment knows it, else the observed one. "Best found" is the true value of the pipeline of \
the highest reward; "regret" is 0 at the optimum and 1 for a random pipeline. Estimates over runs are interquartile \
means (IQM) with 95 % stratified bootstrap intervals (rliable). "To target" is the median number of evaluations after \
which the top {k} reach what the best baseline reached in the end. "P({reference} better)" is the probability that a \
run of {reference} ends above a run of this row. "Learner ms" are CPU milliseconds of the learner for one pipeline.
"""


def write_results(out: str | Path, console: Console | None = None) -> Path:
    """Sum up a benchmark and write its page and figures, again if they are there.

    Args:
        out: folder of the benchmark; its finished runs are what counts.
        console: where to tell what was written; None for nowhere.

    Returns:
        The page.

    Raises:
        ValueError: as `summarize` does.

    Source: ours.
    """
    out = Path(out)
    summary = summarize(out)
    scores = aggregate(summary)
    figures = draw_figures(summary, scores, out)
    page = out / PAGE_FILE
    write_atomically(page, render(summary, scores, figures))
    if console is not None:
        console.print(f"results: {page}", highlight=False, markup=False, soft_wrap=True)
    return page


def aggregate(summary: Summary) -> dict[str, Scores]:
    """Normalized scores, {algorithm: shape (runs, environments)}, of the algorithms that all environments have.

    Seeds that an algorithm does not have everywhere are left out.
    """
    found = {}
    for algo in summary.index.algos:
        table = summary.runs[summary.runs.algo == algo].pivot(index="seed", columns="env", values="score")
        complete = table.reindex(columns=summary.envs()).dropna()
        if len(complete):
            found[algo] = complete.to_numpy(dtype=np.float64)
    return found


def render(summary: Summary, scores: Mapping[str, Scores], figures: Sequence[Path]) -> str:
    """The page as text."""
    index = summary.index
    unfinished = len(index.runs) - len(summary.runs)
    parts = [INTRODUCTION.format(budget=index.budget, k=TOP_K, reference=index.reference)]
    if unfinished:
        parts.append(f"**Not finished:** {unfinished} of {len(index.runs)} runs are missing below.\n")
    parts += [f"![{figure.stem.replace('_', ' ')}]({figure.name})\n" for figure in figures]
    parts += ["## All environments\n", _overall(summary, scores)]
    for env in summary.envs():
        parts += [f"## {env}\n", _introduce(summary, env), _table(_rows(summary, env), summary)]
    return "\n".join(parts)


def _overall(summary: Summary, scores: Mapping[str, Scores]) -> str:
    """How an algorithm does over all environments."""
    points, better = estimate(scores, iqm), _improvements(summary, scores)
    head = f"| algorithm | normalized score, IQM | P({summary.index.reference} better) | runs |\n|---|---|---|---|\n"
    lines = [
        f"| {algo} | {_interval(points[algo])} | {_interval(better.get(algo), 2)} | {scores[algo].size} |"
        for algo in _best_first(points)
    ]
    note = (
        "\nA score of 0 is a uniformly random pipeline, 1 the optimum (the best value that any run found, where the "
        f"optimum is not known). Environments: {', '.join(summary.envs())}.\n"
    )
    return head + "\n".join(lines) + "\n" + note


def _introduce(summary: Summary, env: str) -> str:
    target = summary.targets[env]
    optimum = summary.runs[summary.runs.env == env].optimum.max()
    known = "The optimum is not known." if np.isnan(optimum) else f"The optimum is {optimum:.4f}."
    return f"{known} The target is {target.value:.4f}, what {target.baseline} reached.\n"


@dataclass(frozen=True)
class Row:
    """An algorithm's line in an environment's table; `regret` and `seconds` are NaN where not known."""

    algo: str
    final: Estimate
    mean: float
    best: float
    regret: float
    evaluations: Estimate
    reached: int
    better: Estimate | None
    seconds: float
    distinct: float
    runs: int
    shortest: int


def _rows(summary: Summary, env: str) -> list[Row]:
    algos = summary.algos(env)
    finals = {algo: summary.scores(env, algo) for algo in algos}
    needed = {algo: summary.scores(env, algo, "evaluations_to_target") for algo in algos}
    beyond = summary.index.budget + 1
    points, better = estimate(finals, iqm), _improvements(summary, finals)
    evaluations = estimate({algo: np.nan_to_num(values, nan=beyond) for algo, values in needed.items()}, middle)
    rows = []
    for algo in _best_first(points):
        runs = summary.of(env, algo)
        rows.append(
            Row(
                algo=algo,
                final=points[algo],
                mean=float(runs.top_mean.mean()),
                best=float(runs.best.mean()),
                regret=float(runs.regret.mean()),
                evaluations=evaluations[algo],
                reached=int(np.isfinite(needed[algo]).sum()),
                better=better.get(algo),
                seconds=float(runs.learner_seconds.mean()),
                distinct=float(runs.distinct.mean()),
                runs=len(runs),
                shortest=int(runs.evaluations.min()),
            )
        )
    return rows


def _table(rows: Sequence[Row], summary: Summary) -> str:
    head = (
        f"top {TOP_K}, IQM", "mean", "best found", "regret", "to target", "reached",
        f"P({summary.index.reference} better)", "learner ms", "distinct", "seeds",
    )  # fmt: skip
    lines = [f"| algorithm | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for row in rows:
        budget = summary.index.budget
        short = f" (of {row.shortest} evaluations and more)" if row.shortest < budget else ""
        cells = (
            _interval(row.final),
            f"{row.mean:.4f}",
            f"{row.best:.4f}",
            _number(row.regret, 3),
            _count(row.evaluations, budget),
            f"{row.reached}/{row.runs}",
            _interval(row.better, 2),
            _number(1000 * row.seconds, 1),
            f"{row.distinct:.0f}",
            f"{row.runs}{short}",
        )
        lines.append(f"| {row.algo} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _improvements(summary: Summary, scores: Mapping[str, Scores]) -> dict[str, Estimate]:
    """The reference's probability of improvement over every other algorithm."""
    ours = scores.get(summary.index.reference)
    if ours is None:
        return {}
    pairs = {algo: [ours, theirs] for algo, theirs in scores.items() if algo != summary.index.reference}
    return estimate(pairs, improvement)


def _best_first(points: Mapping[str, Estimate]) -> list[str]:
    return sorted(points, key=lambda algo: -points[algo].point[0])


def _interval(found: Estimate | None, digits: int = 4) -> str:
    if found is None:
        return ""
    return f"{found.point[0]:.{digits}f} [{found.low[0]:.{digits}f}, {found.high[0]:.{digits}f}]"


def _count(found: Estimate, budget: int) -> str:
    """A number of evaluations; what is above the budget was not reached."""
    texts = [
        f"{value:.0f}" if value <= budget else f">{budget}" for value in (found.point[0], found.low[0], found.high[0])
    ]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"
