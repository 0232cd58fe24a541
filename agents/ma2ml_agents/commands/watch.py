"""`ma2ml watch`: the report of a running search, live in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from ma2ml_agents.commands.options import parse
from ma2ml_agents.html_report import WatchServer

PORT = 8420


@dataclass(frozen=True)
class WatchOptions:
    """Show a search in the browser while it runs, with any executor; the run is only read.

    The page is served to this machine alone. From another one, forward the port: ssh -L 8420:127.0.0.1:8420 HOST.
    """

    run: tyro.conf.Positional[Path]
    """Folder of a run, or its trials.db."""
    port: int = PORT
    """Port on the loopback interface; 0 for any free one."""


def main(argv: Sequence[str], prog: str) -> None:
    """Serves the page until interrupted.

    Raises:
        MA2MLError: if there is no run, or the port cannot be used.
    """
    options: WatchOptions = parse(WatchOptions, argv, prog)
    console = Console(highlight=False)
    with WatchServer(options.run, options.port) as server:
        try:
            console.print(f"{options.run} at {server.url} (Ctrl-C ends)", markup=False, soft_wrap=True)
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("stopped watching; the search is not affected")
