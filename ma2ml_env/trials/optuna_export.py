"""A trial log as an Optuna study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ma2ml_env.errors import MA2MLError, missing_extra
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID

if TYPE_CHECKING:
    import optuna

    from ma2ml_env.trials import TrialStore

STATES = {"complete": "COMPLETE", "failed": "FAIL", "infeasible": "FAIL", "pruned": "PRUNED"}
ATTRIBUTES = ("key", "seed", "accuracy", "flops", "params", "seconds", "error", "state")


def export(store: TrialStore, url: str, search_spaces: Mapping[AgentID, SearchSpace] | None) -> str:
    """Write the trials of a log into a new study; see `TrialStore.to_optuna`.

    Source: ours.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise missing_extra("an export to Optuna needs Optuna", "optuna") from error
    rows = store.rows()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(storage=url, study_name=store.path.resolve().parent.name, direction="maximize")
        study.add_trials([_trial(row, _parameters(row, search_spaces)) for row in rows])
    except (optuna.exceptions.OptunaError, ImportError) as error:
        raise MA2MLError(f"cannot export to {url}: {error}") from error
    name: str = study.study_name
    return name


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
