"""The trial log: an SQLite file that several processes may append to."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ma2ml_env.errors import TrialLogError
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID, JointAction, Pipeline, Result, Trial

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE trials (
    number   INTEGER PRIMARY KEY,  -- place in the search, from 0
    seed     INTEGER NOT NULL,     -- the environment's seed
    key      TEXT NOT NULL,        -- name of the joint action: equal pipelines have equal keys
    action   TEXT NOT NULL,        -- JSON, {agent: [index, ...]}
    pipeline TEXT NOT NULL,        -- in words
    accuracy REAL NOT NULL,        -- on validation, 0 to 1
    flops    REAL NOT NULL,        -- multiply-accumulates of one image
    params   REAL NOT NULL,
    reward   REAL NOT NULL,
    seconds  REAL NOT NULL,        -- that the evaluation took
    error    TEXT,                 -- why it failed
    state    TEXT NOT NULL,        -- complete, failed, infeasible or pruned
    curve    TEXT NOT NULL,        -- JSON, validation accuracy after each epoch
    finished TEXT NOT NULL,        -- UTC
    definition TEXT NOT NULL,      -- hash of what the result depends on: decisions, evaluator; empty if not known
    digest   TEXT NOT NULL         -- of the other columns, to notice damage
);
CREATE INDEX trials_by_key ON trials (key, seed);
CREATE VIEW top AS SELECT number, reward, accuracy, flops, params, seconds, pipeline FROM trials
    WHERE number IN (SELECT min(number) FROM trials GROUP BY key) ORDER BY reward DESC;
CREATE VIEW batches AS SELECT number / 10 AS batch, count(*) AS trials, avg(reward) AS mean_reward,
    max(reward) AS best_reward, avg(accuracy) AS mean_accuracy, avg(flops) AS mean_flops, sum(seconds) AS seconds
    FROM trials GROUP BY number / 10 ORDER BY batch;
"""
COLUMNS = (
    "number", "seed", "key", "action", "pipeline", "accuracy", "flops", "params",
    "reward", "seconds", "error", "state", "curve", "finished", "definition", "digest",
)  # fmt: skip
LOCK_TIMEOUT = 60.0


class TrialStore:
    """Trials in an SQLite file (WAL), each durable when the call that stores it returns.

    Args:
        path: the file; created with its folders at the first trial if there is none.
        definition: of the environment, stored with every trial; a file with trials of another one is refused.
            Empty where it is not known, and then nothing is compared.

    Raises:
        TrialLogError: on first use, if the file is damaged or not a trial log.

    Source: ours.
    """

    def __init__(self, path: str | Path, definition: str = "") -> None:
        self.path = Path(path)
        self.definition = definition
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file now, to see that it can be used.

        Raises:
            TrialLogError: if it cannot.
        """
        with self._errors():
            self._open()

    def add(self, trial: Trial) -> None:
        """Store a trial under its own number.

        Raises:
            TrialLogError: if the number is taken.
        """
        try:
            self._insert(trial, trial.number)
        except sqlite3.IntegrityError as error:
            raise TrialLogError(f"{self.path} already holds a trial {trial.number}") from error

    def append(self, trial: Trial) -> None:
        """Store a trial under the next free number, whatever other processes append meanwhile."""
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
        with self._errors():
            rows = self._open().execute(f"SELECT {', '.join(COLUMNS)} FROM trials ORDER BY number").fetchall()
        return [self._trial(row, decode) for row in rows]

    def find(self, pipeline: Pipeline, seed: int) -> Result | None:
        """The earliest result of a pipeline under a seed of the environment, None if there is none.

        Raises:
            TrialLogError: if the file cannot be used, or the row is damaged.
        """
        if not self.path.exists():
            return None
        query = f"SELECT {', '.join(COLUMNS)} FROM trials WHERE key = ? AND seed = ? ORDER BY number LIMIT 1"
        with self._errors():
            row = self._open().execute(query, (pipeline.key, seed)).fetchone()
        return None if row is None else self._trial(row, lambda action: pipeline).result

    def rows(self) -> list[dict[str, Any]]:
        """All trials by number as they stand in the file, {column: value}, checked against their digests.

        Raises:
            TrialLogError: if there is no such file, it cannot be used, or a row is damaged.
        """
        if not self.path.exists():
            raise TrialLogError(f"there is no trial log {self.path}")
        with self._errors():
            rows = self._open().execute(f"SELECT {', '.join(COLUMNS)} FROM trials ORDER BY number").fetchall()
        return [self._checked(row) for row in rows]

    def to_optuna(self, url: str, search_spaces: Mapping[AgentID, SearchSpace] | None = None) -> str:
        """Export the trials as an Optuna study, for optuna-dashboard and Optuna's plots.

        Args:
            url: of Optuna's storage, such as `sqlite:///study.db`.
            search_spaces: name the decisions and their choices; without them there are indices only.

        Returns:
            The name of the new study.

        Raises:
            ValueError: if Optuna is not installed, or the storage cannot be used.

        Source: ours.
        """
        from ma2ml_env.trials.optuna_export import export

        return export(self, url, search_spaces)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "definition": self.definition}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _insert(self, trial: Trial, number: int | None) -> None:
        with self._errors():
            connection = self._open()
            with _transaction(connection):
                if number is None:
                    (number,) = connection.execute("SELECT coalesce(max(number) + 1, 0) FROM trials").fetchone()
                marks = ", ".join("?" * len(COLUMNS))
                connection.execute(f"INSERT INTO trials VALUES ({marks})", _row(trial, number, self.definition))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TrialLogError(f"cannot make the folder {self.path.parent}: {error.strerror}") from error
            connection = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's own errors as one clear sentence."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.OperationalError as error:
            raise TrialLogError(f"cannot use {self.path}: {error}; what it holds is untouched") from error
        except sqlite3.DatabaseError as error:
            raise TrialLogError(_damaged(self.path, error)) from error

    def _checked(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """A row by its columns' names."""
        stored = dict(zip(COLUMNS, row, strict=True))
        if stored["digest"] != _digest(row[:-1]):
            raise TrialLogError(_damaged(self.path, f"trial {stored['number']} does not match its digest"))
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


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Create the schema in an empty file, check it in any other; a file that is refused is not written to."""
    connection.execute("PRAGMA synchronous = FULL")
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if version == 0 and not tables:
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION or "trials" not in tables:
            raise TrialLogError(f"{path} is not a trial log of version {SCHEMA_VERSION} (it says {version})")
    with suppress(sqlite3.OperationalError):  # locked: another process opens it too, and a later one will switch
        connection.execute("PRAGMA journal_mode = WAL")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise TrialLogError(_damaged(path, verdict))


def _damaged(path: Path, reason: object) -> str:
    return f"{path} is damaged ({reason}); move it away or restore it, it is never overwritten"


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _row(trial: Trial, number: int, definition: str) -> tuple[Any, ...]:
    result = trial.result
    values = (
        number,
        trial.seed,
        trial.pipeline.key,
        json.dumps({agent: list(action) for agent, action in trial.pipeline.action.items()}),
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


def _digest(values: Sequence[Any]) -> str:
    return hashlib.sha256(repr(tuple(values)).encode()).hexdigest()[:16]


__all__ = ["TrialLogError", "TrialStore"]
