"""Server of the live report of a running search, on this machine alone."""

from __future__ import annotations

import errno
import json
import sys
import threading
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ma2ml_agents.html_report.extras import pictures
from ma2ml_agents.html_report.page import made_by, report_page, run_data
from ma2ml_agents.html_report.run import Run
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_agents.runs.report import TOP_K
from ma2ml_env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import TrialStore

ADDRESS = "127.0.0.1"
HOSTS = (ADDRESS, "localhost")
"""Names under which a browser may ask: another name that resolves to this machine is an attack by DNS rebinding."""
MOST_PORT = 65535

LIVE = ("budget", "batch", "test_accuracy", "winner", "trials")
"""What an open page is told of a run again and again."""


class WatchServer(ThreadingHTTPServer):
    """HTTP server of one run's page and its new trials; it reads the run and never writes.

    Args:
        path: folder of the run to show, or its trial log.
        port: port on the loopback interface, 0 for any free one.

    Raises:
        MA2MLError: if there is no run, or the port is out of range, taken, or not permitted.
    """

    daemon_threads = True

    def __init__(self, path: Path, port: int) -> None:
        self.path = path
        self._env: AutoMLEnv | None = None
        self._drawing = threading.Lock()
        Run.find(path)
        if not 0 <= port <= MOST_PORT:
            raise MA2MLError(f"port must be in 0..{MOST_PORT}, not {port}")
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise MA2MLError(f"port {port} {reason}; choose another by --port, or any free one by --port 0") from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    def page(self) -> str:
        """Returns the page with all trials so far."""
        run = Run.find(self.path)
        about = {"live": True, "top_k": TOP_K, **made_by(), "revision": run.revision()}
        return report_page({**about, "runs": [run_data(run, run.name)]})

    def news(self, first: int, revision: int) -> dict[str, Any]:
        """Returns the trials from number `first` on; all if stored ones were replaced since `revision`."""
        run = Run.find(self.path)
        current = run.revision()
        data = run_data(run, run.name, first if revision == current else 0)
        return {"revision": current} | {name: data[name] for name in LIVE}

    def picture(self, number: int) -> dict[str, Any]:
        """Returns a picture of a trial as {number, image}, the image a data URI.

        Raises:
            MA2MLError: if there is no such trial, or its environment cannot be made here.
        """
        run = Run.find(self.path)
        with self._drawing:
            if self._env is None:
                self._env = env_of_run(run.folder)
            with closing(TrialStore(run.file, self._env.definition)) as store:
                found = [trial for trial in store.load(self._env.decode) if trial.number == number]
            if not found:
                raise MA2MLError(f"there is no trial {number}")
            return pictures(self._env, found)[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a browser that has closed its connection; other errors are bugs, and shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer
    timeout = 30

    def do_GET(self) -> None:
        """Sends the page or new trials."""
        if self._host() not in HOSTS:
            self._send(HTTPStatus.FORBIDDEN, "text/plain", f"this server is reached as {self.server.url}\n")
            return
        request = urlsplit(self.path)
        if request.path == "/":
            self._answer("text/html", self.server.page)
        elif request.path in ("/data.json", "/picture.json"):
            query = {name: _whole(values[-1]) for name, values in parse_qs(request.query).items()}
            if request.path == "/picture.json":
                self._answer("application/json", lambda: json.dumps(self.server.picture(query.get("number", 0))))
                return
            first, revision = query.get("first", 0), query.get("revision", 0)
            self._answer("application/json", lambda: json.dumps(self.server.news(first, revision), allow_nan=False))
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", "there is no such page\n")

    def _host(self) -> str:
        """Name of the host in the request, without its port."""
        return self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")

    def _answer(self, kind: str, content: Any) -> None:
        try:
            text, status = content(), HTTPStatus.OK
        except MA2MLError as error:
            text, status, kind = json.dumps({"error": str(error)}), HTTPStatus.SERVICE_UNAVAILABLE, "application/json"
        self._send(status, kind, text)

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Logs nothing: the terminal belongs to the user."""


def _whole(text: str) -> int:
    """A whole number of at most 15 digits, 0 for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
