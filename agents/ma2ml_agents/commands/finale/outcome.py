"""Last steps of `ma2ml train`, after the search: leaderboard, winner, figures, the final model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from ma2ml_agents.commands.finale.final_training import MODEL_FILE, FinalTraining
from ma2ml_agents.commands.finale.time_split import TimeSplit
from ma2ml_agents.runs.loggers import SearchLog
from ma2ml_agents.runs.report import best_in_words
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.chance import ChanceLevel, chance_level
from ma2ml_agents.search.leaderboard import leaderboard, leaderboard_table, save_leaderboard
from ma2ml_agents.search.outcome import RESULT_FILE, FinishedSearch, draw_outcome, save_result
from ma2ml_env import Trial
from ma2ml_env.trials import best

TABLE_WIDTH = 160
NO_TIME = ": allow more time (--time-limit), or shorter evaluations"
Say = Callable[[str], None]


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

    winner = search.winner
    if winner is None:
        say(f"\n{best_in_words(search.trials)}{'' if search.trials else NO_TIME}\n")
        _draw(search, out, log, say)
        return 1
    rows = leaderboard(search.trials, finalists=search.finalists)
    wide = Console(file=console.file, width=max(console.width, TABLE_WIDTH), force_terminal=console.is_terminal)
    chance = chance_level(search.plan.env.evaluator)
    wide.print(leaderboard_table(rows, caption=str(chance or "")), new_line_start=True)
    say(f"\n{winner_in_words(search, winner, chance)}\n\n{winner.pipeline}\n")
    save_leaderboard(rows, out)
    _draw(search, out, log, say)
    final = FinalTraining(search.plan.env, winner, search.trials, search.plan.seed, out, split, console).run()
    save_result(search, winner, out, final)
    return 0


def winner_in_words(search: FinishedSearch, winner: Trial, chance: ChanceLevel | None = None) -> str:
    """Returns sentences on the winner, the luckiest pipeline of the search, and the critic's favorite.

    A pipeline that was compared with no other, or is no better than guessing, is not called a winner.

    Args:
        search: the search and its finalists.
        winner: its winner.
        chance: accuracy of guessing; None where it is not known.
    """
    if doubt := doubt_in_words(search, winner, chance):
        return f"best so far: {_sentence(search, winner, chance)}\n{doubt}"
    lines = [f"winner: {_sentence(search, winner, chance)}"]
    luckiest, recommended = best(search.trials), search.recommended
    if luckiest is not None and luckiest.pipeline != winner.pipeline:
        lines.append(f"highest observed reward: {_sentence(search, luckiest)}")
    if recommended is not None:
        same = recommended.pipeline == winner.pipeline
        said = "the winner" if same else _sentence(search, recommended)
        lines.append(f"expected to be best by the learner's critic: {said}")
    return "\n".join(lines)


def doubt_in_words(search: FinishedSearch, winner: Trial, chance: ChanceLevel | None) -> str | None:
    """Returns why the best pipeline is no winner, and what to do; None if it is one.

    Args:
        search: the search and its finalists.
        winner: its best pipeline.
        chance: accuracy of guessing; None where it is not known.
    """
    compared = {trial.pipeline.key for trial in search.trials if not trial.result.failed}
    again = next((f for f in search.finalists if f.trial.pipeline == winner.pipeline), None)
    accuracy = again.accuracy.expected if again else winner.result.accuracy
    if chance and chance.explains(accuracy, len(search.finalists) if again else len(compared)):
        what = "train longer in the search (a larger --seconds-per-pipeline, or --set epochs=), and allow more time"
        return f"this is no better than guessing ({chance}), within the error of so few images: {what}"
    if len(compared) == 1:
        several = len({trial.pipeline.key for trial in search.trials}) > 1
        only = "only one pipeline succeeded" if several else "only one pipeline was evaluated"
        return f"{only}, so it was compared with none: allow more time, or a larger --budget"
    return None


def _sentence(search: FinishedSearch, trial: Trial, chance: ChanceLevel | None = None) -> str:
    text = f"pipeline {trial.number}, {trial.summary}"
    if chance:
        accuracy = f"accuracy {trial.result.accuracy:.2%}"
        text = text.replace(accuracy, f"{accuracy} ({chance})", 1)
    finalist = next((f for f in search.finalists if f.trial.pipeline == trial.pipeline), None)
    if finalist is None:
        return text
    said = finalist.accuracy
    ends = "" if said.low is None or said.high is None else f" ({said.low:.2%} to {said.high:.2%})"
    seeds = f"{counted(len(finalist.again), 'evaluation')} under other seeds"
    return f"{text}; expected accuracy {said.expected:.2%}{ends} by {seeds}"


def _draw(search: FinishedSearch, out: Path, log: SearchLog, say: Say) -> None:
    """Draws the figures and the winner; a failure to write them does not end the command."""
    if not search.trials:
        return
    try:
        figures, pixels = draw_outcome(search, out)
        if pixels is not None:
            log.image(len(search.trials), "best", pixels)
    except OSError as error:
        say(f"the figures cannot be written: {error}")
    else:
        say(f"figures: {', '.join(str(figure) for figure in figures)}")


__all__ = ["MODEL_FILE", "RESULT_FILE", "FinishedSearch", "conclude"]
