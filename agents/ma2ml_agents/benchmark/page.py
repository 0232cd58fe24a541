"""The results page: tables in Markdown and figures, made from the stored runs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from ma2ml_agents.benchmark.curves import TOP_K
from ma2ml_agents.benchmark.figures import draw_figures
from ma2ml_agents.benchmark.statistics import FEWEST_RUNS, Scores
from ma2ml_agents.benchmark.summary import Summary, summarize
from ma2ml_agents.benchmark.tables import environment_table, overall_table
from ma2ml_env.files import write_text

PAGE_FILE = "results.md"
INTRODUCTION = """# Results

Every algorithm proposed {budget} pipelines per run, and a run knew all its earlier results.{bounded}{logged} "Top \
{k}" is the mean true value of the {k} best distinct pipelines, chosen by the reward that the algorithm saw; the true \
value is the reward without noise where the environment knows it, else the observed one. "Apparent best" is the true \
value of the pipeline of the highest observed reward, "true best" the highest true value of all pipelines of a run; \
both are means over runs. "Regret" is 0 at the optimum and 1 for a random pipeline. Estimates over runs are \
interquartile means (IQM) with 95 % stratified bootstrap intervals (rliable); with fewer than {fewest} runs there is \
neither an interval nor a probability. "To target" is the median number of evaluations after which the top {k} reach \
what the best baseline reached in the end. "P({reference} better)" is the probability that a run of {reference} ends \
above a run of this row. "Learner ms" are CPU milliseconds of the learner for one pipeline. The error of a pipeline \
is 1 - its true value; its distribution is over the distinct pipelines of a run, and that of random_search is the \
environment's own.
"""
SCALE = f"""\
A score of 0 is a uniformly random pipeline, 1 the optimum (the highest true value of any pipeline of any run, where \
the optimum is not known). An environment's column is the top {TOP_K}, IQM. The best value of a column is bold. "New \
only" marks learners that propose no known pipeline while new ones can be found, a setting. "CPU ms" is the learner's \
time for one pipeline, by the number of decisions D of a joint action.
"""


def write_results(out: str | Path, console: Console | None = None, *, figures: bool = True) -> Path:
    """Summarizes a benchmark and writes its page and figures, replacing existing ones.

    Args:
        out: folder of the benchmark; only its finished runs count.
        console: receives a report of what was written; None for no report.
        figures: draw the figures; a page without them refers to none.

    Returns:
        The page.

    Raises:
        MA2MLError: as for `summarize`.
    """
    out = Path(out)
    summary = summarize(out)
    scores = aggregate(summary)
    drawn = draw_figures(summary, scores, out) if figures else []
    page = out / PAGE_FILE
    write_text(page, render(summary, scores, drawn))
    if console is not None:
        console.print(f"results: {page}", highlight=False, markup=False, soft_wrap=True)
    return page


def aggregate(summary: Summary) -> dict[str, Scores]:
    """Returns normalized scores, {algorithm: shape (runs, environments)}, of the algorithms that all environments have.

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
    """Returns the page as text."""
    index = summary.index
    unfinished = len(index.runs) - len(summary.runs)
    parts = [_introduction(summary)]
    if unfinished:
        parts.append(f"**Not finished:** {unfinished} of {len(index.runs)} runs are missing below.\n")
    parts += [f"![{figure.stem.replace('_', ' ')}]({figure.name})\n" for figure in figures]
    parts += ["## All environments\n", overall_table(summary, scores), SCALE]
    for env in summary.envs():
        parts += [f"## {env}\n", _introduce(summary, env), environment_table(summary, env)]
    return "\n".join(parts)


def _introduction(summary: Summary) -> str:
    index = summary.index
    about = {"budget": index.budget, "reference": index.reference, "logged": _logged(summary)}
    about["bounded"] = _bounded(summary)
    return INTRODUCTION.format(k=TOP_K, fewest=FEWEST_RUNS, **about)


def _bounded(summary: Summary) -> str:
    """Returns a sentence on the bounds on cost."""
    units = {"max_flops": "multiply-accumulates", "max_params": "parameters"}
    limits = [f"{limit:,.0f} {units[name]}" for name, limit in summary.index.bounds.items() if limit is not None]
    if not limits:
        return ""
    return f" Pipelines of more than {' or '.join(limits)} were not evaluated: their reward and true value are 0."


def _logged(summary: Summary) -> str:
    """Returns a sentence on the algorithms with runs that this benchmark did not drive."""
    names = [algo for algo in summary.index.logged if algo in set(summary.runs.algo)]
    if not names:
        return ""
    return (
        f" Runs of {' and '.join(names)} were read from trial logs: what they knew, and how many they proposed, is "
        "their own."
    )


def _introduce(summary: Summary, env: str) -> str:
    target = summary.targets[env]
    optimum = summary.runs[summary.runs.env == env].optimum.max()
    known = "The optimum is not known." if np.isnan(optimum) else f"The optimum is {optimum:.4f}."
    return f"{known} The target is {target.value:.4f}, what {target.baseline} reached.\n"
