"""`ma2ml report`: one self-contained, interactive HTML file about runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from ma2ml_agents.commands.options import Repeatable, parse, parse_settings, register_environments
from ma2ml_agents.html_report import write_report
from ma2ml_env import registry
from ma2ml_env.errors import MA2MLError

FILE = "report.html"


@dataclass(frozen=True)
class ReportOptions:
    """Write a report of one or several runs: progress, cost, importance, learning curves, best pipelines, failures.

    The HTML file contains all that it shows, and needs no network.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, or their trials.db; several are compared."""
    out: Path | None = None
    """File to write; by default report.html in the first run's folder."""
    env: str | None = None
    """Id of the environment of all runs; by default those of their config.json."""
    set: Repeatable = ()
    """Settings of the named environment as NAME=VALUE."""
    registry: Path | None = None
    """YAML file with your own environments."""


def main(argv: Sequence[str], prog: str) -> None:
    """Writes the report and prints its path.

    Raises:
        MA2MLError: for invalid options, a missing run, or a file that cannot be read or written.
    """
    options: ReportOptions = parse(ReportOptions, argv, prog)
    if not options.runs:
        raise MA2MLError("a report is of at least one run; give the folder of one, such as runs/demo")
    register_environments([options.registry])
    settings = parse_settings(options.set)
    if settings and options.env is None:
        raise MA2MLError("--set is of a named environment; name it by --env")
    env = None if options.env is None else registry.make(options.env, **settings)
    first = options.runs[0]
    console = Console(highlight=False)
    with console.status("reading trials, drawing pipelines"):
        out = options.out or (first if first.is_dir() else first.parent) / FILE
        written = write_report(options.runs, out, env)
    console.print(str(written), markup=False, soft_wrap=True)
