"""Worker processes that end with their driver, and everything that a worker started with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import NoReturn


def lead_group() -> None:
    """Make this process the leader of a new group, to which everything that it starts belongs."""
    if os.getpgrp() != os.getpid():
        os.setsid()


def kill_group(leader: int) -> None:
    """Kill a group of processes, its leader included; nothing happens where there is none."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def end_with_driver() -> None:
    """End this process, and the group if it leads one, as soon as the process that started it has ended."""
    threading.Thread(target=_await_driver, daemon=True).start()


def kill_group_with_leader() -> None:
    """Have the group that this process leads killed soon after the process has died, whoever kills it."""
    watch = f"while kill -0 {os.getpid()} 2>/dev/null; do sleep 1; done; kill -9 0"
    subprocess.Popen(["/bin/sh", "-c", watch], stdin=subprocess.DEVNULL)


def end_now() -> NoReturn:
    """End this process, and the group if it leads one."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _await_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
    end_now()
