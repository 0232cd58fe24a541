"""The trial log: an SQLite file that several processes may append to."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakSet

from ma2ml_env.errors import TrialLogError
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.trials import schema
from ma2ml_env.trials.schema import COLUMNS
from ma2ml_env.types import AgentID, JointAction, Pipeline, Result, Trial

ALL = f"SELECT {', '.join(COLUMNS)} FROM trials"
_open_stores: WeakSet[TrialStore] = WeakSet()


class TrialStore:
    """Trials in an SQLite file (WAL), each durable when the call that stores it returns.

    Reading needs no right to write, neither to the file nor to its folder. No connection crosses a fork: all are
    closed before it, and each process opens its own at its next call, since SQLite's locks belong to a process.

    Args:
        path: the file; created with its folders at the first trial if there is none.
        definition: definition of the environment, stored with every trial; a file with trials of another one is
            refused. Empty where it is not known, and then nothing is compared.
        batch_size: number of trials that the view `batches` averages over, the batch of the learner; None leaves the
            file as it is, 10 for a new one.

    Raises:
        TrialLogError: on first use, if the file is damaged or not a trial log.
    """

    def __init__(self, path: str | Path, definition: str = "", batch_size: int | None = None) -> None:
        self.path = Path(path)
        self.definition = definition
        self.batch_size = batch_size
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def open(self) -> None:
        """Opens the file for writing now, to check that it can be used.

        Raises:
            TrialLogError: if it cannot.
        """
        with self._errors():
            self._opened()

    def add(self, trial: Trial) -> None:
        """Stores a trial under its own number.

        Raises:
            TrialLogError: if the number is taken, or the file cannot be used.
        """
        self._insert(trial, trial.number)

    def replace(self, trial: Trial) -> None:
        """Stores a trial in place of the one of the same number, which moves to the table `replaced`.

        Raises:
            TrialLogError: if there is none of this number.
        """
        with self._errors():
            connection = self._opened()
            with schema.transaction(connection):
                connection.execute("CREATE TABLE IF NOT EXISTS replaced AS SELECT * FROM trials WHERE FALSE")
                connection.execute("INSERT INTO replaced SELECT * FROM trials WHERE number = ?", (trial.number,))
                if not connection.execute("DELETE FROM trials WHERE number = ?", (trial.number,)).rowcount:
                    raise TrialLogError(f"{self.path} holds no trial {trial.number} to replace")
                marks = ", ".join("?" * len(COLUMNS))
                connection.execute(f"INSERT INTO trials VALUES ({marks})", _row(trial, trial.number, self.definition))

    def append(self, trial: Trial) -> None:
        """Stores a trial under the next free number, whatever other processes append meanwhile."""
        self._insert(trial, None)

    def load(self, decode: Callable[[JointAction], Pipeline]) -> list[Trial]:
        """All trials by number.

        Args:
            decode: turns a stored joint action into a pipeline, as `env.decode` does.

        Raises:
            TrialLogError: if a row is damaged or of another definition, or its action does not fit.
        """
        if not self.path.exists():
            return []
        return [self._trial(row, decode) for row in self._select(f"{ALL} ORDER BY number")]

    def find(self, pipeline: Pipeline, seed: int) -> Result | None:
        """The earliest result of a pipeline under a seed of the environment, None if there is none.

        Raises:
            TrialLogError: if the file cannot be used, or the row is damaged.
        """
        if not self.path.exists():
            return None
        rows = self._select(f"{ALL} WHERE key = ? AND seed = ? ORDER BY number LIMIT 1", pipeline.key, int(seed))
        return self._trial(rows[0], lambda action: pipeline).result if rows else None

    def rows(self, first: int = 0) -> list[dict[str, Any]]:
        """The trials from number `first` on as they stand in the file, {column: value}, checked against their digests.

        Raises:
            TrialLogError: if there is no such file, it cannot be used, or a row is damaged.
        """
        if not self.path.exists():
            raise TrialLogError(f"there is no trial log {self.path}")
        return [self._checked(row) for row in self._select(f"{ALL} WHERE number >= ? ORDER BY number", first)]

    def stored_batch_size(self) -> int:
        """Number of trials in a batch of the learner, as the file has it; 10 where it does not.

        Raises:
            TrialLogError: if the file cannot be used.
        """
        found = self._select("SELECT batch_size FROM search LIMIT 1") if self._has_table("search") else []
        return int(found[0][0]) if found else schema.DEFAULT_BATCH

    def replacements(self) -> int:
        """Number of trials that `replace` has stored in place of earlier ones.

        Raises:
            TrialLogError: if the file cannot be used.
        """
        return int(self._select("SELECT count(*) FROM replaced")[0][0]) if self._has_table("replaced") else 0

    def to_optuna(
        self, url: str, search_spaces: Mapping[AgentID, SearchSpace] | None = None, name: str | None = None
    ) -> str:
        """Exports the trials as an Optuna study; see `ma2ml_env.to_optuna`."""
        from ma2ml_env.trials.optuna_export import to_optuna

        return to_optuna(self, url, search_spaces, name)

    def close(self) -> None:
        """Closes the file; the next call opens it again."""
        with self._lock:
            for connection in (self._writer, self._reader):
                if connection is not None:
                    connection.close()
            self._writer = self._reader = None
            _open_stores.discard(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "definition": self.definition, "batch_size": self.batch_size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _insert(self, trial: Trial, number: int | None) -> None:
        with self._errors():
            connection = self._opened()
            with schema.transaction(connection):
                if number is None:
                    (number,) = connection.execute("SELECT coalesce(max(number) + 1, 0) FROM trials").fetchone()
                elif connection.execute("SELECT 1 FROM trials WHERE number = ?", (number,)).fetchone():
                    raise TrialLogError(f"{self.path} already holds a trial {number}")
                marks = ", ".join("?" * len(COLUMNS))
                connection.execute(f"INSERT INTO trials VALUES ({marks})", _row(trial, number, self.definition))

    def _select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._errors():
            if self._writer is None and self._reader is None:
                self._reader = schema.open_reader(self.path)
                _open_stores.add(self)
            connection = self._writer or self._reader
            assert connection is not None
            return connection.execute(query, values).fetchall()

    def _has_table(self, name: str) -> bool:
        return bool(self._select("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name))

    def _opened(self) -> sqlite3.Connection:
        """The connection for writing."""
        if self._writer is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TrialLogError(f"cannot make the folder {self.path.parent}: {error.strerror}") from error
            self.close()
            self._writer = schema.open_writer(self.path, self.batch_size)
            _open_stores.add(self)
        return self._writer

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """One thread at a time, and SQLite's own errors as one clear sentence."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError:
                raise TrialLogError(schema.damaged(self.path, error)) from error
            raise TrialLogError(f"cannot use {self.path}: {error}; what it holds is untouched") from error
        except OverflowError as error:
            raise TrialLogError(f"cannot store the trial in {self.path}: {error}") from error

    def _checked(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """A row by its columns' names."""
        stored = dict(zip(COLUMNS, row, strict=True))
        if stored["digest"] != _digest(row[:-1]):
            raise TrialLogError(schema.damaged(self.path, f"trial {stored['number']} does not match its digest"))
        return stored

    def _trial(self, row: tuple[Any, ...], decode: Callable[[JointAction], Pipeline]) -> Trial:
        stored = self._checked(row)
        if self.definition and stored["definition"] not in ("", self.definition):
            raise TrialLogError(
                f"{self.path}: trial {stored['number']} was evaluated under the definition {stored['definition']}, "
                f"this environment is {self.definition}: its decisions or its training differ; choose another file"
            )
        pipeline = decode({agent: tuple(indices) for agent, indices in json.loads(stored["action"]).items()})
        result = Result(
            accuracy=stored["accuracy"],
            flops=stored["flops"],
            params=stored["params"],
            seconds=stored["seconds"],
            error=stored["error"],
            curve=tuple(json.loads(stored["curve"])),
            pruned=stored["state"] == "pruned",
            infeasible=stored["state"] == "infeasible",
        )
        return Trial(stored["number"], stored["seed"], pipeline, result, stored["reward"])


def _row(trial: Trial, number: int, definition: str) -> tuple[Any, ...]:
    result = trial.result
    values = (
        number,
        int(trial.seed),
        trial.pipeline.key,
        json.dumps({agent: list(map(int, action)) for agent, action in trial.pipeline.action.items()}),
        str(trial.pipeline),
        float(result.accuracy),
        float(result.flops),
        float(result.params),
        float(trial.reward),
        float(result.seconds),
        result.error,
        trial.state,
        json.dumps(result.curve),
        datetime.now(UTC).isoformat(timespec="seconds"),
        definition,
    )
    return (*values, _digest(values))


def _before_fork() -> None:
    for store in list(_open_stores):
        store._lock.acquire()
        store.close()
        _forking.append(store)


def _after_fork() -> None:
    while _forking:
        _forking.pop()._lock.release()


_forking: list[TrialStore] = []
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _digest(values: Sequence[Any]) -> str:
    return hashlib.sha256(repr(tuple(values)).encode()).hexdigest()[:16]


__all__ = ["TrialLogError", "TrialStore"]
