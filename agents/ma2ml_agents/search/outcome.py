"""Files of a finished search besides its trials: figures, a leaderboard, its result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.learner import Recommender
from ma2ml_agents.runs.report import draw_best, draw_figures, figure_batch
from ma2ml_agents.search.chance import chance_level
from ma2ml_agents.search.finalists import Finalist
from ma2ml_agents.search.leaderboard import leaderboard, save_leaderboard
from ma2ml_agents.search.plan import SearchPlan
from ma2ml_env import Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import write_text
from ma2ml_env.trials import best

RESULT_FILE = "result.json"


@dataclass(frozen=True)
class FinishedSearch:
    """A search that is over, with its finalists.

    Attributes:
        plan: plan of the search.
        trials: all trials of the search.
        finalists: from `run_finalists`, best first; empty where there were none.
        title: title of figures: learner and environment; their names if empty.
    """

    plan: SearchPlan
    trials: Sequence[Trial]
    finalists: Sequence[Finalist] = ()
    title: str = ""

    @property
    def winner(self) -> Trial | None:
        """The finalist of the highest mean reward under other seeds; without finalists, the highest reward."""
        confirmed = [finalist.trial for finalist in self.finalists[:1] if finalist.reward != 0]
        return confirmed[0] if confirmed else best(self.trials)

    @property
    def recommended(self) -> Trial | None:
        """The evaluated pipeline that the learner's own critic expects to be best, where it has one."""
        learner = self.plan.learner
        action = learner.recommend() if isinstance(learner, Recommender) else None
        if action is None:
            return None
        key = self.plan.env.decode(action).key
        return next((trial for trial in self.trials if trial.pipeline.key == key), None)

    def result(self, winner: Trial) -> dict[str, Any]:
        """Returns the part of `result.json` that describes the search."""
        said = next((f.accuracy for f in self.finalists if f.trial.number == winner.number), None)
        recommended = self.recommended
        return {
            "trial": winner.number,
            "reward": float(winner.reward),
            "accuracy": float(winner.result.accuracy),
            "expected_accuracy": None if said is None else said.expected,
            "interval": None if said is None or said.low is None else [said.low, said.high],
            "trials": len(self.trials),
            "finalists": [_of_finalist(finalist) for finalist in self.finalists],
            "seed": self.plan.seed,
            **({} if recommended is None else {"recommended": _observed(recommended)}),
        }


def report_folder(plan: SearchPlan) -> Path:
    """Returns the folder of a search whose results are to be written.

    Raises:
        MA2MLError: if it has none.
    """
    if plan.out is None:
        raise MA2MLError("a report is written to the folder of the search; choose one with out=")
    return plan.out


def save_outcome(search: FinishedSearch) -> list[Path]:
    """Writes figures, `leaderboard.csv` and `result.json` to the folder of a search, and returns the files.

    Without a pipeline that succeeded there are figures only, and without trials nothing.

    Raises:
        MA2MLError: if the search has no folder.
        OSError: if a file cannot be written.
    """
    folder, winner = report_folder(search.plan), search.winner
    files = draw_outcome(search, folder)[0] if search.trials else []
    if winner is None:
        return files
    rows = leaderboard(search.trials, finalists=search.finalists)
    return [*files, save_leaderboard(rows, folder), save_result(search, winner, folder)]


def draw_outcome(search: FinishedSearch, folder: Path) -> tuple[list[Path], NDArray[np.uint8] | None]:
    """Draws the figures of a search, and its winner on sample images.

    Args:
        search: a search of at least one trial.
        folder: receives `top_reward.png`, `batch_reward.png` and, where there is a winner, `best.png`.

    Returns:
        The files, and the pixels of the winner, (height, width, 3), None without one.
    """
    learner, winner = search.plan.learner, search.winner
    title = search.title or f"{type(learner).__name__} on {search.plan.env.name}"
    files = draw_figures(search.trials, figure_batch(learner.batch_size), folder, title)
    if winner is None:
        return files, None
    chance = chance_level(search.plan.env.evaluator)
    file, pixels = draw_best(search.plan.env, winner, folder, remark=str(chance or ""))
    return [*files, file], pixels


def save_result(search: FinishedSearch, winner: Trial, folder: Path, further: Mapping[str, Any] | None = None) -> Path:
    """Writes `result.json`, and returns it.

    Args:
        search: the search.
        winner: its winner.
        folder: folder of the run.
        further: further entries, such as those of the final training.
    """
    document = search.result(winner) | dict(further or {})
    write_text(folder / RESULT_FILE, json.dumps(document, indent=2) + "\n")
    return folder / RESULT_FILE


def _of_finalist(finalist: Finalist) -> dict[str, Any]:
    again = {"accuracies": [t.result.accuracy for t in finalist.again], "rewards": [t.reward for t in finalist.again]}
    return {**_observed(finalist.trial), **again, **asdict(finalist.accuracy)}


def _observed(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.number, "reward": float(trial.reward), "accuracy": float(trial.result.accuracy)}
