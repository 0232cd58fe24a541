"""Evaluations of many runs in one small text file: CSV, compressed with xz."""

from __future__ import annotations

import csv
import json
import lzma
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.types import Result, Trial

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
FACTS = ("accuracy", "curve", "flops", "params", "seconds", "error")


def write_evaluations(path: str | Path, env: AutoMLEnv, runs: Mapping[str, Sequence[Trial]]) -> None:
    """Writes the trials of some runs, one line each.

    The first line is a comment, `# ` and JSON with the environment's id and definition; then come run, number, seed,
    one column per agent (a digit 0-9a-z per decision), accuracy, curve, flops, params, seconds, error.

    Args:
        path: path of the file.
        env: environment of the evaluations.
        runs: by name.

    Raises:
        ValueError: if a decision has more than 36 choices.
    """
    if any((space.nvec > len(DIGITS)).any() for space in env.search_spaces.values()):
        raise MA2MLError(f"a table has one digit per decision, so a decision has at most {len(DIGITS)} choices")
    text = StringIO()
    text.write(f"# {json.dumps({'env': env.name, 'definition': env.definition})}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "number", "seed", *env.possible_agents, *FACTS])
    for name, trials in runs.items():
        writer.writerows(_row(env, name, trial) for trial in trials if not trial.result.infeasible)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(lzma.compress(text.getvalue().encode(), preset=9 | lzma.PRESET_EXTREME))


def read_evaluations(path: str | Path, env: AutoMLEnv) -> dict[str, list[Trial]]:
    """The trials of a file that `write_evaluations` wrote, by run.

    Args:
        path: path of the file.
        env: environment of the evaluations; it computes the rewards.

    Raises:
        ValueError: if the file cannot be read or is damaged, or its trials are of another definition.
    """
    try:
        head, _, body = lzma.decompress(Path(path).read_bytes()).decode().partition("\n")
        facts = json.loads(head.removeprefix("# "))
        definition = facts["definition"]
        rows = list(csv.DictReader(StringIO(body)))
    except OSError as error:
        raise MA2MLError(f"cannot read the table {path}: {error.strerror}") from error
    except (lzma.LZMAError, UnicodeDecodeError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise DamagedFileError(f"{path} is damaged or not a table of evaluations: {error!r}") from error
    if definition != env.definition:
        raise MA2MLError(
            f"{path} holds evaluations of the definition {definition}, {env.name} is {env.definition}: "
            "its decisions or its training differ"
        )
    runs: dict[str, list[Trial]] = {}
    for line, row in enumerate(rows, start=3):
        try:
            runs.setdefault(row["run"], []).append(_trial(env, row))
        except (KeyError, TypeError, ValueError) as error:
            raise MA2MLError(f"{path}, line {line}: not an evaluation of {env.name}: {error!r}") from error
    return runs


def _row(env: AutoMLEnv, run: str, trial: Trial) -> list[Any]:
    result = trial.result
    actions = ["".join(DIGITS[index] for index in trial.pipeline.action[agent]) for agent in env.possible_agents]
    curve = " ".join(map(repr, result.curve))
    outcome = [result.accuracy, curve, int(result.flops), int(result.params), round(result.seconds, 3)]
    return [run, trial.number, trial.seed, *actions, *outcome, result.error or ""]


def _trial(env: AutoMLEnv, row: Mapping[str, str]) -> Trial:
    pipeline = env.decode({agent: [DIGITS.index(digit) for digit in row[agent]] for agent in env.possible_agents})
    result = Result(
        accuracy=float(row["accuracy"]),
        flops=float(row["flops"]),
        params=float(row["params"]),
        seconds=float(row["seconds"]),
        error=row["error"] or None,
        curve=tuple(map(float, row["curve"].split())),
    )
    return Trial(int(row["number"]), int(row["seed"]), pipeline, result, float(env.reward(result)))
