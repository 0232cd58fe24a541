"""`ma2ml benchmark`: run a grid of environments, algorithms and seeds, write its results page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import tyro
from rich.console import Console
from tyro.conf import UseAppendAction

import ma2ml_env
from ma2ml_agents.benchmark.grid import BUDGET, SEEDS, make_grid
from ma2ml_agents.benchmark.logs import parse_logs
from ma2ml_agents.benchmark.page import write_results
from ma2ml_agents.benchmark.runner import run_grid
from ma2ml_agents.benchmark.statistics import check_packages
from ma2ml_agents.building_blocks.settings import nearest, parse_setting
from ma2ml_env.files import read_yaml

GRID_KEYS = ("envs", "algos", "seeds", "budget", "settings")


@dataclass
class BenchmarkOptions:
    """Compare algorithms on environments: run every combination, write tables and figures.

    The same command again runs only what is missing, and writes the results page anew.
    """

    env: UseAppendAction[tuple[str, ...]] = ()
    """An environment's id, or several with commas; may be given again."""
    algos: UseAppendAction[tuple[str, ...]] = ()
    """Learners with commas between them: names, or package.module:Class for your own; may be given again."""
    seeds: int | None = None
    """Runs of every algorithm on every environment; 10 if not given here or in the grid file."""
    budget: int | None = None
    """How many pipelines a run evaluates; 500 if not given here or in the grid file."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """A setting of the environments as NAME=VALUE; may be given again."""
    grid: Path | None = None
    """A YAML or JSON file with `envs`, `algos`, `seeds`, `budget`, `settings`; an entry of `algos` may be a mapping
    with `name`, `algo`, `settings` and `seeds`, one of `envs` with `name`, `env` and `settings`. The command line's
    options win."""
    logs: UseAppendAction[tuple[str, ...]] = ()
    """Trial logs that environments wrote elsewhere, as NAME=FILES such as mine=runs/*.db, one run a file; they join
    the comparison as the algorithm NAME. May be given again."""
    out: Path = Path("runs/benchmark")
    """The benchmark's folder."""
    workers: int = joblib.cpu_count()
    """Local processes that run the grid, one CPU thread each; the results do not depend on it."""
    registry: Path | None = None
    """A YAML file with environments of your own."""
    report_only: bool = False
    """Run nothing: write the results page of the runs that are there."""


def main(argv: Sequence[str], prog: str) -> None:
    """Run the command.

    Raises:
        ValueError: for anything wrong in the options, before any work; for runs that failed, after it.
    """
    options = tyro.cli(BenchmarkOptions, args=list(argv), prog=prog)
    console = Console()
    check_packages()
    if options.report_only and options.logs:
        raise ValueError("--report-only writes the page of the runs that are there, --logs adds runs: give one of them")
    if not options.report_only:
        if options.registry is not None:
            ma2ml_env.register_file(options.registry)
        logs = parse_logs(options.logs)
        document = grid_document(options)
        if not document["algos"] and not logs:
            raise ValueError("what is to be compared? give --algos, --grid or --logs")
        grid = make_grid(**document)
        run_grid(grid, options.out, workers=options.workers, logs=logs, console=console)
    write_results(options.out, console)


def grid_document(options: BenchmarkOptions) -> dict[str, Any]:
    """The arguments of `make_grid`: what the grid file says, and the command line's options in its place.

    Raises:
        ValueError: for a file that cannot be read or has an unknown key, or a setting that is not NAME=VALUE.
    """
    document: dict[str, Any] = {"envs": [], "algos": [], "seeds": SEEDS, "budget": BUDGET, "settings": {}}
    if options.grid is not None:
        document |= _read(options.grid)
    given = {
        "envs": _split(options.env),
        "algos": _split(options.algos),
        "seeds": options.seeds,
        "budget": options.budget,
    }
    document |= {key: value for key, value in given.items() if value not in (None, [])}
    document["settings"] = document["settings"] | dict(parse_setting(text) for text in options.set)
    return document


def _read(path: Path) -> dict[str, Any]:
    """A grid file; JSON is YAML too."""
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: a grid is a mapping with {list(GRID_KEYS)}, not a {type(document).__name__}")
    for key, value in document.items():
        if key not in GRID_KEYS:
            raise ValueError(f"{path}: unknown key {key!r}; {nearest(key, GRID_KEYS)}")
        wanted = {"envs": list, "algos": list, "settings": dict, "budget": int}.get(key, object)
        if not isinstance(value, wanted):
            raise ValueError(f"{path}: {key} is a {wanted.__name__}, not {value!r}")
    return document


def _split(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
