"""Index of a results page: its runs, and the algorithms to compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.files import write_text

INDEX_FILE = "index.json"


@dataclass(frozen=True)
class Run:
    """Position of a run in the tables.

    Attributes:
        env: the environment's name.
        algo: the algorithm's name.
        seed: seed of the run.
        folder: its folder within the benchmark's `cells`.
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
        baselines: the algorithms whose best sets the target.
        logged: the algorithms whose runs were read from the trial logs of another library's training.
        distinct: the algorithms whose settings exclude known pipelines.
        decisions: {environment: number of decisions of a joint action}, where known.
        runs: all runs of the grid, finished or not.
        bounds: fields of the bounds on cost; empty without any.
    """

    budget: int
    envs: tuple[str, ...]
    algos: tuple[str, ...]
    reference: str
    baselines: tuple[str, ...]
    logged: tuple[str, ...]
    distinct: tuple[str, ...]
    decisions: Mapping[str, int]
    runs: tuple[Run, ...]
    bounds: Mapping[str, float | None] = field(default_factory=dict)


def write_index(out: Path, index: Index) -> None:
    """Writes an index beside the runs that it lists."""
    write_text(out / INDEX_FILE, json.dumps(asdict(index), indent=1) + "\n")


def read_index(out: Path) -> Index:
    """Returns the index of a benchmark's folder.

    Raises:
        MA2MLError: if there is none, or it is damaged.
    """
    path = out / INDEX_FILE
    if not path.exists():
        raise MA2MLError(f"{out} contains no benchmark: it lacks {INDEX_FILE}")
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        runs = tuple(Run(**run) for run in stored.pop("runs"))
        lists = {name: tuple(stored.pop(name)) for name in ("envs", "algos", "baselines")}
        lists |= {name: tuple(stored.pop(name, ())) for name in ("logged", "distinct")}  # older versions lack them
        return Index(**{"decisions": {}, **stored, **lists, "runs": runs})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); rerun the benchmark's command to rewrite it") from error


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the deduplicated names, in order."""
    return tuple(dict.fromkeys(names))
