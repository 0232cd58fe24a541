"""`ma2ml benchmark`: runs a grid of environments, algorithms and seeds, and writes its results page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from ma2ml_agents.benchmark.grid import BUDGET, SEEDS, make_grid
from ma2ml_agents.benchmark.logs import parse_logs
from ma2ml_agents.benchmark.page import write_results
from ma2ml_agents.benchmark.runner import run_grid
from ma2ml_agents.benchmark.statistics import check_packages
from ma2ml_agents.commands.options import (
    Amount,
    Repeatable,
    comma_separated,
    cores,
    flat,
    parse,
    parse_settings,
    register_environments,
)
from ma2ml_env.errors import DamagedFileError, MA2MLError, UnknownNameError, nearest
from ma2ml_env.files import read_yaml

GRID_KEYS = ("envs", "algos", "seeds", "budget", "settings", "max_flops", "max_params")


@dataclass
class BenchmarkOptions:
    """Compare algorithms on environments: run every combination, write tables and figures.

    Rerunning the same command runs only what is missing, and rewrites the results page.
    """

    env: Repeatable = ()
    """Ids of environments, separated by commas or spaces."""
    algos: Repeatable = ()
    """Learners, separated by commas or spaces: names, or package.module:Class for your own."""
    seeds: int | None = None
    """Runs per algorithm and environment; 10 if set neither here nor in the grid file."""
    budget: int | None = None
    """Number of pipelines per run; 500 if set neither here nor in the grid file."""
    set: Repeatable = ()
    """Settings of the environments as NAME=VALUE."""
    max_flops: Amount | None = None
    """Upper bound on multiply-accumulates of one image, such as 5M; pipelines above it are not evaluated."""
    max_params: Amount | None = None
    """Upper bound on parameters, such as 100k; pipelines above it are not evaluated."""
    grid: Path | None = None
    """YAML or JSON file with `envs`, `algos`, `seeds`, `budget`, `settings`, `max_flops`, `max_params`; an entry of
    `algos` may be a mapping with `name`, `algo`, `preset`, `settings` and `seeds`, one of `envs` with `name`, `env` and
    `settings`. Options on the command line take precedence."""
    logs: Repeatable = ()
    """Trial logs that environments wrote elsewhere, as NAME=FILES such as mine=runs/*.db, one run per file; they are
    compared as the algorithm NAME."""
    out: Path = Path("runs/benchmark")
    """Folder of the benchmark."""
    workers: int = field(default_factory=cores)
    """Local processes that run the grid, one CPU thread each; results do not depend on their number."""
    registry: Path | None = None
    """YAML file with your own environments."""
    report_only: bool = False
    """Run nothing; write the results page of the existing runs."""
    figures: bool = True
    """Draw the page's figures, which takes longer than its tables."""


def main(argv: Sequence[str], prog: str) -> None:
    """Runs the command.

    Raises:
        MA2MLError: for invalid options, before any work; for failed runs, after it.
    """
    options: BenchmarkOptions = parse(BenchmarkOptions, argv, prog)
    console = Console()
    check_packages()
    if options.report_only and options.logs:
        raise MA2MLError("--report-only writes the page of the runs that are there, --logs adds runs: give one of them")
    if not options.report_only:
        register_environments([options.registry])
        logs = parse_logs(flat(options.logs))
        document = grid_document(options)
        if not document["algos"] and not logs:
            raise MA2MLError("nothing to compare; give --algos, --grid or --logs")
        grid = make_grid(**document)
        run_grid(grid, options.out, workers=options.workers, logs=logs, console=console)
    write_results(options.out, console, figures=options.figures)


def grid_document(options: BenchmarkOptions) -> dict[str, Any]:
    """Returns the arguments of `make_grid`: those of the grid file, overridden by the command line's options.

    Raises:
        MA2MLError: for a file that cannot be read or has an unknown key, or a setting that is not NAME=VALUE.
    """
    document: dict[str, Any] = {"envs": [], "algos": [], "seeds": SEEDS, "budget": BUDGET, "settings": {}}
    if options.grid is not None:
        document |= _read(options.grid)
    given = {
        "envs": comma_separated(options.env),
        "algos": comma_separated(options.algos),
        "seeds": options.seeds,
        "budget": options.budget,
        "max_flops": options.max_flops,
        "max_params": options.max_params,
    }
    document |= {key: value for key, value in given.items() if value not in (None, [])}
    document["settings"] = document["settings"] | parse_settings(options.set)
    return document


def _read(path: Path) -> dict[str, Any]:
    """Returns the content of a grid file; JSON is YAML too."""
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise DamagedFileError(f"{path}: a grid is a mapping with {list(GRID_KEYS)}, not a {type(document).__name__}")
    for key, value in document.items():
        if key not in GRID_KEYS:
            raise UnknownNameError(f"{path}: unknown key {key!r}; {nearest(key, GRID_KEYS)}")
        wanted = {"envs": list, "algos": list, "settings": dict, "budget": int}.get(key, object)
        if not isinstance(value, wanted):
            raise DamagedFileError(f"{path}: {key} is a {wanted.__name__}, not {value!r}")
    return document
