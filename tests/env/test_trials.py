"""The trial log: durable, shared, and quick to notice damage."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import ma2ml_env
from ma2ml_env import Pipeline, Result, Trial
from ma2ml_env.trials import TrialLogError, TrialStore, best, top_k, top_k_mean

WRITER = """
import sys, ma2ml_env
env = ma2ml_env.make("ma2ml/synthetic-v0", log_path=sys.argv[1])
for seed in range(20):
    env.reset(seed=seed)
    env.step({agent: [0] * len(space.nvec) for agent, space in env.action_spaces.items()})
"""


def decode(action) -> Pipeline:
    return Pipeline(action, {})


def trial(number: int, reward: float, choice: int, error: str | None = None) -> Trial:
    result = Result(reward, 12.0, 3.0, 0.5, error, curve=(0.1, 0.2))
    return Trial(number, 4, Pipeline({"a": (choice, 2), "b": (0,)}, {"a": "words"}), result, reward)


def test_trials_come_back_as_they_were(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "new" / "trials.db")
    assert store.load(decode) == []
    trials = [trial(0, 0.5, 1), trial(1, 0.0, 2, error="out of memory")]
    for one in reversed(trials):
        store.add(one)
    assert TrialStore(store.path).load(decode) == trials
    with pytest.raises(TrialLogError, match="already holds a trial 1"):
        store.add(trials[1])
    store.close()
    assert store.load(decode) == trials


def test_several_processes_append_to_one_file_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    env = ma2ml_env.make("ma2ml/synthetic-v0")
    trials = TrialStore(path).load(env.decode)
    assert [one.number for one in trials] == list(range(60))
    assert sorted(one.seed for one in trials) == sorted([*range(20)] * 3)
    assert len({(one.seed, one.reward) for one in trials}) == 20, "equal seeds and pipelines have equal rewards"


def test_a_changed_cell_is_noticed(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    store.add(trial(0, 0.5, 1))
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE trials SET accuracy = 0.99")
    connection.commit()
    connection.close()
    with pytest.raises(TrialLogError, match="trial 0 does not match its digest"):
        store.load(decode)


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    for name, content in (("text.db", b"not a database at all" * 100), ("other.db", None)):
        path = tmp_path / name
        if content is None:
            connection = sqlite3.connect(path)
            connection.execute("CREATE TABLE mine (x)")
            connection.commit()
            connection.close()
            content = path.read_bytes()
        else:
            path.write_bytes(content)
        with pytest.raises(TrialLogError):
            TrialStore(path).append(trial(0, 0.5, 1))
        assert path.read_bytes() == content


@pytest.mark.parametrize("missing", [1, 4096, 8192, 16000])
def test_a_truncated_file_is_refused_and_left_alone(missing: int, tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    for number in range(60):
        store.add(trial(number, 0.5, number))
    store.close()
    rest = store.path.read_bytes()[:-missing]
    store.path.write_bytes(rest)
    with pytest.raises(TrialLogError, match=r"trials\.db is damaged .*; move it away or restore it"):
        store.load(decode)
    store.close()
    assert store.path.read_bytes() == rest


def test_the_view_shows_distinct_pipelines_best_first(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    for number, (reward, choice) in enumerate([(0.2, 0), (0.9, 1), (0.9, 1), (0.5, 2)]):
        store.add(trial(number, reward, choice))
    rows = sqlite3.connect(store.path).execute("SELECT number, reward FROM top").fetchall()
    assert rows == [(1, 0.9), (3, 0.5), (0, 0.2)]


def test_best_and_top_k_count_a_pipeline_once_and_no_failed_one_is_best() -> None:
    trials = [trial(0, 0.2, 0), trial(1, 0.9, 1), trial(2, 0.9, 1), trial(3, 0.0, 3, error="x")]
    assert best(trials) is trials[1]
    assert best(trials[3:]) is None
    assert top_k(trials, 2) == [trials[1], trials[0]]
    assert top_k_mean(trials, 2) == pytest.approx((0.9 + 0.2) / 2)
    assert math.isnan(top_k_mean([], 5))


def test_trials_of_another_definition_are_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    TrialStore(path, "training 1").add(trial(0, 0.5, 1))
    with pytest.raises(TrialLogError, match="definition training 1, this environment is training 2"):
        TrialStore(path, "training 2").load(decode)
    assert TrialStore(path, "training 1").load(decode) == TrialStore(path).load(decode) == [trial(0, 0.5, 1)]


BATCHES = "SELECT batch, trials, mean_reward, best_reward FROM batches"


@pytest.mark.parametrize("size", [4, None])
def test_the_view_of_batches_averages_the_batches_of_the_learner(size: int | None, tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db", batch_size=size)
    for number in range(15):
        store.add(trial(number, number / 20, number))
    rows = sqlite3.connect(store.path).execute(BATCHES).fetchall()
    parts = [range(15)[start : start + (size or 10)] for start in range(0, 15, size or 10)]
    assert rows == [
        (batch, len(part), pytest.approx(sum(part) / len(part) / 20), max(part) / 20)
        for batch, part in enumerate(parts)
    ]
    with_other = TrialStore(store.path, batch_size=5)
    with_other.open()
    assert len(sqlite3.connect(store.path).execute(BATCHES).fetchall()) == 3


def made_by_version_2(path: Path) -> None:
    """A log as 0.1.0 wrote it: without the table `search`, batches of ten."""
    store = TrialStore(path)
    store.add(trial(0, 0.5, 1))
    store.close()
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP VIEW batches; DROP TABLE search; PRAGMA user_version = 2;"
        "CREATE VIEW batches AS SELECT number / 10 AS batch FROM trials"
    )
    connection.close()


def test_a_log_of_the_version_before_is_read_untouched_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    made_by_version_2(path)
    before = path.read_bytes()
    store = TrialStore(path, batch_size=1)
    assert store.load(decode) == [trial(0, 0.5, 1)]
    assert path.read_bytes() == before
    store.append(trial(1, 0.7, 2))
    assert sqlite3.connect(path).execute(BATCHES).fetchall() == [(0, 1, 0.5, 0.5), (1, 1, 0.7, 0.7)]


def test_a_log_that_crosses_a_fork_loses_nothing(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    store.append(trial(0, 0.5, 1))
    held, closed = os.pipe()
    children = []
    for child in range(3):
        if (pid := os.fork()) == 0:
            status = 1
            try:
                os.close(closed)
                os.read(held, 1)  # until the parent has closed its store
                for number in range(10):
                    store.append(trial(0, 0.5, 100 * (child + 1) + number))
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    store.append(trial(0, 0.5, 2))
    store.close()
    os.close(closed)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    trials = store.load(decode)
    assert [one.number for one in trials] == list(range(32))
    assert len({one.pipeline.key for one in trials}) == 32


READER = """
import os, sys
from ma2ml_env import Pipeline
from ma2ml_env.trials import TrialStore
if os.geteuid() == 0:
    os.setuid(65534)
store = TrialStore(sys.argv[1])
decode = lambda action: Pipeline(action, {})
trials = store.load(decode)
assert not os.access(sys.argv[1], os.W_OK)
assert store.find(trials[0].pipeline, 4) == trials[0].result
print(len(store.rows()), len(trials))
"""


@pytest.mark.parametrize("killed", [False, True])
def test_reading_needs_no_right_to_write_and_leaves_no_file(killed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trials.db")
        store = TrialStore(path)
        for number in range(3):
            store.append(trial(0, 0.5, number))
        if killed:  # what a killed writer leaves: the newest rows are in the log alone
            kept = path.read_bytes(), path.with_name("trials.db-wal").read_bytes()
            store.close()
            for content, name in zip(kept, ("trials.db", "trials.db-wal"), strict=True):
                path.with_name(name).write_bytes(content)
        store.close()
        before = sorted(file.name for file in Path(folder).iterdir())
        for file in Path(folder).iterdir():
            file.chmod(0o444)
        Path(folder).chmod(0o555)
        done = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("3 3\n", "")
        assert sorted(file.name for file in Path(folder).iterdir()) == before
        Path(folder).chmod(0o755)


def test_a_database_error_is_reported_by_its_own_text(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    with pytest.raises(TrialLogError, match="int too large"):
        store.append(replace(trial(0, 0.5, 1), seed=2**63))
    connection = sqlite3.connect(store.path)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON trials BEGIN SELECT RAISE(ABORT, 'no more'); END")
    connection.close()
    for write in (store.add, store.append):
        with pytest.raises(TrialLogError, match=r"cannot use .*: no more"):
            write(trial(0, 0.5, 1))


def test_rows_from_a_number_on_are_the_last_of_all(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    for number in (0, 1, 3):
        store.add(trial(number, 0.5, number))
    assert [row["number"] for row in store.rows(first=1)] == [1, 3]
    assert store.rows(first=0) == store.rows()


def test_a_log_counts_its_replacements_and_has_the_batch_of_its_learner(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db", batch_size=7)
    store.add(trial(0, 0.5, 0))
    reader = TrialStore(tmp_path / "trials.db")
    assert (reader.stored_batch_size(), reader.replacements()) == (7, 0)
    store.replace(trial(0, 0.6, 0))
    assert reader.replacements() == 1


def test_a_log_of_the_version_before_has_the_usual_batch(tmp_path: Path) -> None:
    made_by_version_2(tmp_path / "trials.db")
    assert TrialStore(tmp_path / "trials.db").stored_batch_size() == 10
