"""Evaluation in local worker processes."""

from __future__ import annotations

import atexit
import os
import queue
import sys
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any

from ma2ml_agents.executors.base import Evaluate, ManagedExecutor, in_background
from ma2ml_agents.executors.pickling import dumps
from ma2ml_agents.executors.worker import Worker
from ma2ml_env import Pipeline, Result
from ma2ml_env.errors import MA2MLError

SHUTDOWN_SECONDS = 10.0


class ProcessExecutor(ManagedExecutor):
    """Evaluates in local worker processes, each replaced when it dies or a pipeline raises an exception in it.

    A pipeline that raises, crashes its worker or exceeds `timeout` becomes a failed result. One whose worker was
    killed from outside (SIGKILL, SIGTERM) is retried once. Evaluations may start processes of their own: these are
    killed with the worker, and workers end with their driver, however it ends. Use it in a `with` statement:

        with ProcessExecutor(env.evaluate, workers=8) as executor:
            trials = run_search(env, learner, budget=300, executor=executor)

    Args:
        evaluate: function such as `env.evaluate`; sent to each worker once, with cloudpickle.
        workers: number of processes, at least 1.
        timeout: limit in seconds per evaluation, excluding the start of a worker; None for no limit.
        memory_limit: limit in bytes on a worker's address space; None for no limit (Linux only).

    Attributes:
        capacity: number of workers.

    Raises:
        ValueError: for fewer than one worker, a limit not above 0, an `evaluate` that cannot be pickled, or a script
            read from standard input, which workers cannot load.
    """

    def __init__(
        self, evaluate: Evaluate, workers: int, *, timeout: float | None = None, memory_limit: int | None = None
    ) -> None:
        if workers < 1:
            raise MA2MLError(f"workers must be at least 1, not {workers}")
        for name, limit in (("timeout", timeout), ("memory_limit", memory_limit)):
            if limit is not None and not limit > 0:
                raise MA2MLError(f"{name} must be above 0, not {limit}")
        if getattr(sys.modules["__main__"], "__file__", None) == "<stdin>":
            raise MA2MLError(
                "a script that is read from standard input cannot start workers, which load the script themselves; "
                "save it as a file and run that, or use the inline executor"
            )
        self.capacity = workers
        try:
            payload = dumps(evaluate)
        except Exception as error:
            raise MA2MLError(
                f"this evaluator cannot be sent to another process ({error}); use the inline executor"
            ) from error
        self._workers = [Worker(payload, timeout, memory_limit) for _ in range(workers)]
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._submitted: set[Future[Result]] = set()
        self._driver = os.getpid()
        atexit.register(self.shutdown)

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Evaluates in the worker that was busy last, as the others may still have to load their libraries."""
        future = in_background(self._run, pipeline, seed, fidelity)
        self._submitted.add(future)
        future.add_done_callback(self._submitted.discard)
        return future

    def shutdown(self) -> None:
        """Kills the workers and the processes they started; running evaluations are abandoned."""
        atexit.unregister(self.shutdown)
        if os.getpid() != self._driver:
            return  # in a fork of the driver, which may not end the driver's workers
        for worker in self._workers:
            worker.close()
        wait(list(self._submitted), SHUTDOWN_SECONDS)
        for worker in self._workers:
            worker.end()

    def _run(self, pipeline: Pipeline, seed: int, fidelity: Mapping[str, Any]) -> Result:
        worker = self._idle.get()
        try:
            return worker.evaluate(pipeline, seed, fidelity)
        finally:
            self._idle.put(worker)
