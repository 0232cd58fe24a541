"""Execution of a grid on local processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableSequence, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console

from ma2ml_agents.benchmark.cell import CELLS_FOLDER, finished, run_cell
from ma2ml_agents.benchmark.grid import Cell, Grid
from ma2ml_agents.benchmark.index import Index, Run, unique, write_index
from ma2ml_agents.benchmark.logs import LoggedRun, read_logs
from ma2ml_agents.benchmark.progress import Failure, GridProgress, describe
from ma2ml_agents.benchmark.statistics import check_packages
from ma2ml_agents.executors.process_group import end_with_driver
from ma2ml_agents.runs.folder import run_folder
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import Preparing

IDENTITY = {"kind": "benchmark"}
OURS = ("ma2ml", "ma2ml_lite", "ma2ml_on_policy")
"""The paper's learners; all others are baselines."""
REFRESH_SECONDS = 0.5
_evaluated: MutableSequence[int] = []
"""Number of evaluated pipelines per cell, in memory that workers share with the driver."""


def run_grid(
    grid: Grid,
    out: str | Path,
    *,
    workers: int = 1,
    logs: Mapping[str, Sequence[Path]] | None = None,
    console: Console | None = None,
) -> list[Cell]:
    """Runs all unfinished cells of a grid.

    The results are the same for any number of workers, interrupted or not.

    Args:
        grid: from `make_grid`.
        out: folder of the benchmark; cells that are finished there are not run again.
        workers: number of single-threaded processes, at least 1; 1 runs in this process.
        logs: trial logs to compare with, {name in tables: files}, one run per file.
        console: console for the progress; None for no output.

    Returns:
        The grid's cells, all finished and deduplicated.

    Raises:
        MA2MLError: before any work if the extra is not installed, a log cannot be used, or the folder is in use or of
            another benchmark; at the end if cells failed, when the others are finished.
    """
    check_packages()
    if workers < 1:
        raise MA2MLError(f"workers must be at least 1, not {workers}")
    logged = read_logs(logs or {}, grid)
    out = Path(out)
    cells = list({cell.folder: cell for cell in grid.cells()}.values())  # two names of one thing are one run
    with run_folder(out, IDENTITY, {"workers": workers}), GridProgress(len(cells), console) as progress:
        write_index(out, make_index(grid, logged))
        for log in logged:
            progress.say(str(log))
            log.save(out)
        missing = [cell for cell in cells if not finished(out / CELLS_FOLDER / cell.folder)]
        progress.found(len(cells) - len(missing))
        failures = []
        for cell, failure in _run(missing, out, workers, progress):
            progress.show(cell, failure)
            if failure is not None:
                failures.append(f"{describe(cell)}: {failure.reason}")
    if failures:
        listed = "\n  ".join(failures)
        raise MA2MLError(f"{len(failures)} of {len(cells)} runs failed; rerun the command to retry them\n  {listed}")
    return cells


def make_index(grid: Grid, logged: Sequence[LoggedRun] = ()) -> Index:
    """Returns the index of a grid's results page, with the logs."""
    runs = [Run(cell.problem.name, cell.contender.name, cell.seed, cell.folder) for cell in grid.cells()]
    runs += [log.run for log in logged]
    names = unique([contender.name for contender in grid.contenders] + [log.run.algo for log in logged])
    ours = [contender.name for contender in grid.contenders if contender.algo in OURS]
    return Index(
        budget=grid.budget,
        envs=unique([problem.name for problem in grid.problems]),
        algos=names,
        reference=OURS[0] if OURS[0] in names else names[0],
        baselines=tuple(name for name in names if name not in ours),
        logged=unique([log.run.algo for log in logged]),
        distinct=tuple(contender.name for contender in grid.contenders if contender.distinct),
        decisions={problem.name: sum(len(spec.nvec) for spec in problem.specs) for problem in grid.problems},
        runs=tuple(runs),
        bounds=asdict(grid.bounds) if grid.bounds else {},
    )


def _run(
    cells: Sequence[Cell], out: Path, workers: int, progress: GridProgress
) -> Iterator[tuple[Cell, Failure | None]]:
    """Yields every cell as it finishes, with its failure if it failed."""
    _prepare(cells)
    with _one_thread():
        if workers > 1 and cells:
            yield from _run_on_processes(cells, out, min(workers, len(cells)), progress)
            return
        for cell in cells:
            yield cell, _attempt(cell, out, partial(progress.evaluated, cell))


def _run_on_processes(
    cells: Sequence[Cell], out: Path, workers: int, progress: GridProgress
) -> Iterator[tuple[Cell, Failure | None]]:
    context = multiprocessing.get_context("spawn")
    evaluated = context.Array("q", len(cells), lock=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(evaluated,))
    try:
        pending = {pool.submit(_attempt_in_worker, place, cell, out): place for place, cell in enumerate(cells)}
        while pending:
            for future in wait(pending, timeout=REFRESH_SECONDS, return_when=FIRST_COMPLETED).done:
                died = future.exception()
                yield cells[pending.pop(future)], Failure(_line(died)) if died else future.result()
            under_way = [place for place in pending.values() if evaluated[place]]
            if under_way:
                progress.evaluated(cells[under_way[0]], evaluated[under_way[0]], len(under_way) - 1)
    except BaseException:
        for process in list(pool._processes.values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(cell: Cell, out: Path, evaluated: Callable[[int], None]) -> Failure | None:
    try:
        run_cell(cell, out, evaluated)
    except MA2MLError as error:
        return Failure(_line(error))
    except Exception as error:  # a bug in one cell does not stop the others
        return Failure(_line(error), traceback.format_exc())
    return None


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _attempt_in_worker(place: int, cell: Cell, out: Path) -> Failure | None:
    return _attempt(cell, out, partial(_evaluated.__setitem__, place))


def _start_worker(evaluated: MutableSequence[int]) -> None:
    import torch

    global _evaluated
    _evaluated = evaluated
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver stops its workers
    end_with_driver()
    torch.set_num_threads(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limits torch to one thread here, and all libraries to one in processes started meanwhile."""
    import torch

    threads, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if variable is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = variable


def _prepare(cells: Sequence[Cell]) -> None:
    """Downloads the data of every environment once, before several processes need it."""
    for problem in {cell.problem.name: cell.problem for cell in cells}.values():
        evaluator = problem.entry.build().evaluator
        if isinstance(evaluator, Preparing):
            evaluator.prepare()
