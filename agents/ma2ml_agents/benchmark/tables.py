"""The tables of a results page in Markdown: one over all environments, one for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ma2ml_agents.benchmark.curves import TOP_K
from ma2ml_agents.benchmark.statistics import FEWEST_RUNS, Estimate, Scores, estimate, improvement, iqm, middle
from ma2ml_agents.benchmark.summary import Summary


def overall_table(summary: Summary, scores: Mapping[str, Scores]) -> str:
    """Returns a table with a row per algorithm: its score over all environments, and its top pipelines on each.

    Args:
        summary: summary of the benchmark.
        scores: {algorithm: normalized scores, shape (runs, environments)}; an algorithm without them comes last.
    """
    points, better = estimate(scores, iqm), _improvements(summary, scores)
    means = {algo: float(found.point[0]) for algo, found in points.items()}
    runs = {algo: str(count) for algo, count in summary.runs.algo.value_counts().items()}
    columns = [
        ("normalized score, IQM", _best_in_bold(means, {a: _interval(p, len(scores[a])) for a, p in points.items()})),
        *((env.removeprefix("ma2ml/").removesuffix("-v0"), _finals(summary, env)) for env in summary.envs()),
        (f"P({summary.index.reference} better)", {algo: _interval(found, digits=2) for algo, found in better.items()}),
        ("new only", dict.fromkeys(summary.index.distinct, "yes")),
        *_cpu_columns(summary),
        ("runs", runs),
    ]
    algos = [*_best_first(points), *(algo for algo in runs if algo not in points)]
    return _markdown(
        ("algorithm", *(title for title, _ in columns)),
        [(algo, *(column.get(algo, "") for _, column in columns)) for algo in algos],
    )


def environment_table(summary: Summary, env: str) -> str:
    """Returns a table with all statistics of every algorithm on one environment.

    Args:
        summary: summary of the benchmark.
        env: one of its environments.
    """
    head = (
        "algorithm", f"top {TOP_K}, IQM", "mean", "apparent best", "true best", "regret", "to target", "reached",
        f"P({summary.index.reference} better)", "learner ms", "distinct", "seeds",
    )  # fmt: skip
    return _markdown(head, [_line(row, summary.index.budget) for row in _rows(summary, env)])


def _finals(summary: Summary, env: str) -> dict[str, str]:
    values = {algo: float(iqm(summary.scores(env, algo))[0]) for algo in summary.algos(env)}
    return _best_in_bold(values, {algo: f"{value:.4f}" for algo, value in values.items()})


def _cpu_columns(summary: Summary) -> list[tuple[str, dict[str, str]]]:
    """Returns a column per number of decisions: CPU milliseconds of each learner for one pipeline, mean of runs."""
    decisions = summary.runs.env.map(dict(summary.index.decisions))
    columns = []
    for count in sorted(set(decisions.dropna().astype(int))):
        seconds = summary.runs[decisions == count].groupby("algo").learner_seconds.mean()
        columns.append((f"CPU ms, D = {count}", {algo: _number(1000 * value, 1) for algo, value in seconds.items()}))
    return columns


@dataclass(frozen=True)
class Row:
    """Row of an algorithm in an environment's table; `regret` and `seconds` are NaN where not known."""

    algo: str
    final: Estimate
    mean: float
    apparent_best: float
    true_best: float
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
                apparent_best=float(runs.apparent_best.mean()),
                true_best=float(runs.true_best.mean()),
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


def _line(row: Row, budget: int) -> tuple[str, ...]:
    short = f" (of {row.shortest} evaluations and more)" if row.shortest < budget else ""
    return (
        row.algo,
        _interval(row.final, row.runs),
        f"{row.mean:.4f}",
        f"{row.apparent_best:.4f}",
        _number(row.true_best, 4),
        _number(row.regret, 3),
        _count(row.evaluations, budget, row.runs),
        f"{row.reached}/{row.runs}",
        _interval(row.better, digits=2),
        _number(1000 * row.seconds, 1),
        f"{row.distinct:.0f}",
        f"{row.runs}{short}",
    )


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


def _best_in_bold(values: Mapping[str, float], texts: Mapping[str, str]) -> dict[str, str]:
    """Returns the texts of a column; those of the highest value, to four digits, in bold."""
    best = round(max(values.values(), default=0.0), 4)
    return {algo: f"**{text}**" if round(values[algo], 4) == best else text for algo, text in texts.items()}


def _improvements(summary: Summary, scores: Mapping[str, Scores]) -> dict[str, Estimate]:
    """Returns the reference's probability of improvement over every other algorithm that has enough runs."""
    enough = {algo: values for algo, values in scores.items() if len(values) >= FEWEST_RUNS}
    ours = enough.pop(summary.index.reference, None)
    if ours is None:
        return {}
    return estimate({algo: [ours, theirs] for algo, theirs in enough.items()}, improvement)


def _best_first(points: Mapping[str, Estimate]) -> list[str]:
    return sorted(points, key=lambda algo: -points[algo].point[0])


def _interval(found: Estimate | None, runs: int = FEWEST_RUNS, digits: int = 4) -> str:
    """Returns an estimate with its interval, or without one if there are too few runs."""
    if found is None:
        return ""
    point = f"{found.point[0]:.{digits}f}"
    if runs < FEWEST_RUNS:
        return point
    return f"{point} [{found.low[0]:.{digits}f}, {found.high[0]:.{digits}f}]"


def _count(found: Estimate, budget: int, runs: int) -> str:
    """Returns a number of evaluations with its interval; one above the budget was not reached."""
    texts = [
        f"{value:.0f}" if value <= budget else f">{budget}" for value in (found.point[0], found.low[0], found.high[0])
    ]
    return texts[0] if runs < FEWEST_RUNS else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"
