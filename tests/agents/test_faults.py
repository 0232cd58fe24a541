"""What happens to a search when disk, clock or pipeline misbehave."""

from __future__ import annotations

import errno
import itertools
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.commands import main
from ma2ml_agents.executors import InlineExecutor, ProcessExecutor
from ma2ml_agents.search.pruner import make_pruner
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialStore, store

ENV = "ma2ml/synthetic-v0"
UNTIL_FULL = """
import resource, signal, sys
from ma2ml_agents.commands import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def search(budget: int, **options):
    env = ma2ml_env.make(ENV)
    return run_search(env, make_learner("ma2ml_lite", agent_specs(env), seed=0), budget, **options)


def test_files_that_cannot_grow_stop_a_run_and_lose_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [
        "train",
        "--algo",
        "ma2ml_lite",
        "--env",
        ENV,
        "--budget",
        "400",
        "--finalists",
        "0",
        "--out",
        str(out),
    ]
    full = subprocess.run(
        [sys.executable, "-c", UNTIL_FULL, str(2**19), *arguments], capture_output=True, text=True, check=False
    )
    assert full.returncode == 2
    assert "what it holds is untouched" in full.stderr
    env = ma2ml_env.make(ENV)
    kept = TrialStore(out / "trials.db").load(env.decode)
    assert 0 < len(kept) < 400
    assert main(arguments) == 0, "with room again, the same command goes on"
    after = TrialStore(out / "trials.db").load(env.decode)
    assert after[: len(kept)] == kept
    assert [t.reward for t in after] == [t.reward for t in search(400, window=4)]


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    out = tmp_path / "run"
    assert main(["train", "--algo", "random_search", "--env", ENV, "--budget", "5", "--out", str(out)]) == 2
    assert f"cannot create the folder {out}: Read-only file system" in capsys.readouterr().err
    assert not out.exists()


def test_a_clock_that_jumps_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backwards = (datetime(2030, 1, 1, tzinfo=UTC) - timedelta(days=day) for day in itertools.count())

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(backwards)

    monkeypatch.setattr(store, "datetime", Clock)
    monkeypatch.setattr("time.time", lambda: -1e9)
    first = search(25, out=tmp_path)
    resumed = search(40, out=tmp_path)
    assert resumed[:25] == first
    assert [trial.reward for trial in resumed] == [trial.reward for trial in search(40)]


def test_an_accuracy_that_is_no_number_is_a_failed_trial(tmp_path: Path) -> None:
    values = (0.5, float("nan"), float("inf"), -0.1, 1.5)
    space = SearchSpace((Decision("value", values),), dict)
    env = AutoMLEnv({"a": space}, lambda pipeline, *, seed: Result(pipeline["a"]["value"], 1, 1, 0.0), accuracy)
    found = run_search(env, make_learner("random_search", agent_specs(env), seed=0), 40, out=tmp_path)
    assert len({trial.pipeline.key for trial in found}) == len(values)
    for trial in found:
        valid = trial.pipeline["a"]["value"] == 0.5
        assert (trial.state, trial.reward) == (("complete", 0.5) if valid else ("failed", 0.0))
    assert TrialStore(tmp_path / "trials.db").load(env.decode) == found


def allocate(pipeline, seed: int) -> Result:
    if pipeline["a"]["greedy"]:
        hoard = [np.ones(2**22) for _ in range(10**6)]
        return Result(len(hoard) / 10**6, 1, 1, 0.0)
    return Result(0.5, 1, 1, 0.0)


def test_a_pipeline_that_allocates_without_end_costs_its_own_trial_only() -> None:
    env = AutoMLEnv({"a": SearchSpace((Decision("greedy", (False, True)),), dict)}, lambda p, *, seed: None, accuracy)
    executor = ProcessExecutor(allocate, workers=1, memory_limit=2**32)
    found = run_search(env, make_learner("random_search", agent_specs(env), seed=0), 8, executor=executor)
    executor.shutdown()
    assert {trial.pipeline["a"]["greedy"] for trial in found} == {True, False}
    for trial in found:
        assert trial.result.failed == trial.pipeline["a"]["greedy"]
        assert not trial.result.failed or "MemoryError" in str(trial.result.error)


def slow(pipeline, seed: int) -> Result:
    time.sleep(0.2)
    return Result(0.5, 1, 1, 0.0)


def test_an_evaluation_that_outlasts_the_time_limit_is_kept(tmp_path: Path) -> None:
    env = AutoMLEnv({"a": SearchSpace((Decision("x", tuple(range(50))),), dict)}, lambda p, *, seed: None, accuracy)
    for session in (1, 2, 3):
        learner = make_learner("random_search", agent_specs(env), seed=0)
        executor = InlineExecutor(slow)
        found = run_search(env, learner, 20, executor=executor, time_limit=0.1, out=tmp_path)
        assert len(found) == session


def test_a_worker_that_cannot_start_stops_the_search_and_stores_nothing(tmp_path: Path) -> None:
    env = AutoMLEnv({"a": SearchSpace((Decision("x", (0, 1)),), dict)}, lambda p, *, seed: None, accuracy)
    executor = ProcessExecutor(CannotBeLoaded(), workers=2)
    learner = make_learner("random_search", agent_specs(env), seed=0)
    with pytest.raises(ValueError, match="a worker process cannot load the evaluator"):
        run_search(env, learner, 4, executor=executor, out=tmp_path)
    executor.shutdown()
    assert TrialStore(tmp_path / "trials.db").load(env.decode) == []


class CannotBeLoaded:
    """An evaluator that only the process that made it can load."""

    def __call__(self, pipeline, seed: int) -> Result:
        return Result(0.5, 1, 1, 0.0)

    def __reduce__(self):
        return _refuse, ()


def _refuse() -> None:
    raise ImportError("not here")


@pytest.mark.parametrize("cache", ["a file", "no folder"])
def test_a_cache_that_cannot_be_used_is_named_before_anything_is_evaluated(cache: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    place = tmp_path / "file" if cache == "a file" else tmp_path / "file" / "below"
    with pytest.raises(ValueError, match=str(tmp_path / "file")):
        search(5, cache=place, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_cache_and_a_pruner_are_refused_together(tmp_path: Path) -> None:
    env = ma2ml_env.make("ma2ml/digits-v0")
    learner = make_learner("random_search", agent_specs(env), seed=0)
    with pytest.raises(ValueError, match="do not go together"):
        run_search(env, learner, 2, cache=tmp_path, pruner=make_pruner("median"))


def test_what_was_finished_while_the_learner_computed_is_kept_on_an_interrupt(tmp_path: Path) -> None:
    env = AutoMLEnv({"a": SearchSpace((Decision("x", tuple(range(500))),), dict)}, lambda p, *, seed: None, accuracy)
    learner = make_learner("random_search", agent_specs(env), seed=0)
    executor = ProcessExecutor(quick, workers=3)
    updates = 0

    def interrupted(batch):
        nonlocal updates
        updates += 1
        if updates == 4:
            time.sleep(1.0)
            raise KeyboardInterrupt
        return {}

    learner.update = interrupted
    with pytest.raises(KeyboardInterrupt):
        run_search(env, learner, 40, executor=executor, window=8, out=tmp_path)
    executor.shutdown()
    kept = TrialStore(tmp_path / "trials.db").load(env.decode)
    assert len(kept) >= 6, "the four that were learned from, and what the workers had finished"


def quick(pipeline, seed: int) -> Result:
    return Result(0.5, 1, 1, 0.0)
