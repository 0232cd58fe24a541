"""Evaluation on a Ray cluster."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

import cloudpickle

from ma2ml_agents.executors import ray_cluster
from ma2ml_agents.executors.base import Evaluate, ManagedExecutor, Raised, failed_result, in_background, raised
from ma2ml_agents.executors.inline import InlineExecutor
from ma2ml_agents.executors.pickling import dumps
from ma2ml_agents.executors.process_group import kill_group_with_leader, lead_group
from ma2ml_env import Pipeline, Result
from ma2ml_env.errors import MA2MLError

SHUTDOWN_SECONDS = 10.0
REFRESH_SECONDS, PING_SECONDS = 1.0, 1.0
TRIES_AFTER_CRASH, TRIES_AFTER_LOSS = 1, 3


class RayExecutor(ManagedExecutor):
    """Evaluates on a Ray cluster, in one worker process (a Ray actor) per concurrent trial.

    A pipeline that raises or exceeds `timeout` becomes a failed result, and its worker is replaced. One whose worker
    dies is retried once, since Ray does not report whether the pipeline killed it; one whose node is lost is
    evaluated elsewhere, and fails only after `TRIES_AFTER_LOSS` more lost nodes. A node that joins is used from the
    next result on. Evaluations may start processes of their own, which end with the worker.

    Args:
        evaluate: function such as `env.evaluate`; put into the cluster once, with cloudpickle. The packages that it
            requires must be installed on every node, or be in the same folders there.
        address: host:port of the cluster's head, "auto" for the cluster of which this machine is a node, None
            for a new one on this machine. An existing connection of this process takes precedence.
        cpus_per_trial: CPUs per trial, above 0.
        gpus_per_trial: GPUs per trial; a whole number, or a fraction below 1 for a share of one.
        timeout: limit in seconds per evaluation, excluding the start of a worker; None for no limit.

    Attributes:
        capacity: number of concurrent trials that the live nodes support, at least 1.

    Raises:
        ValueError: if Ray is not installed or the cluster not reachable, for a number out of range, for a trial that
            requires more than any node has, and for an `evaluate` that cannot be pickled.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        *,
        address: str | None = None,
        cpus_per_trial: float = 1.0,
        gpus_per_trial: float = 0.0,
        timeout: float | None = None,
    ) -> None:
        _check(cpus_per_trial, gpus_per_trial, timeout)
        try:
            payload = dumps(evaluate)
        except Exception as error:
            raise MA2MLError(
                f"this evaluator cannot be sent to a cluster ({error}); use the inline executor"
            ) from error
        self._cpus, self._gpus, self._timeout = cpus_per_trial, gpus_per_trial, timeout
        self._owns_connection = ray_cluster.join(address)
        self._ray = ray_cluster.import_ray()
        self._payload = self._ray.put(payload)
        self._actor_class = self._ray.remote(
            num_cpus=cpus_per_trial, num_gpus=gpus_per_trial, max_restarts=0, max_task_retries=0
        )(_Remote)
        self._lock = threading.Lock()
        self._closed = False
        self._workers: set[_Worker] = set()
        self._idle: deque[_Worker] = deque()
        self._submitted: set[Future[Result]] = set()
        try:
            self._check_room()
        except ValueError:
            self.shutdown()
            raise

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Evaluates in the cluster's next free slot."""
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._refresh()
        future = in_background(self._run, pipeline, seed, fidelity)
        self._submitted.add(future)
        future.add_done_callback(self._submitted.discard)
        return future

    def shutdown(self) -> None:
        """Kills the workers and disconnects from the cluster; running evaluations are abandoned."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for worker in list(self._workers):
            self._kill(worker)
        wait(list(self._submitted), SHUTDOWN_SECONDS)
        if self._owns_connection:
            self._ray.shutdown()

    def _check_room(self) -> None:
        if self._refresh() < 1:
            offers = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            words = "; ".join(f"{each.get('CPU', 0):g} CPUs, {each.get('GPU', 0):g} GPUs" for each in offers)
            raise MA2MLError(
                f"a trial requires {self._cpus:g} CPUs, {self._gpus:g} GPUs; no node of the cluster has enough: {words}"
            )

    def _refresh(self) -> int:
        """Returns the number of concurrent trials that the cluster supports now, and stores it."""
        found = ray_cluster.places(self._ray.nodes(), self._cpus, self._gpus)
        self.capacity = max(1, found)
        self._refreshed = time.monotonic()
        return found

    def _run(self, pipeline: Pipeline, seed: int, fidelity: Mapping[str, Any]) -> Result:
        try:
            request = dumps((pipeline, seed, fidelity))
        except Exception as error:
            return raised(error, context="this pipeline cannot be sent to another process: ")
        crashes = losses = 0
        while True:
            outcome = self._attempt(request)
            if isinstance(outcome, Result):
                return outcome
            losses += outcome.of_node
            crashes += not outcome.of_node
            if crashes > TRIES_AFTER_CRASH or losses > TRIES_AFTER_LOSS:
                return failed_result(outcome.reason)

    def _attempt(self, request: bytes) -> Result | _Death:
        """Returns the result of one attempt, or the reason of its failure."""
        errors = self._ray.exceptions
        worker = self._ready_worker()
        if worker is None:
            return _Death(of_node=True, reason="no worker of the Ray cluster survived to evaluate it")
        started = time.monotonic()
        try:
            result: Result = self._ray.get(worker.actor.evaluate.remote(request), timeout=self._timeout)
        except errors.GetTimeoutError:
            self._kill(worker)
            if not self._alive(worker.node):
                return _Death(of_node=True, reason="its node of the Ray cluster was lost")
            return failed_result(f"took longer than {self._timeout:g} seconds", time.monotonic() - started)
        except errors.RayActorError as error:
            self._kill(worker)
            return self._death(error, worker.node)
        except errors.RayTaskError as error:
            result = failed_result(_last_line(error), time.monotonic() - started)
        if isinstance(result, Raised):
            self._kill(worker)  # the exception may have corrupted the process
        else:
            self._idle.append(worker)
        return result

    def _ready_worker(self) -> _Worker | None:
        """Returns a worker that has loaded the evaluator, None if a new one died before."""
        errors = self._ray.exceptions
        while True:
            worker = self._idle_or_new()
            try:
                node = self._ray.get(worker.ping, timeout=PING_SECONDS)
            except errors.GetTimeoutError:
                self._idle.appendleft(worker)  # it starts, or there is no room for it; another one may be idle by now
            except (errors.RayActorError, errors.RayTaskError) as error:
                self._kill(worker)
                if isinstance(error, errors.RayTaskError) or error.actor_init_failed:
                    raise MA2MLError(
                        f"a node of the Ray cluster cannot load the evaluator ({_last_line(error)}); "
                        "every node requires this machine's packages and versions"
                    ) from error
                if not worker.node:
                    return None
            else:
                worker.node, worker.ping = node, None
                return worker

    def _idle_or_new(self) -> _Worker:
        """Returns an idle worker, or a new one, after requesting its node."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor has been shut down")
            if self._idle:
                worker = self._idle.pop()
            else:
                worker = _Worker(self._actor_class.remote(self._payload, sys.path))
                self._workers.add(worker)
            worker.ping = worker.ping or worker.actor.node.remote()
            return worker

    def _kill(self, worker: _Worker) -> None:
        self._ray.kill(worker.actor)
        self._workers.discard(worker)

    def _death(self, error: Any, node: str) -> _Death:
        """Distinguishes the loss of a node from that of a worker; an unavailable actor counts as a lost node."""
        unavailable = isinstance(error, self._ray.exceptions.ActorUnavailableError)
        if unavailable or error.preempted or not self._alive(node):
            return _Death(of_node=True, reason=f"{1 + TRIES_AFTER_LOSS} nodes of the Ray cluster were lost during it")
        detail = str(error).rpartition("exit detail:")[2].partition("Some common causes")[0]
        return _Death(of_node=False, reason=f"the worker process died: {' '.join(detail.split())}")

    def _alive(self, node: str) -> bool:
        return any(each["NodeID"] == node and each["Alive"] for each in self._ray.nodes())


class _Remote:
    """Worker process on the cluster."""

    def __init__(self, payload: bytes, path: list[str]) -> None:
        lead_group()
        kill_group_with_leader()
        sys.path.extend(folder for folder in path if folder not in sys.path)
        self._inline = InlineExecutor(cloudpickle.loads(payload))

    def node(self) -> str:
        """Returns the id of its node."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def evaluate(self, request: bytes) -> Result:
        """Returns the result of one pipeline."""
        pipeline, seed, fidelity = cloudpickle.loads(request)
        return self._inline.submit(pipeline, seed, **fidelity).result()


@dataclass(eq=False)
class _Worker:
    """Driver's handle of a `_Remote`, used by one thread at a time; its node is known once it has responded."""

    actor: Any
    node: str = ""
    ping: Any = None


@dataclass(frozen=True)
class _Death:
    """Cause of a missing result: the loss of the node, or of the worker alone."""

    of_node: bool
    reason: str


def _check(cpus: float, gpus: float, timeout: float | None) -> None:
    for name, value in (("cpus_per_trial", cpus), ("timeout", timeout)):
        if value is not None and not value > 0:
            raise MA2MLError(f"{name} must be above 0, not {value}")
    if not gpus >= 0 or (gpus > 1 and gpus % 1):
        raise MA2MLError(f"gpus_per_trial must be 0, a share of one GPU, or a whole number of them, not {gpus}")


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
