"""Tables of a trial log, and opening of their file."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ma2ml_env.errors import TrialLogError

SCHEMA_VERSION = 3
READABLE = (2, SCHEMA_VERSION)
DEFAULT_BATCH = 10
TRIALS = """
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
"""
BATCHES = """
DROP VIEW IF EXISTS batches;
CREATE TABLE search (
    batch_size INTEGER NOT NULL    -- trials in a batch of the learner; the table has one row
);
CREATE VIEW batches AS SELECT number / batch_size AS batch, count(*) AS trials, avg(reward) AS mean_reward,
    max(reward) AS best_reward, avg(accuracy) AS mean_accuracy, avg(flops) AS mean_flops, sum(seconds) AS seconds
    FROM trials, search GROUP BY number / batch_size ORDER BY batch;
"""
COLUMNS = (
    "number", "seed", "key", "action", "pipeline", "accuracy", "flops", "params",
    "reward", "seconds", "error", "state", "curve", "finished", "definition", "digest",
)  # fmt: skip
LOCK_TIMEOUT = 60.0


def open_writer(path: Path, batch_size: int | None = None) -> sqlite3.Connection:
    """Connection for writing; creates the schema in an empty file and brings an older one up to date.

    Raises:
        TrialLogError: if the file is damaged or not a trial log; it is not written to then.
        sqlite3.Error: if it cannot be used.
    """
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        with transaction(connection):
            _update_schema(connection, path, batch_size)
        with suppress(sqlite3.OperationalError):  # locked: another process opens it too, and a later one will switch
            connection.execute("PRAGMA journal_mode = WAL")
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Connection for reading alone; needs the right to write neither to the file nor to its folder.

    Raises:
        TrialLogError: if the file is damaged or not a trial log.
        sqlite3.Error: if it cannot be used.
    """
    location = path.resolve().as_uri()
    try:
        return _reader(f"{location}?mode=rw", path)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if not log.exists() or log.stat().st_size == 0:
            return _reader(f"{location}?mode=ro&immutable=1", path)
    with tempfile.TemporaryDirectory() as folder:  # the newest rows are in the log, which only a copy can take in
        copy = Path(folder, path.name)
        shutil.copyfile(path, copy)
        shutil.copyfile(log, copy.with_name(log.name))
        whole, found = sqlite3.connect(":memory:", check_same_thread=False), _reader(f"{copy.as_uri()}?mode=rw", path)
        found.backup(whole)
        found.close()
        return whole


def _reader(uri: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        version, tables = _found(connection)
        if version == 0 and not tables:  # its writer was killed before the first trial
            connection.close()
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.executescript(TRIALS)
        elif version not in READABLE or "trials" not in tables:
            raise _of_another_kind(path, version)
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _update_schema(connection: sqlite3.Connection, path: Path, batch_size: int | None) -> None:
    version, tables = _found(connection)
    if version == 0 and not tables:
        statements = TRIALS + BATCHES
    elif version in READABLE and "trials" in tables:
        statements = BATCHES if version < SCHEMA_VERSION else ""
    else:
        raise _of_another_kind(path, version)
    for statement in filter(str.strip, statements.split(";\n")):
        connection.execute(statement)
    if statements:
        connection.execute("INSERT INTO search VALUES (?)", (batch_size or DEFAULT_BATCH,))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    elif batch_size is not None:
        connection.execute("UPDATE search SET batch_size = ?", (batch_size,))


def _found(connection: sqlite3.Connection) -> tuple[int, set[str]]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version, {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise TrialLogError(damaged(path, verdict))


def _of_another_kind(path: Path, version: int) -> TrialLogError:
    return TrialLogError(f"{path} is not a trial log of version {SCHEMA_VERSION} (its version is {version})")


def damaged(path: Path, reason: object) -> str:
    """Sentence about a damaged file."""
    return f"{path} is damaged ({reason}); move it away or restore it, it is never overwritten"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Transaction that executes all statements or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
