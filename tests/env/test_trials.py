"""The trial log: durable, shared, and quick to notice damage."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
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


def test_the_view_of_batches_averages_ten_trials_each(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    for number in range(15):
        store.add(trial(number, number / 20, number))
    rows = sqlite3.connect(store.path).execute("SELECT batch, trials, mean_reward, best_reward FROM batches").fetchall()
    assert rows == [(0, 10, pytest.approx(4.5 / 20), 9 / 20), (1, 5, pytest.approx(12 / 20), 14 / 20)]
