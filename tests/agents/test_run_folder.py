"""A run's folder belongs to one run, and to one process at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ma2ml_agents.runs import folder
from ma2ml_agents.runs.folder import run_folder
from ma2ml_agents.runs.version import project_version
from ma2ml_env.errors import MA2MLError

HOLDER = """
import sys, time
from pathlib import Path
from ma2ml_agents.runs import folder
from ma2ml_agents.runs.folder import run_folder
from ma2ml_agents.runs.version import project_version
from ma2ml_env.errors import MA2MLError
with run_folder(Path(sys.argv[1]), {"seed": 0}, {}):
    print("held", flush=True)
    time.sleep(120)
"""


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_takes_over_when_that_is_dead(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    says = f"in use by process {holder.pid} on {socket.gethostname()}.*delete {tmp_path / 'lock'}"
    with pytest.raises(MA2MLError, match=says), run_folder(tmp_path, {"seed": 0}, {}):
        pass
    holder.kill()
    holder.communicate()
    with run_folder(tmp_path, {"seed": 0}, {}):
        assert (tmp_path / "pid").read_text() == f"{os.getpid()} on {socket.gethostname()}"


def test_the_configuration_is_written_and_compared(tmp_path: Path) -> None:
    with run_folder(tmp_path / "run", {"seed": 0, "settings": {"rate": 0.1}}, {"workers": 2}):
        pass
    held = (tmp_path / "run" / "config.json").read_text()
    assert json.loads(held)["run"] == {"seed": 0, "settings": {"rate": 0.1}}
    with (
        pytest.raises(ValueError, match=r"settings.rate is 0.1 there, 0.2 here"),
        run_folder(tmp_path / "run", {"seed": 0, "settings": {"rate": 0.2}}, {}),
    ):
        pass
    assert (tmp_path / "run" / "config.json").read_text() == held


def test_a_setting_that_the_run_of_an_older_version_did_not_have_is_not_compared(tmp_path: Path) -> None:
    with run_folder(tmp_path, {"seed": 0, "settings": {"rate": 0.1}}, {}):
        pass
    with run_folder(tmp_path, {"seed": 0, "settings": {"rate": 0.1, "distinct": True}}, {}):
        pass
    changed = {"seed": 0, "settings": {"rate": 0.1, "distinct": False}}
    with pytest.raises(MA2MLError, match="distinct is True there, False here"), run_folder(tmp_path, changed, {}):
        pass
    with (
        pytest.raises(MA2MLError, match="prune is None there"),
        run_folder(tmp_path, {**changed, "prune": "median"}, {}),
    ):
        pass


def test_version_and_commit_are_written_and_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_folder(tmp_path, {"seed": 0}, {}):
        pass
    assert json.loads((tmp_path / "config.json").read_text())["project"] == project_version()
    later = {"version": "99.0", "commit": "0123456789ab"}
    monkeypatch.setattr(folder, "project_version", lambda: later)
    with run_folder(tmp_path, {"seed": 0}, {}):
        assert json.loads((tmp_path / "config.json").read_text())["project"] == later


def test_trials_without_a_configuration_are_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "trials.db").touch()
    with pytest.raises(ValueError, match=r"no config\.json"), run_folder(tmp_path, {}, {}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["trials.db"]
