"""The report of a running search, served to this machine alone."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stored_runs import some_trials, store_run, trial

from ma2ml_agents.commands import main
from ma2ml_agents.html_report import WatchServer
from ma2ml_env.trials import TrialStore


@contextmanager
def serving(path: Path) -> Iterator[WatchServer]:
    with WatchServer(path, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(server: WatchServer, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str]:
    """Status and text of an answer; `host` is the name by which the browser knows the server."""
    connection = http.client.HTTPConnection(*server.server_address[:2])
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode()
    connection.close()
    return status, text


def news(server: WatchServer, **query: object) -> dict[str, Any]:
    status, text = get(server, "/data.json?" + "&".join(f"{name}={value}" for name, value in query.items()))
    assert status == 200
    return dict(json.loads(text))


def test_only_trials_from_a_number_on_are_sent(tmp_path: Path) -> None:
    with serving(store_run(tmp_path, some_trials())) as server:
        assert news(server, first=37, revision=0)["trials"]["number"] == [37, 38, 39]
        assert news(server, first=40, revision=0)["trials"]["number"] == []
        assert news(server, first="x", revision=-1)["trials"]["number"] == list(range(40))


def test_all_trials_are_sent_once_one_of_them_was_replaced(tmp_path: Path) -> None:
    store = TrialStore(store_run(tmp_path, some_trials()) / "trials.db")
    with serving(tmp_path) as server:
        store.replace(trial(4, 0.5))
        found = news(server, first=40, revision=0)
        assert (len(found["trials"]["number"]), found["revision"]) == (40, 1)
        assert news(server, first=40, revision=1)["trials"]["number"] == []
    store.close()


def test_a_search_that_has_no_trial_yet_is_shown(tmp_path: Path) -> None:
    folder = store_run(tmp_path, some_trials())
    (folder / "trials.db").unlink()
    with serving(folder) as server:
        status, page = get(server, "/")
        assert status == 200
        assert '"number":[]' in page
        TrialStore(folder / "trials.db").add(trial(0, 0.5))
        assert news(server, first=0, revision=0)["trials"]["number"] == [0]


def test_a_picture_of_a_trial_is_drawn_on_request(tmp_path: Path) -> None:
    assert main(["train", "--env", "ma2ml/digits-surrogate-v0", "--algo", "random_search", "--budget", "3",
                 "--out", str(tmp_path)]) == 0  # fmt: skip
    with serving(tmp_path) as server:
        status, text = get(server, "/picture.json?number=2")
        assert status == 200
        assert json.loads(text)["number"] == 2
        assert json.loads(text)["image"].startswith("data:image/png;base64,iVBOR")
        status, text = get(server, "/picture.json?number=3")
        assert (status, json.loads(text)["error"]) == (503, "there is no trial 3")


def test_a_picture_in_an_unknown_environment_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with serving(store_run(tmp_path, some_trials())) as server:
        status, text = get(server, "/picture.json?number=2")
        assert status == 503
        assert "config.json is damaged or not a run's" in json.loads(text)["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/data.json", "/picture.json?number=1"])
def test_another_name_of_this_machine_is_refused(path: str, host: str, tmp_path: Path) -> None:
    with serving(store_run(tmp_path, some_trials())) as server:
        status, text = get(server, path, host)
        assert status == 403
        assert "trials" not in text


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "localhost"])
def test_a_forwarded_port_is_accepted(host: str, tmp_path: Path) -> None:
    with serving(store_run(tmp_path, some_trials())) as server:
        assert get(server, "/", host)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/../trials.db", 404), ("GET", "/trials.db", 404), ("POST", "/data.json", 501), ("DELETE", "/", 501)],
)
def test_nothing_else_is_served(method: str, path: str, status: int, tmp_path: Path) -> None:
    with serving(store_run(tmp_path, some_trials())) as server:
        assert get(server, path, method=method)[0] == status


def test_watching_changes_no_file(tmp_path: Path) -> None:
    folder = store_run(tmp_path, some_trials())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with serving(folder) as server:
        get(server, "/")
        news(server, first=0, revision=0)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_trial_log_that_breaks_is_reported_and_watching_goes_on(tmp_path: Path) -> None:
    folder = store_run(tmp_path, some_trials())
    whole = (folder / "trials.db").read_bytes()
    with serving(folder) as server:
        (folder / "trials.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
        status, text = get(server, "/data.json?first=0&revision=0")
        assert status == 503
        assert "trials.db" in json.loads(text)["error"]
        (folder / "trials.db").write_bytes(whole)
        assert len(news(server, first=0, revision=0)["trials"]["number"]) == 40


def test_a_port_in_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(store_run(tmp_path, some_trials())) as server:
        port = str(server.server_address[1])
        assert main(["watch", str(tmp_path), "--port", port]) == 2
    assert f"port {port} is taken; choose another by --port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"), [(["{}/none"], "no run at"), (["{}/run", "--port", "70000"], "port must be in 0..65535")]
)
def test_a_mistake_is_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run(tmp_path / "run", some_trials())
    assert main(["watch", *(argument.format(tmp_path) for argument in arguments)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_command_cleanly(ending: signal.Signals, tmp_path: Path) -> None:
    store_run(tmp_path, some_trials())
    command = [sys.executable, "-m", "ma2ml_agents.commands", "watch", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored in background jobs
    ) as running:
        assert running.stdout is not None
        assert "http://127.0.0.1:" in running.stdout.readline()
        running.send_signal(ending)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert "stopped watching" in out
