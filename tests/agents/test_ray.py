"""Ray: the same trials as anywhere else, on real nodes of which one is killed."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.commands import main
from ma2ml_agents.executors import Raised, ray_cluster
from ma2ml_agents.executors import ray as ray_executor
from ma2ml_agents.executors.ray import RayExecutor
from ma2ml_agents.search import Callbacks
from ma2ml_env import Pipeline, Result, Trial

STORE = 80 * 2**20
QUICKLY = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 2}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with one CPU; whoever needs a second node adds it."""
    ray_cluster.import_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False, "_system_config": QUICKLY}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


@dataclass
class Slow:
    """Evaluates after a random while, and notes on which node it began and ended; on a killed one it never ends."""

    evaluate: Any
    folder: Path

    def __call__(self, what: Pipeline, seed: int) -> Result:
        import ray

        node = ray.get_runtime_context().get_node_id()
        note = f"{node}-{what.key}"
        (self.folder / f"{note}.begun").touch()
        time.sleep(random.uniform(0.1, 0.6))
        if (self.folder / f"{node}.killed").exists():
            time.sleep(60)
        (self.folder / f"{note}.ended").touch()
        return self.evaluate(what, seed)

    def notes(self, node: str, kind: str) -> set[str]:
        return {path.stem.partition("-")[2] for path in self.folder.glob(f"{node}-*.{kind}")}


def search(env: ma2ml_env.AutoMLEnv, **arguments: Any) -> list[Trial]:
    learner = make_learner("regularized_evolution", agent_specs(env), seed=3, population=8)
    return run_search(env, learner, 24, window=4, **arguments)


def test_a_search_that_loses_a_node_has_the_trials_of_an_inline_one(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "REFRESH_SECONDS", 0.0)
    env = ma2ml_env.make("ma2ml/synthetic-v0")
    env.reset(seed=5)
    slow = Slow(env.evaluate, tmp_path)
    executor = RayExecutor(slow, address=cluster.address)
    assert executor.capacity == 1
    node = cluster.add_node(num_cpus=2, object_store_memory=STORE, node_ip_address="127.0.0.2")
    seen: list[int] = []

    def kill_the_node_amid_its_work(trial: Trial, fresh: bool) -> None:
        seen.append(executor.capacity)
        if node in cluster.worker_nodes and slow.notes(node.node_id, "begun") > slow.notes(node.node_id, "ended"):
            (tmp_path / f"{node.node_id}.killed").touch()
            cluster.remove_node(node, allow_graceful=False)

    with ExitStack() as stack:
        stack.callback(executor.shutdown)
        trials = search(env, executor=executor, callbacks=Callbacks(on_trial=kill_the_node_amid_its_work))
    expected = search(env)
    lost = slow.notes(node.node_id, "begun") - slow.notes(node.node_id, "ended")
    assert node not in cluster.worker_nodes
    assert lost, "it was evaluating when it was killed"
    assert lost <= {trial.pipeline.key for trial in trials}
    assert [(t.number, t.pipeline, t.result.accuracy, t.reward, t.state) for t in trials] == [
        (t.number, t.pipeline, t.result.accuracy, t.reward, t.state) for t in expected
    ]
    assert seen[0] == 3, "the node that joined was used"
    assert seen[-1] == 1, "and is not counted any more"


def rows(out: Path) -> list[tuple]:
    connection = sqlite3.connect(out / "trials.db")
    columns = "number, seed, action, pipeline, accuracy, flops, params, reward, error, state"
    found = connection.execute(f"SELECT {columns} FROM trials ORDER BY number").fetchall()
    connection.close()
    return found


def test_the_command_line_writes_the_same_trials_with_ray_as_inline(
    cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--env", "ma2ml/synthetic-v0", "--algo", "regularized_evolution", "--budget", "12"]
    assert main([*command, "--executor", "inline", "--out", str(tmp_path / "inline")]) == 0
    quiet = capfd.readouterr()
    on_ray = ["--executor", "ray", "--address", cluster.address, "--cpus-per-trial", "0.5"]
    assert main([*command, *on_ray, "--out", str(tmp_path / "ray")]) == 0
    assert capfd.readouterr().err == quiet.err, "Ray says nothing of its own"
    assert len(rows(tmp_path / "ray")) == 12
    assert rows(tmp_path / "ray") == rows(tmp_path / "inline")


@pytest.fixture(scope="module")
def executor(cluster: Any) -> Iterator[RayExecutor]:
    made = RayExecutor(evaluate, address=cluster.address, timeout=4.0)
    yield made
    made.shutdown()


def pipeline(fault: str, path: str = "") -> Pipeline:
    return Pipeline({"a": (len(fault),)}, {"a": {"fault": fault, "path": path}})


def evaluate(what: Pipeline, seed: int, stop_below: float = 0.0) -> Result:
    """Do to this process what the pipeline says, and note every try."""
    fault, path = what["a"]["fault"], what["a"]["path"]
    if path:
        with open(path, "a") as file:
            file.write("x")
    if fault == "pid":
        return Result(0.5, os.getpid(), 1, 0.0)
    if fault == "raise":
        raise KeyError("no such thing")
    if fault == "exit":
        os._exit(3)
    if fault == "sleep":
        time.sleep(60)
    if fault == "killed once" and os.path.getsize(path) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(0.5 + stop_below, 1, 1, 0.0)


@pytest.mark.parametrize(
    ("fault", "reason", "tries"),
    [
        ("raise", "KeyError: 'no such thing'", 1),
        ("exit", "the worker process died", 2),
        ("sleep", "took longer than 4 seconds", 1),
        ("killed once", "None", 2),
    ],
)
def test_a_fault_costs_its_own_trial_and_only_a_worker_that_died_is_given_one_more_try(
    executor: RayExecutor, tmp_path: Path, fault: str, reason: str, tries: int
) -> None:
    result = executor.submit(pipeline(fault, str(tmp_path / "tries")), 0).result()
    assert reason in str(result.error)
    assert result.accuracy == (0.0 if result.failed else 0.5)
    assert (tmp_path / "tries").read_text() == "x" * tries
    assert executor.submit(pipeline("none"), 0, stop_below=0.25).result().accuracy == 0.75


def test_a_worker_in_which_a_pipeline_raised_is_replaced_and_its_exception_is_told_apart(executor: RayExecutor) -> None:
    first = executor.submit(pipeline("pid"), 0).result().flops
    assert executor.submit(pipeline("pid"), 0).result().flops == first
    raised = executor.submit(pipeline("raise"), 0).result()
    assert isinstance(raised, Raised)
    assert f'File "{__file__}"' in raised.traceback
    assert executor.submit(pipeline("pid"), 0).result().flops != first


@pytest.mark.parametrize(("of_node", "tries"), [(False, 2), (True, 4)])
def test_a_pipeline_under_which_workers_or_nodes_die_is_given_up(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch, of_node: bool, tries: int
) -> None:
    deaths = [ray_executor._Death(of_node, "gone") for _ in range(10)]
    monkeypatch.setattr(executor, "_attempt", lambda request: deaths.pop())
    assert executor.submit(pipeline("none"), 0).result().error == "gone"
    assert len(deaths) == 10 - tries


class NotInstalledThere:
    """An evaluator that a node cannot load."""

    def __call__(self, what: Pipeline, seed: int) -> Result:
        raise AssertionError

    def __reduce__(self) -> tuple:
        return __import__, ("a_package_of_this_machine",)


def test_a_node_that_cannot_load_the_evaluator_stops_the_search_and_says_why(executor: RayExecutor) -> None:
    elsewhere = RayExecutor(NotInstalledThere(), cpus_per_trial=0.25)
    assert elsewhere.capacity == 4
    executor.submit(pipeline("exit"), 0).result()  # its worker leaves the node's one CPU
    with pytest.raises(ValueError, match=r"cannot load the evaluator \(.*a_package_of_this_machine"):
        elsewhere.submit(pipeline("none"), 0).result()
    elsewhere.shutdown()
    assert executor.submit(pipeline("none"), 0).result().error is None, "the connection is the first executor's"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cpus_per_trial": 0.0}, "cpus_per_trial must be above 0"),
        ({"timeout": float("nan")}, "timeout must be above 0"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial must be"),
        ({"gpus_per_trial": 1.0}, "requires 1 CPUs, 1 GPUs; no node of the cluster has enough: 1 CPUs, 0 GPUs"),
    ],
)
def test_what_a_trial_cannot_have_is_refused(executor: RayExecutor, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RayExecutor(evaluate, **arguments)


ALONE = """
import os, signal
from ma2ml_agents.executors.ray import RayExecutor
from ma2ml_env import Pipeline, Result

def evaluate(what, seed):
    print("said by a worker")
    if what["a"] == "exit":
        os._exit(1)
    return Result(0.5, 1, 1, 0.0)

if __name__ == "__main__":
    def stop(number, frame):
        pass

    signal.signal(signal.SIGTERM, stop)
    executor = RayExecutor(evaluate, cpus_per_trial=1)
    assert signal.getsignal(signal.SIGTERM) is stop
    assert [executor.submit(Pipeline({"a": (0,)}, {"a": w}), 0).result().failed for w in ("exit", "")] == [True, False]
    import ray
    print(ray.get_runtime_context().gcs_address)
    executor.shutdown()
    executor.shutdown()
"""


def test_without_an_address_ray_serves_this_machine_alone_says_nothing_and_ends(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(ALONE)
    run = subprocess.run([sys.executable, str(tmp_path / "alone.py")], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
    host, _, port = run.stdout.strip().rpartition(":")
    assert host == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1.0)


@pytest.mark.parametrize("address", ["somewhere", "ray://head:10001", "head:port", ":6379"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="host:port, or auto"):
        ray_cluster._check_reachable(address)


def test_an_address_at_which_nothing_or_no_ray_listens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "JOIN_SECONDS", 2.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"no Ray cluster at {address}.*ray start --head"):
            ray_cluster._check_reachable(address)
        other.listen()
        with pytest.raises(ValueError, match=f"no Ray cluster answers at {address} within 2 seconds"):
            ray_cluster._check_reachable(address)


def test_auto_says_why_it_cannot_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    with pytest.raises(ValueError, match=r"cannot join the Ray cluster at auto \(.*nowhere"):
        ray_cluster._check_reachable("auto")


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[ray\]'"):
        RayExecutor(evaluate)


def test_a_trial_must_fit_on_one_node_that_lives() -> None:
    def node(cpus: float, gpus: float = 0.0, alive: bool = True) -> dict:
        return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus, "memory": 1e9}}

    assert ray_cluster.places([node(3), node(3)], cpus=2, gpus=0) == 2, "not the three that fit on six CPUs"
    assert ray_cluster.places([node(8, 1), node(8)], cpus=1, gpus=0.25) == 4
    assert ray_cluster.places([node(1), node(4, alive=False)], cpus=0.1, gpus=0) == 10
    assert ray_cluster.places([{"Alive": True, "Resources": {}}], cpus=1, gpus=0) == 0
