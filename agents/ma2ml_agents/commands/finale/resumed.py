"""Contents of a run's folder that a resumed `ma2ml train` goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ma2ml_agents.commands.finale.final_training import MODEL_FILE, begun_final_training
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.finalists import FINALISTS_FILE
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.trials import TrialStore


def stored_trials(env: AutoMLEnv, file: Path, *, retry_failed: bool = False) -> list[Trial]:
    """Returns the trials in a file, by number; none if there is no such file.

    Args:
        env: environment of the trials.
        file: the file.
        retry_failed: whether failed ones are left out, as they are evaluated again.

    Raises:
        TrialLogError: if it cannot be used.
    """
    if not file.exists():
        return []
    store = TrialStore(file, env.definition)
    try:
        return [trial for trial in store.load(env.decode) if not (retry_failed and trial.state == "failed")]
    finally:
        store.close()


def trials_of_run(env: AutoMLEnv, out: Path, *, retry_failed: bool = False) -> list[Trial]:
    """Returns the trials of the search in a run's folder; arguments and exceptions are those of `stored_trials`."""
    return stored_trials(env, out / TRIALS_FILE, retry_failed=retry_failed)


def finalists_of_run(env: AutoMLEnv, out: Path, *, retry_failed: bool = False) -> list[Trial]:
    """Returns the finalists' evaluations in a run's folder; arguments and exceptions are those of `stored_trials`."""
    return stored_trials(env, out / FINALISTS_FILE, retry_failed=retry_failed)


def resumed_in_words(trials: Sequence[Trial], again: Sequence[Trial], budget: int, out: Path) -> str | None:
    """Returns a line on what a run's folder holds; None for a new run.

    Args:
        trials: trials of its search that are not evaluated again.
        again: evaluations of its finalists, likewise.
        budget: number of trials that are wanted.
        out: the folder.
    """
    if not trials:
        return None
    kept = [f"{min(len(trials), budget)} of {counted(budget, 'pipeline')}"]
    if again:
        kept.append(f"{counted(len(again), 'evaluation')} of finalists")
    if begun := begun_final_training(out):
        kept.append(f"{begun.epoch} of {counted(begun.epochs, 'epoch')} of a final training")
    if (out / MODEL_FILE).exists():
        kept.append("a trained model")
    *first, last = kept
    return f"resumed: {', '.join(first)} and {last} are there" if first else f"resumed: {last} are there"
