"""The index of a results page: its runs, and the algorithms that they are compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.files import write_text

INDEX_FILE = "index.json"


@dataclass(frozen=True)
class Run:
    """A run by its place in the tables.

    Attributes:
        env: the environment's name.
        algo: the algorithm's name.
        seed: of the run.
        folder: where it is, within the benchmark's `cells`.
    """

    env: str
    algo: str
    seed: int
    folder: str


@dataclass(frozen=True)
class Index:
    """The index of a results page.

    Attributes:
        budget: evaluated pipelines per run.
        envs: names of the environments, in the order of the tables.
        algos: names of the algorithms, in the order of the tables.
        reference: the algorithm whose probability of improvement over the others is reported.
        baselines: the algorithms the best of which sets the target.
        logged: the algorithms with runs that were read from trial logs, as another library drove them.
        runs: all runs of the grid, finished or not.
    """

    budget: int
    envs: tuple[str, ...]
    algos: tuple[str, ...]
    reference: str
    baselines: tuple[str, ...]
    logged: tuple[str, ...]
    runs: tuple[Run, ...]


def write_index(out: Path, index: Index) -> None:
    """Writes an index beside the runs that it names."""
    write_text(out / INDEX_FILE, json.dumps(asdict(index), indent=1) + "\n")


def read_index(out: Path) -> Index:
    """Returns the index of a benchmark's folder.

    Raises:
        MA2MLError: if there is none, or it is damaged.
    """
    path = out / INDEX_FILE
    if not path.exists():
        raise MA2MLError(f"{out} holds no benchmark: there is no {INDEX_FILE} in it")
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        runs = tuple(Run(**run) for run in stored.pop("runs"))
        lists = {name: tuple(stored.pop(name)) for name in ("envs", "algos", "baselines")}
        lists["logged"] = tuple(stored.pop("logged", ()))  # older versions did not write it
        return Index(**{**stored, **lists, "runs": runs})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); the benchmark's command writes it anew") from error


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names without repetition, in their order."""
    return tuple(dict.fromkeys(names))
