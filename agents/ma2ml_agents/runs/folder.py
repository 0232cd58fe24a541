"""Folder of one run: its immutable configuration, and its lock."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from ma2ml_agents.runs.version import project_version
from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.files import write_text

CONFIG_FILE, LOCK_FILE, PID_FILE = "config.json", "lock", "pid"
FORMAT = 1


@contextmanager
def run_folder(folder: Path, identity: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Path]:
    """Locks a run's folder for this process within a `with` block.

    `config.json` receives identity, options, and the project's version and commit.

    Args:
        folder: folder of the run; created if missing.
        identity: identity of the run, as JSON values; must equal the stored one.
        options: options that may differ when the run is resumed.

    Raises:
        MA2MLError: if another process uses the folder, it contains another run or other files, or it cannot be written.
        DamagedFileError: if its `config.json` is damaged.
    """
    check_folder(folder, identity)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MA2MLError(f"cannot create the folder {folder}: {error.strerror}") from error
    with lock_folder(folder):
        check_folder(folder, identity)
        document = {"format": FORMAT, "run": identity, "options": options, "project": project_version()}
        write_text(folder / CONFIG_FILE, json.dumps(document, indent=2) + "\n")
        yield folder


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Locks an existing folder of a run for this process within a `with` block.

    Raises:
        MA2MLError: if another process uses the folder, or it cannot be locked.
    """
    lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise MA2MLError(_in_use(folder)) from None
    except NotImplementedError as error:
        raise MA2MLError(f"{folder} is on a file system without file locks; choose another --out") from error
    except OSError as error:
        raise MA2MLError(f"cannot write in {folder}: {error.strerror}") from error
    try:
        write_text(folder / PID_FILE, f"{os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        lock.release()


def check_folder(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raises an error if a folder belongs to another run; see `run_folder`."""
    for part in (folder, *folder.parents):
        if part.is_file():
            raise MA2MLError(f"{part} is a file, not a folder; choose another --out")
    path = folder / CONFIG_FILE
    if not path.exists():
        if (folder / "trials.db").exists():
            raise MA2MLError(
                f"{folder} contains a trials.db but no {CONFIG_FILE}, so it cannot be resumed; choose another --out"
            )
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))["run"]
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{path} is damaged; restore it, or choose another --out") from error
    wanted = _without_new_settings(json.loads(json.dumps(identity)), held)
    if held != wanted:
        differences = "; ".join(_differences(held, wanted)) or "its form is another"
        raise MA2MLError(f"{folder} contains another run ({differences}); choose another --out")


def _without_new_settings(wanted: Any, held: Any) -> Any:
    """Returns an identity without settings of the learner that the version which wrote `held` did not have."""
    if not (isinstance(held, dict) and isinstance(held.get("settings"), dict) and "settings" in wanted):
        return wanted
    known = {name: value for name, value in wanted["settings"].items() if name in held["settings"]}
    return {**wanted, "settings": known}


def _differences(held: Any, wanted: Any, name: str = "") -> Iterator[str]:
    if isinstance(held, dict) and isinstance(wanted, dict):
        for key in sorted(held.keys() | wanted.keys()):
            yield from _differences(held.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif held != wanted:
        yield f"{name} is {held} there, {wanted} here"


def _in_use(folder: Path) -> str:
    """Returns a message that names the process that uses a folder, and its lock file if that process may be gone.

    Where a file system has no `flock`, the lock is the existence of its file, which a killed process leaves behind.
    """
    try:
        holder = (folder / PID_FILE).read_text(encoding="utf-8")
    except OSError:
        holder = "unknown"
    return (
        f"{folder} is in use by process {holder}; wait for it, or choose another --out. "
        f"If that process no longer exists, delete {folder / LOCK_FILE}"
    )
