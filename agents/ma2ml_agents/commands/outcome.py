"""Last steps of `ma2ml train`, after the search: leaderboard, winner, figures, the final model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ma2ml_agents.commands.final_training import MODEL_FILE, RESULT_FILE, FinalTraining
from ma2ml_agents.commands.time_split import TimeSplit
from ma2ml_agents.learner import Recommender
from ma2ml_agents.runs.loggers import SearchLog
from ma2ml_agents.runs.report import best_in_words, draw_best, draw_figures
from ma2ml_agents.search import SearchPlan
from ma2ml_agents.search.finalists import Finalist
from ma2ml_agents.search.leaderboard import leaderboard, leaderboard_table, save_leaderboard
from ma2ml_env import Trial
from ma2ml_env.files import write_text
from ma2ml_env.trials import best

FIGURE_BATCH = 10
TABLE_WIDTH = 160
Say = Callable[[str], None]


@dataclass(frozen=True)
class FinishedSearch:
    """A search that is over, with its finalists.

    Attributes:
        plan: plan of the search.
        trials: all trials of the search.
        finalists: from `run_finalists`, best first.
        title: learner and environment.
    """

    plan: SearchPlan
    trials: Sequence[Trial]
    finalists: Sequence[Finalist]
    title: str

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
        """What `result.json` holds of the search."""
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


def conclude(search: FinishedSearch, out: Path, split: TimeSplit, log: SearchLog, console: Console) -> int:
    """Reports the winner and the leaderboard, draws figures, retrains the winner and saves its model.

    Args:
        search: the search and its finalists.
        out: folder of the run.
        split: split of the time limit.
        log: loggers, which receive the picture of the winner.
        console: console to write to.

    Returns:
        Exit code: 0, or 1 if no pipeline succeeded.
    """

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if len(search.trials) < search.plan.budget:
        say(f"the time limit came first: {len(search.trials)} of {search.plan.budget} pipelines were evaluated")
    winner = search.winner
    if winner is None:
        say(f"\n{best_in_words(search.trials)}\n")
        _draw(search, None, out, log, say)
        return 1
    rows = leaderboard(search.trials, finalists=search.finalists)
    wide = Console(file=console.file, width=max(console.width, TABLE_WIDTH), force_terminal=console.is_terminal)
    wide.print(leaderboard_table(rows), new_line_start=True)
    say(f"\n{_in_words(search, winner)}\n\n{winner.pipeline}\n")
    save_leaderboard(rows, out)
    _draw(search, winner, out, log, say)
    final = FinalTraining(search.plan.env, winner, search.plan.seed, out, split, console).run()
    write_text(out / RESULT_FILE, json.dumps(search.result(winner) | final, indent=2) + "\n")
    return 0


def _in_words(search: FinishedSearch, winner: Trial) -> str:
    """Sentences on the winner, the luckiest pipeline of the search, and the critic's favorite."""
    lines = [f"winner: {_sentence(search, winner)}"]
    luckiest, recommended = best(search.trials), search.recommended
    if luckiest is not None and luckiest.pipeline != winner.pipeline:
        lines.append(f"highest observed reward: {_sentence(search, luckiest)}")
    if recommended is not None:
        same = recommended.pipeline == winner.pipeline
        said = "the winner" if same else _sentence(search, recommended)
        lines.append(f"expected to be best by the learner's critic: {said}")
    return "\n".join(lines)


def _sentence(search: FinishedSearch, trial: Trial) -> str:
    text = f"pipeline {trial.number}, {trial.summary}"
    finalist = next((f for f in search.finalists if f.trial.pipeline == trial.pipeline), None)
    if finalist is None:
        return text
    said = finalist.accuracy
    ends = "" if said.low is None or said.high is None else f" ({said.low:.2%} to {said.high:.2%})"
    more = len(finalist.again)
    seeds = f"{more} evaluation{'s' * (more > 1)} under other seeds"
    return f"{text}; expected accuracy {said.expected:.2%}{ends} by {seeds}"


def _draw(search: FinishedSearch, winner: Trial | None, out: Path, log: SearchLog, say: Say) -> None:
    """Draws the figures and the winner; a failure to write them does not end the command."""
    if not search.trials:
        return
    size = search.plan.learner.batch_size if search.plan.learner.batch_size > 1 else FIGURE_BATCH
    try:
        figures = draw_figures(search.trials, size, out, search.title)
        if winner is not None:
            file, pixels = draw_best(search.plan.env, winner, out)
            figures.append(file)
            log.image(len(search.trials), "best", pixels)
    except OSError as error:
        say(f"the figures cannot be written: {error}")
    else:
        say(f"figures: {', '.join(str(figure) for figure in figures)}")


def _of_finalist(finalist: Finalist) -> dict[str, Any]:
    again = {"accuracies": [t.result.accuracy for t in finalist.again], "rewards": [t.reward for t in finalist.again]}
    return {**_observed(finalist.trial), **again, **asdict(finalist.accuracy)}


def _observed(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.number, "reward": float(trial.reward), "accuracy": float(trial.result.accuracy)}


__all__ = ["MODEL_FILE", "RESULT_FILE", "FinishedSearch", "conclude"]
