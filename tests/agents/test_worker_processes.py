"""Worker processes and what they start: allowed, and ended with the worker."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.reward import accuracy

SPACE = SearchSpace((Decision("x", tuple(range(20))), Decision("y", (1, 2))), dict)


def env_of(evaluator) -> AutoMLEnv:
    return AutoMLEnv({"a": SPACE}, evaluator, accuracy)


def search(env: AutoMLEnv, budget: int, name: str = "random_search", **options):
    settings = {"ma2ml": {"batch_size": 4, "warmup": 4, "critic_steps": 2, "actor_steps": 2}}.get(name, {})
    return run_search(env, make_learner(name, agent_specs(env), seed=1, **settings), budget, **options)


def valid(pipeline: Pipeline, *, seed: int) -> Result:
    return Result((pipeline["a"]["x"] + pipeline["a"]["y"]) / 30, 1, 1, 0.0)


def numbered(pipeline: Pipeline, *, seed: int) -> Result:
    """The number of the process stands for the FLOPs."""
    return Result(0.5, os.getpid(), 1, 0.0)


def test_an_evaluation_alone_takes_the_worker_that_has_loaded_its_libraries() -> None:
    env = env_of(numbered)
    pipeline = env.decode({"a": (0, 0)})
    with ProcessExecutor(env.evaluate, 3) as executor:
        assert len({executor.submit(pipeline, 0).result().flops for _ in range(4)}) == 1
        together = [executor.submit(pipeline, seed) for seed in range(12)]
        assert all(future.result().flops > 1 for future in together)


FAMILY = """
import multiprocessing, os, subprocess, sys, time
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import accuracy

def evaluate(pipeline, *, seed):
    child = subprocess.Popen(["sh", "-c", "sleep 300 & echo $! $$ > new; mv new pids; wait"], cwd="{folder}")
    open("{folder}/worker", "w").write(str(os.getpid()))
    child.wait()

if __name__ == "__main__":
    env = AutoMLEnv({{"a": SearchSpace((Decision("x", (1, 2)),), dict)}}, evaluate, accuracy)
    {how}
"""
SEARCH = "run_search(env, make_learner('random_search', agent_specs(env)), 3, executor=executor)"
WITH = f"""
    with ProcessExecutor(env.evaluate, 1) as executor:
        {SEARCH}
"""
WITHOUT = f"""
    executor = ProcessExecutor(env.evaluate, 1)
    {SEARCH}
"""
TIMED_OUT = """
    with ProcessExecutor(env.evaluate, 1, timeout=2.0) as executor:
        print(executor.submit(env.decode({"a": (0,)}), 0).result().error, flush=True)
        time.sleep(60)
"""


def started(folder: Path, how: str) -> tuple[subprocess.Popen, list[int]]:
    """A driver in the middle of an evaluation, and the processes of its worker."""
    (folder / "driver.py").write_text(FAMILY.format(folder=folder, how=how))
    driver = subprocess.Popen(
        [sys.executable, str(folder / "driver.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: (folder / "pids").exists() and (folder / "worker").exists() and (folder / "worker").read_text())
    return driver, [int(pid) for pid in ((folder / "pids").read_text() + (folder / "worker").read_text()).split()]


def eventually(condition, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_time_out_kills_what_the_worker_started(tmp_path: Path) -> None:
    driver, family = started(tmp_path, TIMED_OUT)
    assert driver.stdout.readline().startswith("took longer than 2 seconds")
    assert driver.poll() is None
    assert eventually(lambda: not any(map(alive, family)))
    driver.kill()
    driver.communicate()


def test_the_death_of_the_driver_kills_what_its_workers_started(tmp_path: Path) -> None:
    driver, family = started(tmp_path, WITH)
    driver.kill()
    driver.communicate()
    assert eventually(lambda: not any(map(alive, family)))


@pytest.mark.parametrize("how", [WITH, WITHOUT], ids=["with", "without"])
def test_an_interrupt_ends_a_search_at_once_and_leaves_no_process(how: str, tmp_path: Path) -> None:
    driver, family = started(tmp_path, how)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert errors.count("Traceback") == 1, "workers say nothing"
    assert eventually(lambda: not any(map(alive, family)))


def square(number: int) -> int:
    return number * number


def with_children(pipeline: Pipeline, *, seed: int) -> Result:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        four = pool.apply(square, (2,))
    loaded = subprocess.run(["echo", "1"], capture_output=True, text=True, check=True).stdout
    return Result((four + int(loaded)) / 10, 1, 1, 0.0)


def test_an_evaluation_may_start_processes_of_its_own() -> None:
    env = env_of(with_children)
    with ProcessExecutor(env.evaluate, workers=1) as executor:
        result = executor.submit(env.decode({"a": (0, 0)}), 0).result()
    assert (result.error, result.accuracy) == (None, 0.5)


def with_a_data_loader(pipeline: Pipeline, *, seed: int) -> Result:
    import torch
    from torch.utils.data import DataLoader

    batches = list(DataLoader(torch.arange(4.0), batch_size=2, num_workers=1))
    return Result(float(torch.cat(batches).sum()) / 10, 1, 1, 0.0)


def test_an_evaluation_may_load_its_data_in_workers_of_torch() -> None:
    env = env_of(with_a_data_loader)
    with ProcessExecutor(env.evaluate, workers=1) as executor:
        result = executor.submit(env.decode({"a": (0, 0)}), 0).result()
    assert (result.error, result.accuracy) == (None, 0.6)


def test_a_script_from_standard_input_is_told_to_be_a_file(tmp_path: Path) -> None:
    text = "from ma2ml_agents.executors import ProcessExecutor\nProcessExecutor(lambda p, seed: None, 1)\n"
    run = subprocess.run([sys.executable, "-"], input=text, capture_output=True, text=True, check=False)
    assert run.stderr.strip().endswith("save it as a file and run that, or use the inline executor")
    assert "__main__" not in run.stderr.rpartition("Error: ")[2]
