"""A stored run, as the report reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ma2ml_agents.html_report.columns import Columns, columns
from ma2ml_agents.runs.folder import CONFIG_FILE
from ma2ml_agents.runs.report import FIGURE_BATCH, figure_batch
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_agents.search.outcome import RESULT_FILE
from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.trials import TrialStore

PARTS = ("run", "options", "project")
"""Parts of `config.json`."""


@dataclass(frozen=True)
class Run:
    """A run on disk, which is only read.

    Attributes:
        file: its trial log, which may be missing while its first pipelines are evaluated.
        config: content of `config.json`; empty where there is none.
    """

    file: Path
    config: Mapping[str, Any]

    @classmethod
    def find(cls, path: Path) -> Run:
        """Returns the run in a folder or a trial log.

        Args:
            path: folder of a run, or its `trials.db`.

        Raises:
            MA2MLError: if there is no run.
            DamagedFileError: if its `config.json` is damaged.
        """
        file = path / TRIALS_FILE if path.is_dir() else path
        config = file.with_name(CONFIG_FILE)
        if not file.exists() and not (path.is_dir() and config.exists()):
            reason = f"the folder holds no {TRIALS_FILE}" if path.is_dir() else "there is no such folder or file"
            raise MA2MLError(f"no run at {path}: {reason}; a run begins with `ma2ml train --out {path}`")
        return cls(file, _read_config(config) if config.exists() else {})

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.file.parent

    @property
    def name(self) -> str:
        """Name of its folder, or of its trial log where that is named otherwise."""
        name = self.folder.resolve().name if self.file.name == TRIALS_FILE else self.file.stem
        return name.encode(errors="replace").decode()

    def about(self) -> dict[str, Any]:
        """Returns name, environment, learner, seed, budget, accuracies and the configuration as (name, value)."""
        identity, options = self.config.get("run", {}), self.config.get("options", {})
        environment, result = identity.get("environment", {}), self._result()
        tested = result.get("test_accuracy")
        return {
            "name": self.name,
            "env": environment.get("id"),
            "learner": identity.get("learner"),
            "seed": identity.get("seed"),
            "budget": options.get("budget"),
            "test_accuracy": tested if isinstance(tested, int | float) else None,
            "winner": {name: result.get(name) for name in ("accuracy", "expected_accuracy", "interval")},
            "config": [list(pair) for part in PARTS for pair in _flat(self.config.get(part))],
        }

    def _result(self) -> dict[str, Any]:
        """Fields of the run's result, none where there is no usable one yet."""
        try:
            result = json.loads(self.file.with_name(RESULT_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return result if isinstance(result, dict) else {}

    def trials(self, first: int = 0) -> Columns:
        """Returns the trials from number `first` on.

        Raises:
            TrialLogError: if the trial log cannot be used.
        """
        if not self.file.exists():
            return columns([])
        with closing(TrialStore(self.file)) as store:
            return columns(store.rows(first))

    def batch_size(self) -> int:
        """Returns the number of trials per batch in figures."""
        if not self.file.exists():
            return FIGURE_BATCH
        with closing(TrialStore(self.file)) as store:
            return figure_batch(store.stored_batch_size())

    def revision(self) -> int:
        """Returns a number that changes when stored trials are replaced."""
        if not self.file.exists():
            return 0
        with closing(TrialStore(self.file)) as store:
            return store.replacements()


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from error
    parts = [document, *(document.get(part, {}) for part in PARTS)] if isinstance(document, dict) else [document]
    if not all(isinstance(part, dict) for part in parts) or not isinstance(parts[1].get("environment", {}), dict):
        raise DamagedFileError(f"{path} is not the configuration of a run")
    return dict(document)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields the leaves of nested mappings as (dotted name, text)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif value not in (None, [], {}) and name:
        yield name, value if isinstance(value, str) else json.dumps(value)
