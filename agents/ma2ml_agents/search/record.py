"""`search.json`: record of a search beside its trials, and the check that a search may resume from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.identity import SOURCE, describe_problem, differences
from ma2ml_agents.search.plan import SearchPlan
from ma2ml_agents.search.results import StoredTrials
from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.files import write_text
from ma2ml_env.trials import TrialLogError

RECORD_FILE = "search.json"
FORMAT = 1


@dataclass(frozen=True)
class SearchRecord:
    """Determinants of the trials of a search besides its learner.

    Attributes:
        window: number of proposals that may run ahead of results.
        problem: the decisions and the evaluator.
        given: number of initial trials that are data for the learner rather than its proposals, since failed ones among
            them were evaluated again.
        replaceable: trials from `given` up to this number were proposed from results that have been replaced.
    """

    window: int
    problem: Mapping[str, Any]
    given: int = 0
    replaceable: int = 0


def open_record(
    plan: SearchPlan, default_window: int, stored: StoredTrials, notice: Callable[[str], None]
) -> SearchRecord:
    """Returns the record of a search, that of its folder or a new one, and writes changes to it.

    Args:
        plan: plan of the search.
        default_window: window of a new search whose plan leaves it open.
        stored: the trials in the folder. Trials of earlier versions have no record: nothing is compared then, and
            the window that the plan leaves open is 1, as in those versions.
        notice: receives a message about the trials that were kept.

    Raises:
        TrialLogError: if the stored trials belong to another problem or window.
        DamagedFileError: if the record cannot be read.
    """
    found = None if plan.out is None else _load(plan.out / RECORD_FILE)
    wanted = plan.window or (found.window if found else 1 if stored else default_window)
    window = 1 if plan.learner.on_policy else wanted
    record = SearchRecord(window, json.loads(json.dumps(describe_problem(plan.env))))
    if found is not None:
        if stored:
            _compare(found, record, plan, notice)
        record = replace(record, given=found.given, replaceable=found.replaceable)
    if stored:
        notice(f"{counted(len(stored), 'trial')} taken over from {stored.path}")
    if stored.retried:
        again = f"{counted(len(stored.retried), 'failed trial')} will be evaluated again"
        notice(f"{again}; the learner gets all trials there as data")
        record = replace(record, given=stored.first_missing, replaceable=stored.next_number)
    if plan.out is not None and record != found:
        _save(plan.out, record)
    return record


def _compare(found: SearchRecord, here: SearchRecord, plan: SearchPlan, notice: Callable[[str], None]) -> None:
    if found.window != here.window:
        raise TrialLogError(
            f"the search in {plan.out} has a window of {found.window}, this one {here.window}; leave the window open, "
            "or choose another folder"
        )
    changes = list(differences(found.problem, here.problem))
    code = [name for name, there, now in changes if _is_code(name, there, now)]
    others = [f"{name} is {there} there, {now} here" for name, there, now in changes if name not in code]
    if others:
        raise TrialLogError(
            f"the trials in {plan.out} are of another problem ({'; '.join(others)}); choose another folder"
        )
    if code and not plan.retry_failed:
        raise TrialLogError(
            f"the trials in {plan.out} were evaluated by other source code ({', '.join(code)}); choose another folder "
            "or, if the finished ones are still valid, keep them and evaluate the failed ones again with retry_failed "
            "(--retry-failed)"
        )
    if code:
        notice(f"the source code has changed ({', '.join(code)}); finished trials are kept")


def _is_code(name: str, there: Any, here: Any) -> bool:
    """Returns whether a difference concerns source code: its text, or the set of values it reads."""
    parts = name.split(".")
    return parts[0] == "evaluator" and (parts[-1] == SOURCE or ("reads" in parts and None in (there, here)))


def _load(path: Path) -> SearchRecord | None:
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("format") != FORMAT:
            raise DamagedFileError(f"{path} was written by a later version")
        return SearchRecord(**document)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{path} is damaged; restore it, or choose another folder") from error


def _save(out: Path, record: SearchRecord) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / RECORD_FILE, json.dumps({"format": FORMAT, **asdict(record)}) + "\n")
    except OSError as error:
        raise MA2MLError(f"cannot write in the folder {out}: {error.strerror}") from error
