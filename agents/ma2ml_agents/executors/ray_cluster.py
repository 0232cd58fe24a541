"""Connection to a Ray cluster, and its capacity."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ma2ml_env.errors import MA2MLError, missing_extra

SOCKET_SECONDS, JOIN_SECONDS = 3.0, 20.0
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # the trial's error contains what Ray would print when a worker dies
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # Ray's name for "listen on 127.0.0.1"
JOIN = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR'); ray.shutdown()"
LOCAL_STORE_BYTES = 100 * 2**20


def import_ray(environment: Mapping[str, str] | None = None) -> Any:
    """Imports Ray with its logging turned off; settings apply on the first import only.

    Args:
        environment: more variables to set beforehand, unless they are set already.

    Raises:
        MissingExtraError: if it is not installed.
    """
    for name, value in (QUIET | dict(environment or {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise missing_extra("the ray executor needs Ray", "ray") from error
    return ray


def join(address: str | None) -> bool:
    """Connects this process to a cluster, if it is not connected already.

    Args:
        address: host:port of the cluster's head, or "auto" for the cluster of which this machine is a node;
            None starts a cluster on this machine, on its loopback address if Ray was not imported before.

    Returns:
        True if the connection is new, so that the caller has to close it with `ray.shutdown`.

    Raises:
        ValueError: if Ray is not installed, or no cluster responds at the address within `JOIN_SECONDS`.
    """
    ray = import_ray(LOOPBACK if address is None else {})
    if ray.is_initialized():
        return False
    settings: dict[str, Any] = {"address": "local", "include_dashboard": False}
    if address is None:
        settings["object_store_memory"] = LOCAL_STORE_BYTES
    else:
        _check_reachable(address)
        settings = {"address": address}
    with _own_signal_handlers():
        ray.init(**settings, log_to_driver=False, logging_level="ERROR")
    return True


def places(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """Returns the number of trials that fit on a cluster concurrently.

    Args:
        nodes: as `ray.nodes()` returns them; each has `Alive` and `Resources`.
        cpus: CPUs per trial, above 0.
        gpus: GPUs per trial, at least 0.
    """
    wanted = {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount > 0}
    return sum(
        min(math.floor(node["Resources"].get(name, 0.0) / amount + 1e-9) for name, amount in wanted.items())
        for node in nodes
        if node["Alive"]
    )


def _check_reachable(address: str) -> None:
    """Checks in another process that a cluster can be joined, since Ray itself retries for minutes uninterruptibly."""
    if address != "auto":
        host, colon, port = address.rpartition(":")
        if not colon or not host or "/" in host or not port.isdecimal():
            raise MA2MLError(f"the address of a Ray cluster is host:port, or auto, not {address!r}")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=SOCKET_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise MA2MLError(f"no Ray cluster at {address}: {error}; is `ray start --head` running there?") from error
    command = [sys.executable, "-c", JOIN, address]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=JOIN_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise MA2MLError(f"no Ray cluster answers at {address} within {JOIN_SECONDS:g} seconds") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().rpartition("\n")[2]
        raise MA2MLError(
            f"cannot join the Ray cluster at {address} ({reason}); this machine must be one of its nodes: "
            "`ray start --address=HOST:PORT`"
        ) from error


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Restores the process's signal handlers after Ray has replaced them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
