"""Process groups: workers end with their driver, and the processes a worker started end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import NoReturn


def lead_group() -> None:
    """Makes this process the leader of a new group, which contains all processes it starts."""
    if os.getpgrp() != os.getpid():
        os.setsid()


def kill_group(leader: int) -> None:
    """Kills a process group including its leader, if it exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def end_with_driver() -> None:
    """Ends this process, and its group if it leads one, as soon as its parent process has ended."""
    threading.Thread(target=_await_driver, daemon=True).start()


def kill_group_with_leader() -> None:
    """Starts a watcher that kills this process's group once the process has died, however it dies."""
    watch = f"while kill -0 {os.getpid()} 2>/dev/null; do sleep 1; done; kill -9 0"
    subprocess.Popen(["/bin/sh", "-c", watch], stdin=subprocess.DEVNULL)


def end_now() -> NoReturn:
    """Ends this process, and its group if it leads one."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _await_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
    end_now()
