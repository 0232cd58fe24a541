"""Evaluation in local worker processes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle

from ma2ml_agents.executors.base import Evaluate, failed_result, guarded
from ma2ml_env import Pipeline, Result
from ma2ml_env.errors import MA2MLError

CANNOT_START = (
    "a worker process cannot load the evaluator: {reason}; its own message is above. A script that starts workers "
    "needs `if __name__ == '__main__':` around what it runs, and a memory limit must leave room for the libraries"
)


class ProcessExecutor:
    """Evaluates in local worker processes, each replaced when it dies.

    A pipeline whose worker crashes, or takes longer than `timeout`, is a failed result. One whose worker
    was killed from outside (SIGKILL, SIGTERM) is tried once more. Workers end with their driver, however it ends.

    Args:
        evaluate: as `env.evaluate`; sent to each worker once, with cloudpickle.
        workers: how many processes, at least 1.
        timeout: seconds that one evaluation may take, the start of a worker not counted; None for no limit.
        memory_limit: bytes of address space that one worker may use, None for no limit (Linux only).

    Raises:
        ValueError: for fewer than one worker, a limit that is not above 0, or an `evaluate` that cannot be sent.

    Source: ours.
    """

    def __init__(
        self, evaluate: Evaluate, workers: int, *, timeout: float | None = None, memory_limit: int | None = None
    ) -> None:
        if workers < 1:
            raise MA2MLError(f"workers must be at least 1, not {workers}")
        for name, limit in (("timeout", timeout), ("memory_limit", memory_limit)):
            if limit is not None and not limit > 0:
                raise MA2MLError(f"{name} must be above 0, not {limit}")
        self.capacity = workers
        try:
            payload = cloudpickle.dumps(evaluate)
        except Exception as error:
            raise MA2MLError(
                f"this evaluator cannot be sent to another process ({error}); use the inline executor"
            ) from error
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="evaluation")
        self._workers = [_Worker(payload, timeout, memory_limit) for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Evaluate in the next worker that is idle."""
        return self._threads.submit(self._run, pipeline, seed, fidelity)

    def shutdown(self) -> None:
        """Kill the workers; evaluations under way are abandoned."""
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, pipeline: Pipeline, seed: int, fidelity: Mapping[str, Any]) -> Result:
        worker = self._idle.get()
        try:
            return worker.evaluate(pipeline, seed, fidelity)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process and the pipe to it; used by one thread at a time."""

    KILLED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)

    def __init__(self, payload: bytes, timeout: float | None, memory_limit: int | None) -> None:
        self._payload = payload
        self._timeout = timeout
        self._memory_limit = memory_limit
        self._closed = self._ready = False
        self._process: Any = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()

    def evaluate(self, pipeline: Pipeline, seed: int, fidelity: Mapping[str, Any]) -> Result:
        """The result of one pipeline, failed if the process did not live to tell it."""
        try:
            request = cloudpickle.dumps((pipeline, seed, fidelity))
        except Exception as error:
            return failed_result(f"this pipeline cannot be sent to another process ({error})")
        result, exit_code = self._attempt(request)
        if result is None and exit_code in self.KILLED_FROM_OUTSIDE:
            result, exit_code = self._attempt(request)
        return result if result is not None else failed_result(_death(exit_code))

    def kill(self) -> None:
        """End the process now and start no other."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _attempt(self, request: bytes) -> tuple[Result | None, int | None]:
        """The result, or None and the exit code of the process."""
        process, pipe = self._running()
        if not self._ready:
            try:
                self._ready = pipe.recv()  # a process says so once it has loaded the evaluator
            except (EOFError, OSError):
                exit_code = self._bury(process, pipe)
                if exit_code in self.KILLED_FROM_OUTSIDE or self._closed:
                    return None, exit_code
                raise MA2MLError(CANNOT_START.format(reason=_death(exit_code))) from None
        try:
            started = time.monotonic()
            pipe.send_bytes(request)
        except (EOFError, OSError):
            return None, self._bury(process, pipe)
        wait([pipe, process.sentinel], self._timeout)
        if pipe.poll():
            try:
                answer: Result = pipe.recv()
            except (EOFError, OSError):
                return None, self._bury(process, pipe)
            return answer, None
        if process.is_alive() and self._timeout is not None and time.monotonic() - started >= self._timeout:
            process.kill()
            self._bury(process, pipe)
            return failed_result(f"took longer than {self._timeout:g} seconds", time.monotonic() - started), None
        return None, self._bury(process, pipe)

    def _running(self) -> tuple[Any, Connection]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor has been shut down")
            if self._process is None or self._pipe is None or not self._process.is_alive():
                context = multiprocessing.get_context("spawn")
                self._pipe, theirs = context.Pipe()
                self._process = context.Process(
                    target=_serve, args=(theirs, self._payload, self._memory_limit), daemon=True
                )
                self._process.start()
                self._ready = False
                theirs.close()
            return self._process, self._pipe

    def _bury(self, process: Any, pipe: Connection) -> int | None:
        process.join()
        pipe.close()
        exit_code: int | None = process.exitcode
        with self._lock:
            self._process = self._pipe = None
        return exit_code


def _serve(pipe: Connection, payload: bytes, memory_limit: int | None) -> None:
    """The life of a worker process: evaluate what comes until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_driver, daemon=True).start()
    evaluate: Evaluate = cloudpickle.loads(payload)
    if memory_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    pipe.send(True)
    while True:
        try:
            pipeline, seed, fidelity = pipe.recv()
        except EOFError:
            return
        pipe.send(guarded(evaluate, pipeline, seed, fidelity))


def _die_with_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the worker process died of {signal.Signals(-exit_code).name}"
    return f"the worker process ended with exit code {exit_code}"
