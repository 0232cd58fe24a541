"""A trial log as an Optuna study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ma2ml_env.errors import MA2MLError, missing_extra
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.trials.store import TrialStore
from ma2ml_env.types import AgentID

if TYPE_CHECKING:
    import optuna

STATES = {"complete": "COMPLETE", "failed": "FAIL", "infeasible": "FAIL", "pruned": "PRUNED"}
ATTRIBUTES = ("key", "seed", "accuracy", "flops", "params", "seconds", "error", "state")


def to_optuna(
    trials: TrialStore | str | Path,
    url: str,
    search_spaces: Mapping[AgentID, SearchSpace] | None = None,
    name: str | None = None,
) -> str:
    """Exports a trial log as an Optuna study, for optuna-dashboard and Optuna's plots.

    A second export to the same study adds the trials that have come since.

    Args:
        trials: the log, or the path of its file.
        url: URL of Optuna's storage, such as `sqlite:///study.db`.
        search_spaces: `env.search_spaces`, to name decisions and choices; without them there are indices only.
        name: name of the study; the log's folder's if None.

    Returns:
        The name of the study.

    Raises:
        MissingExtraError: if Optuna is not installed.
        MA2MLError: if the storage cannot be used, or holds a study of that name with other trials.
    """
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError as error:
        raise missing_extra("an export to Optuna needs Optuna", "optuna") from error
    store = trials if isinstance(trials, TrialStore) else TrialStore(trials)
    rows = store.rows()
    study_name = name or store.path.resolve().parent.name
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(storage=url, study_name=study_name, direction="maximize", load_if_exists=True)
        held = study.get_trials(deepcopy=False)
        if [_identity(t.user_attrs) for t in held] != [_identity(row) for row in rows[: len(held)]]:
            raise MA2MLError(f"the study {study_name!r} in {url} holds other trials; choose another name")
        study.add_trials([_trial(row, _parameters(row, search_spaces)) for row in rows[len(held) :]])
    except (optuna.exceptions.OptunaError, SQLAlchemyError, ImportError) as error:
        raise MA2MLError(f"cannot export to {url}: {error}") from error
    return study_name


def _identity(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    return facts.get("key"), facts.get("seed"), facts.get("accuracy")


def _parameters(
    row: Mapping[str, Any], spaces: Mapping[AgentID, SearchSpace] | None
) -> dict[str, tuple[Any, optuna.distributions.BaseDistribution]]:
    """{`agent.decision`: (value, distribution)} of the active decisions of one trial."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    found: dict[str, tuple[Any, optuna.distributions.BaseDistribution]] = {}
    for agent, action in json.loads(row["action"]).items():
        if spaces is None:
            for place, index in enumerate(action):
                found[f"{agent}.{place}"] = (index, IntDistribution(0, 2**16))
            continue
        active = spaces[agent].choices(action, agent=agent)
        for decision, index in zip(spaces[agent].decisions, action, strict=True):
            if decision.name not in active:
                continue
            labels = [choice if isinstance(choice, int | float | str) else str(choice) for choice in decision.choices]
            found[f"{agent}.{decision.name}"] = (labels[index], CategoricalDistribution(labels))
    return found


def _trial(row: Mapping[str, Any], parameters: Mapping[str, tuple[Any, Any]]) -> optuna.trial.FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    finished = datetime.fromisoformat(row["finished"]).astimezone().replace(tzinfo=None)
    state = TrialState[STATES[row["state"]]]
    return FrozenTrial(
        number=row["number"],
        trial_id=row["number"],
        state=state,
        value=row["reward"] if state != TrialState.FAIL else None,
        datetime_start=finished - timedelta(seconds=row["seconds"]),
        datetime_complete=finished,
        params={name: value for name, (value, _) in parameters.items()},
        distributions={name: distribution for name, (_, distribution) in parameters.items()},
        user_attrs={name: row[name] for name in ATTRIBUTES},
        system_attrs={},
        intermediate_values=dict(enumerate(json.loads(row["curve"]), start=1)),
    )
