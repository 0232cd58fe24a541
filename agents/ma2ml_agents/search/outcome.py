"""What a finished search leaves in its folder besides its trials: figures, a leaderboard, its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ma2ml_agents.runs.report import draw_figures, figure_batch
from ma2ml_agents.search.leaderboard import leaderboard, save_leaderboard
from ma2ml_agents.search.plan import SearchPlan
from ma2ml_env import Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import write_text
from ma2ml_env.trials import best

RESULT_FILE = "result.json"


def report_folder(plan: SearchPlan) -> Path:
    """Returns the folder of a search whose results are to be written.

    Raises:
        MA2MLError: if it has none.
    """
    if plan.out is None:
        raise MA2MLError("a report is written to the folder of the search; choose one with out=")
    return plan.out


def save_outcome(plan: SearchPlan, trials: Sequence[Trial], title: str | None = None) -> list[Path]:
    """Writes `top_reward.png`, `batch_reward.png`, `leaderboard.csv` and `result.json` to the folder of a search.

    Without a pipeline that succeeded there are figures only, and without trials nothing.

    Args:
        plan: plan of the search, with a folder.
        trials: its trials.
        title: title of the figures; learner and environment by default.

    Returns:
        The files.

    Raises:
        MA2MLError: if the search has no folder.
        OSError: if a file cannot be written.
    """
    folder = report_folder(plan)
    if not trials:
        return []
    named = title or f"{type(plan.learner).__name__} on {plan.env.name}"
    files = draw_figures(trials, figure_batch(plan.learner.batch_size), folder, named)
    winner = best(trials)
    if winner is None:
        return files
    result = {
        "trial": winner.number,
        "reward": winner.reward,
        "accuracy": winner.result.accuracy,
        "trials": len(trials),
        "seed": plan.seed,
    }
    write_text(folder / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    return [*files, save_leaderboard(leaderboard(trials), folder), folder / RESULT_FILE]
