"""`ma2ml pareto`: the front of accuracy against FLOPs in a run, and the best pipeline within bounds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from ma2ml_agents.benchmark.styles import COLORS
from ma2ml_agents.commands.options import parse
from ma2ml_agents.runs.front import Point, best_within, pareto_front, parse_bounds, points_of
from ma2ml_agents.runs.front_page import draw_front, front_csv, front_table
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.finalists import FINALISTS_FILE
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import write_text
from ma2ml_env.trials import TrialStore


@dataclass(frozen=True)
class ParetoOptions:
    """Show the pipelines of a run than which none is both cheaper and more accurate; pick the best within bounds."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of a run, or its trials.db."""
    pick: str | None = None
    """Bounds such as "flops<5M" or "params<100k,flops<2M": the most accurate pipeline within them is picked."""
    out: Path | None = None
    """Folder of pareto.png and pareto.csv; by default the run's."""


def main(argv: Sequence[str], prog: str) -> None:
    """Prints and draws the front of a run, and picks a pipeline."""
    options: ParetoOptions = parse(ParetoOptions, argv, prog)
    bounds = [] if options.pick is None else parse_bounds(options.pick)
    points = _points(options.run)
    front = pareto_front(points)
    picked = best_within(points, bounds) if bounds else None
    folder = options.run if options.run.is_dir() else options.run.parent
    out = options.out or folder
    out.mkdir(parents=True, exist_ok=True)
    picture, table = out / "pareto.png", out / "pareto.csv"
    draw_front(points, front, picked, bounds, picture, f"{folder.name}: {counted(len(points), 'pipeline')}", COLORS)
    write_text(table, front_csv(front))
    console = Console(highlight=False)
    console.print(front_table(front, picked))
    for file in (picture, table):
        console.print(str(file), markup=False, soft_wrap=True)
    if picked is not None:
        command = f"ma2ml retrain {shlex.quote(str(folder))} --trial {picked.number}"
        text = f"picked pipeline {picked.number}; train it with\n    {command}"
        console.print(text, markup=False, soft_wrap=True)


def _points(run: Path) -> list[Point]:
    """Returns the distinct pipelines of a run; those of finalists are evaluated more than once."""
    file = run / TRIALS_FILE if run.is_dir() else run
    if not file.exists():
        raise MA2MLError(f"there are no trials in {run}: there is no {file}")
    again = file.with_name(FINALISTS_FILE)
    points = points_of([*_rows(file), *(_rows(again) if again.exists() else [])])
    if not points:
        raise MA2MLError(f"no trial of {run} is complete, so there is no front")
    if not all(point.flops > 0 for point in points):
        raise MA2MLError(f"the pipelines of {run} have no FLOPs, so there is no front of accuracy against them")
    return points


def _rows(file: Path) -> list[dict[str, Any]]:
    store = TrialStore(file)
    try:
        return store.rows()
    finally:
        store.close()
