"""Parts of the report that need the environment of a run: pictures of its best pipelines, and importance."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from ma2ml_agents.html_report.run import Run
from ma2ml_agents.importance.of_trials import importance_of_trials
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.render import compose
from ma2ml_env.trials import TrialStore, top_k

PICTURES, PICTURE_DPI = 3, 130
DECISIONS = 15
REASONS = (MA2MLError, OSError, ImportError)
"""Errors that are no bugs: a part of the environment, a file or a library is not here."""
Extras = dict[str, Any]


def extras(run: Run, env: AutoMLEnv | None = None) -> Extras:
    """Returns pictures and importance; where there are none, a sentence states the reason.

    Args:
        run: run to report.
        env: its environment; None for the one that its configuration names.

    Returns:
        `pictures`, a list of {number, image}; `importance`, or None; `pictures_note` and `importance_note`, each a
        sentence or None.
    """
    found: Extras = {"pictures": [], "pictures_note": None, "importance": None, "importance_note": None}
    try:
        made = env_of_run(run.folder) if env is None else env
        with closing(TrialStore(run.file, made.definition)) as store:
            trials = store.load(made.decode)
    except REASONS as error:
        return found | {"pictures_note": _sentence(error), "importance_note": _sentence(error)}
    best = top_k((trial for trial in trials if not trial.result.failed), PICTURES)
    found["pictures"], found["pictures_note"] = _or_reason(lambda: pictures(made, best), [])
    found["importance"], found["importance_note"] = _or_reason(lambda: _importance(made, trials), None)
    return found


def pictures(env: AutoMLEnv, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Returns a picture of each trial as {number, image}, the image a data URI of a PNG."""
    drawn = []
    for trial in trials:
        buffer = io.BytesIO()
        compose(env, trial).figure().savefig(buffer, format="png", dpi=PICTURE_DPI)
        text = base64.b64encode(buffer.getvalue()).decode("ascii")
        drawn.append({"number": trial.number, "image": f"data:image/png;base64,{text}"})
    return drawn


def _importance(env: AutoMLEnv, trials: Sequence[Trial]) -> dict[str, Any]:
    page = importance_of_trials(env, trials)
    document = asdict(page.importance)
    return {
        "agents": document["agents"],
        "decisions": document["decisions"][:DECISIONS],
        "left_out": max(0, len(document["decisions"]) - DECISIONS),
        "source": page.source,
        "warning": page.warning,
    }


def _or_reason(compute: Callable[[], Any], otherwise: Any) -> tuple[Any, str | None]:
    """Returns a value and None, or `otherwise` and the reason why there is no value."""
    try:
        return compute(), None
    except REASONS as error:
        return otherwise, _sentence(error)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
