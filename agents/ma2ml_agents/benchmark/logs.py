"""Trial logs written by an environment during another library's training, as one more algorithm."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ma2ml_agents.benchmark.cell import CELLS_FOLDER, save_run
from ma2ml_agents.benchmark.grid import Grid, Problem
from ma2ml_agents.benchmark.index import Run
from ma2ml_env import AutoMLEnv, Trial, registry
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import TrialStore

SHOWN_SEEDS = 5


@dataclass(frozen=True)
class LoggedRun:
    """A trial log and the environment of the grid that wrote it.

    Attributes:
        run: its position in the tables; the seed numbers the files of one environment.
        env: the environment.
        trials: its first trials, as many as the budget allows.
        file: the log.
        read: number of trials in it.
    """

    run: Run
    env: AutoMLEnv
    trials: Sequence[Trial]
    file: Path
    read: int

    def __str__(self) -> str:
        """One-line summary of the log."""
        seeds = sorted({trial.seed for trial in self.trials})
        more = f" and {len(seeds) - SHOWN_SEEDS} more" if len(seeds) > SHOWN_SEEDS else ""
        return (
            f"{self.file}: {self.run.algo} on {self.run.env}, {self.read} trials read, {len(self.trials)} used, "
            f"environment seeds {', '.join(map(str, seeds[:SHOWN_SEEDS]))}{more}"
        )

    def save(self, out: Path) -> None:
        """Saves the log beside the benchmark's own runs."""
        save_run(self.env, self.trials, None, out / CELLS_FOLDER / self.run.folder)


def parse_logs(texts: Sequence[str]) -> dict[str, list[Path]]:
    """Returns `NAME=PATTERN` texts as {name: files}.

    Raises:
        MA2MLError: for text of another form, or a pattern that matches no file.
    """
    logs: dict[str, list[Path]] = {}
    for text in texts:
        name, equals, pattern = text.partition("=")
        if not (name and equals and pattern):
            raise MA2MLError(f"--logs requires NAME=FILES, such as mine=runs/*.db, not {text!r}")
        files = sorted(Path(file) for file in glob.glob(pattern))
        if not files:
            raise MA2MLError(f"--logs {name}: there is no file {pattern}")
        logs.setdefault(name, []).extend(files)
    return logs


def read_logs(logs: Mapping[str, Sequence[Path]], grid: Grid) -> list[LoggedRun]:
    """Reads trial logs, one run each, and finds the grid's environment of each.

    Args:
        logs: {algorithm's name: files}.
        grid: names the environments and the budget.

    Raises:
        MA2MLError: for a name that the grid already has, and a log that cannot be read, is empty, or belongs to no
            environment of the grid or to several.
    """
    found: list[LoggedRun] = []
    for name, files in logs.items():
        if name in [contender.name for contender in grid.contenders]:
            raise MA2MLError(f"algorithm {name!r} is already in the grid; rename the logs")
        count: dict[str, int] = {}
        for file in files:
            problem, env, trials = _match(file, grid.problems)
            seed = count.setdefault(problem.name, 0)
            count[problem.name] += 1
            digest = hashlib.sha256(f"{name}\n{problem.name}".encode()).hexdigest()[:10]
            folder = re.sub(r"[^\w.-]+", "_", f"log-{name}-{problem.name}-{seed}-{digest}")
            run = Run(problem.name, name, seed, folder)
            found.append(LoggedRun(run, env, trials[: grid.budget], file, len(trials)))
    return found


def _match(file: Path, problems: Sequence[Problem]) -> tuple[Problem, AutoMLEnv, list[Trial]]:
    """Returns the environment whose definition and rewards match a log, and the log's trials."""
    _check(file)
    matches, reasons = [], []
    for problem in problems:
        env = problem.entry.build()
        try:
            matches.append((problem, env, _trials(file, env)))
        except MA2MLError as error:
            reasons.append(f"{problem.name}: {error}")
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = [problem.name for problem, _, _ in matches]
        raise MA2MLError(f"{file} matches each of {names}: it lacks a definition; compare them one by one")
    raise MA2MLError(f"{file} matches no environment of this grid; {_origin(file)}\n  " + "\n  ".join(reasons))


def _check(file: Path) -> None:
    """Checks that a file is the trial log of a single environment."""
    store = TrialStore(file)
    try:
        definitions = {row["definition"] for row in store.rows()}
    finally:
        store.close()
    if not definitions:
        raise MA2MLError(f"{file} contains no trials")
    definitions.discard("")  # not known
    if len(definitions) > 1:
        raise MA2MLError(f"{file} contains trials of {len(definitions)} environments; a file must be one run")


def _origin(file: Path) -> str:
    """Returns a sentence that names the registered environments that match a log."""
    names = []
    for env_id in registry.env_ids():
        with suppress(MA2MLError):
            _trials(file, registry.entry(env_id).build())
            names.append(env_id)
    if names:
        return f"under default settings it matches {' or '.join(names)}"
    return "if it was written under other settings of the environment, pass them with --set or in a grid file"


def _trials(file: Path, env: AutoMLEnv) -> list[Trial]:
    """Returns a log's trials, if they belong to an environment."""
    store = TrialStore(file, env.definition)
    try:
        trials = store.load(env.decode)
    finally:
        store.close()
    for trial in trials:
        reward = float(env.reward(trial.result))
        if reward != trial.reward:
            raise MA2MLError(f"trial {trial.number} has reward {trial.reward} in the log, but {reward} here")
    return trials
