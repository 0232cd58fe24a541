"""Worker process: the driver's handle, and the process's own loop."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle

from ma2ml_agents.executors.base import Evaluate, Raised, failed_result, guarded, raised
from ma2ml_agents.executors.pickling import dumps
from ma2ml_agents.executors.process_group import end_now, end_with_driver, kill_group, lead_group
from ma2ml_env import Pipeline, Result
from ma2ml_env.errors import MA2MLError

CANNOT_START = (
    "a worker process cannot load the evaluator: {reason}; its own message is above. A script that starts workers "
    "requires `if __name__ == '__main__':` around its main code, and a memory limit must leave room for the libraries"
)

LOOK_SECONDS = 0.5
EXIT_SECONDS = 5.0


class Worker:
    """Driver's handle of a worker process and the pipe to it, started on demand; used by one thread at a time.

    Args:
        payload: the evaluator, pickled.
        timeout: limit in seconds per evaluation; None for no limit.
        memory_limit: bytes of address space; None for no limit.
    """

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
        """Returns the result of one pipeline, a failed one if the process died before sending it.

        Raises:
            ValueError: if the process cannot load the evaluator.
            RuntimeError: after `close`.
        """
        try:
            request = dumps((pipeline, seed, fidelity))
        except Exception as error:
            return raised(error, context="this pipeline cannot be sent to another process: ")
        result, exit_code = self._attempt(request)
        if result is None and exit_code in self.KILLED_FROM_OUTSIDE:
            result, exit_code = self._attempt(request)
        if isinstance(result, Raised):
            self.end()  # the exception may have corrupted the process
        return result if result is not None else failed_result(_death(exit_code))

    def close(self) -> None:
        """Kills the process and its group, and prevents a restart; thread-safe."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                _kill(self._process)

    def end(self) -> int | None:
        """Kills the process and its group if they are alive; returns its exit code."""
        with self._lock:
            process, pipe = self._process, self._pipe
            self._process = self._pipe = None
        if process is None or pipe is None:
            return None
        _kill(process)
        process.join()
        pipe.close()
        exit_code: int | None = process.exitcode
        return exit_code

    def _attempt(self, request: bytes) -> tuple[Result | None, int | None]:
        """Returns the result, or None and the exit code of the process."""
        process, pipe = self._running()
        if not self._ready:
            try:
                self._ready = pipe.recv()  # sent once the process has loaded the evaluator
            except (EOFError, OSError):
                exit_code = self._exit_code(process)
                if exit_code in self.KILLED_FROM_OUTSIDE or self._closed:
                    return None, exit_code
                raise MA2MLError(CANNOT_START.format(reason=_death(exit_code))) from None
        started = time.monotonic()
        try:
            pipe.send_bytes(request)
            if not self._has_answered(process, pipe, started):
                self.end()
                return failed_result(f"took longer than {self._timeout:g} seconds", time.monotonic() - started), None
            answer: Result = pipe.recv()
        except (EOFError, OSError):
            return None, self._exit_code(process)
        return answer, None

    def _has_answered(self, process: Any, pipe: Connection, started: float) -> bool:
        """Waits until the process has responded or died; False on timeout."""
        deadline = float("inf") if self._timeout is None else started + self._timeout
        while not wait([pipe, process.sentinel], min(LOOK_SECONDS, max(0.0, deadline - time.monotonic()))):
            if not process.is_alive():  # its own children may keep pipe and sentinel open
                raise EOFError
            if time.monotonic() >= deadline:
                return False
        return True

    def _running(self) -> tuple[Any, Connection]:
        """Returns the live process and its pipe; starts one if there is none."""
        if self._process is not None and not self._process.is_alive():
            self.end()
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor has been shut down")
            if self._process is None or self._pipe is None:
                context = multiprocessing.get_context("spawn")
                self._pipe, theirs = context.Pipe()
                self._process = context.Process(target=_serve, args=(theirs, self._payload, self._memory_limit))
                _start_deaf_to_interrupts(self._process)
                self._ready = False
                theirs.close()
            return self._process, self._pipe

    def _exit_code(self, process: Any) -> int | None:
        """Returns the exit code of a process that has closed its pipe, and kills the rest of its group."""
        process.join(EXIT_SECONDS)
        return self.end()


def _start_deaf_to_interrupts(process: Any) -> None:
    """Starts a process with Ctrl-C blocked until it ignores it, since a half-started one would print a traceback."""
    resource_tracker.ensure_running()  # when it starts by itself, it unblocks
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _kill(process: Any) -> None:
    """Kills a process and its group."""
    kill_group(process.pid)
    process.kill()


def _serve(pipe: Connection, payload: bytes, memory_limit: int | None) -> None:
    """Main loop of a worker process: evaluates requests until the driver is gone."""
    lead_group()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with_driver()
    evaluate: Evaluate = cloudpickle.loads(payload)
    if memory_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    pipe.send(True)
    while True:
        try:
            pipeline, seed, fidelity = pipe.recv()
        except EOFError:
            end_now()
        pipe.send(guarded(evaluate, pipeline, seed, fidelity))


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the worker process died of {signal.Signals(-exit_code).name}"
    return f"the worker process ended with exit code {exit_code}"
