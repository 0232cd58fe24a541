"""Executors: what a pipeline does to its process costs its own trial, never the search."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import InlineExecutor, ProcessExecutor
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialStore


def pipeline(name: str, path: str = "") -> Pipeline:
    return Pipeline({"a": (len(name),)}, {"a": {"fault": name, "path": path}})


def evaluate(what: Pipeline, seed: int) -> Result:
    """Do to this process what the pipeline says."""
    fault, path = what["a"]["fault"], what["a"]["path"]
    if fault == "raise":
        raise KeyError("no such thing")
    if fault.startswith("exit"):
        os._exit(int(fault[-1]))
    if fault == "segfault":
        ctypes.string_at(0)
    if fault == "sleep":
        time.sleep(60)
    if fault == "memory":
        bytearray(2**34)
    if fault.startswith("killed"):
        with open(path, "a") as file:
            file.write("x")
        if fault == "killed always" or os.path.getsize(path) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    return Result(0.5, 1, 1, 0.0)


class SlowToLoad:
    """An evaluator that a worker needs a while to load, as it does to import torch."""

    def __call__(self, what: Pipeline, seed: int) -> Result:
        return evaluate(what, seed)

    def __reduce__(self):
        return _load_slowly, ()


def _load_slowly() -> SlowToLoad:
    time.sleep(1.5)
    return SlowToLoad()


@pytest.fixture(scope="module")
def executor():
    made = ProcessExecutor(evaluate, workers=1, timeout=5.0, memory_limit=2**33)
    yield made
    made.shutdown()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", "KeyError: 'no such thing'"),
        ("exit 0", "ended with exit code 0"),
        ("exit 3", "ended with exit code 3"),
        ("segfault", "died of SIGSEGV"),
        ("sleep", "took longer than 5 seconds"),
        ("memory", "MemoryError"),
    ],
)
def test_a_fault_is_a_failed_result_with_its_reason_and_the_next_pipeline_is_evaluated(
    executor: ProcessExecutor, fault: str, reason: str
) -> None:
    result = executor.submit(pipeline(fault), 0).result()
    assert result.failed
    assert reason in str(result.error)
    assert result.accuracy == 0.0
    assert executor.submit(pipeline("none"), 0).result().accuracy == 0.5


def test_a_worker_killed_from_outside_is_given_one_more_try(executor: ProcessExecutor, tmp_path: Path) -> None:
    once = executor.submit(pipeline("killed once", str(tmp_path / "once")), 0).result()
    assert once.accuracy == 0.5
    always = executor.submit(pipeline("killed always", str(tmp_path / "always")), 0).result()
    assert "SIGKILL" in str(always.error)
    assert (tmp_path / "always").read_text() == "xx"


def test_the_start_of_a_worker_does_not_count_as_time_of_its_first_pipeline() -> None:
    executor = ProcessExecutor(SlowToLoad(), workers=1, timeout=1.0)
    assert executor.submit(pipeline("none"), 0).result().error is None
    assert "took longer than 1 seconds" in str(executor.submit(pipeline("sleep"), 0).result().error)
    assert executor.submit(pipeline("none"), 0).result().error is None, "in the worker that replaces it"
    executor.shutdown()


def test_a_pipeline_of_closures_is_evaluated_and_one_that_cannot_be_sent_fails(executor: ProcessExecutor) -> None:
    def error(part: object) -> str | None:
        what = Pipeline({"a": (0,)}, {"a": {"fault": "none", "path": "", "part": part}})
        return executor.submit(what, 0).result().error

    assert error(lambda: 1) is None
    assert "cannot be sent" in str(error(threading.Lock()))


def test_a_search_goes_on_after_every_fault_and_keeps_each_reason(tmp_path: Path) -> None:
    reasons = {
        "none": "None",
        "raise": "KeyError",
        "exit 0": "exit code 0",
        "exit 3": "exit code 3",
        "segfault": "SIGSEGV",
        "killed always": "SIGKILL",
    }
    faults = SearchSpace((Decision("fault", tuple(reasons)), Decision("variant", (0, 1))), dict)

    def faulty(what: Pipeline, *, seed: int) -> Result:
        return evaluate(pipeline(what["a"]["fault"], str(tmp_path / "killed")), seed)

    env = AutoMLEnv({"a": faults}, faulty, accuracy)
    executor = ProcessExecutor(env.evaluate, workers=2)
    learner = make_learner("random_search", agent_specs(env), seed=0)
    trials = run_search(env, learner, 20, window=4, executor=executor, out=tmp_path)
    executor.shutdown()
    assert [trial.number for trial in trials] == list(range(20))
    assert {trial.pipeline["a"]["fault"] for trial in trials} == set(reasons)
    for trial in trials:
        assert reasons[trial.pipeline["a"]["fault"]] in str(trial.result.error)
        assert trial.reward == (0.0 if trial.result.failed else 0.5)
    assert TrialStore(tmp_path / "trials.db").load(env.decode) == trials


def test_inline_turns_an_exception_into_a_failed_result_and_lets_an_interrupt_pass() -> None:
    inline = InlineExecutor(evaluate)
    assert "KeyError" in str(inline.submit(pipeline("raise"), 0).result().error)

    def interrupted(what: Pipeline, seed: int) -> Result:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor(interrupted).submit(pipeline("none"), 0)


@pytest.mark.parametrize(
    "arguments", [{"workers": 0}, {"workers": 1, "timeout": float("nan")}, {"workers": 1, "memory_limit": -1}]
)
def test_limits_out_of_range_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        ProcessExecutor(evaluate, **arguments)


def test_an_evaluator_that_cannot_be_sent_is_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(ValueError, match="inline"):
        ProcessExecutor(lambda what, seed: Result(float(lock.locked()), 0, 0, 0.0), workers=1)


DRIVER = """
import os, sys, time
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_env import Pipeline, Result

def evaluate(pipeline, seed):
    open(sys.argv[1] if len(sys.argv) > 1 else os.environ["PID_FILE"], "w").write(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    ProcessExecutor(evaluate, 1).submit(Pipeline({"a": (0,)}, {}), 0).result()
"""


def test_workers_die_with_their_driver(tmp_path: Path) -> None:
    script, pid_file = tmp_path / "driver.py", tmp_path / "pid"
    script.write_text(DRIVER)
    driver = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PID_FILE": str(pid_file)})
    worker = _eventually(lambda: pid_file.exists() and pid_file.read_text())
    driver.kill()
    driver.wait()
    assert _eventually(lambda: not _alive(int(worker)))


def _eventually(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    return condition()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
