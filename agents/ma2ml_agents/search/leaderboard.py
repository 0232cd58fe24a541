"""Leaderboard: the best distinct pipelines of a search as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.table import Table

from ma2ml_agents.search.finalists import Finalist
from ma2ml_env import Trial
from ma2ml_env.files import write_text
from ma2ml_env.trials import top_k

LEADERBOARD_FILE = "leaderboard.csv"
ROWS = 10


@dataclass(frozen=True)
class Standing:
    """One pipeline on a leaderboard.

    Attributes:
        rank: from 1.
        trial: number of its earliest trial in the search.
        reward: reward of that trial.
        accuracy: accuracy of that trial, which is partly luck, since it selected the pipeline.
        expected_accuracy: estimate from evaluations under other seeds; None for a pipeline that is no finalist.
        low: lower end of its interval, which contains the truth with a probability of 95 %; None if not known.
        high: upper end of the interval.
        flops: multiply-accumulates of one image.
        params: trainable parameters.
        seconds: of its evaluation in the search.
        trials: number of its evaluations, all seeds together.
        key: key of the pipeline.
    """

    rank: int
    trial: int
    reward: float
    accuracy: float
    expected_accuracy: float | None
    low: float | None
    high: float | None
    flops: float
    params: float
    seconds: float
    trials: int
    key: str


def leaderboard(trials: Sequence[Trial], k: int = ROWS, finalists: Sequence[Finalist] = ()) -> list[Standing]:
    """Returns the best distinct pipelines of a search that did not fail, best first.

    Finalists come first, in their own order: their rewards were confirmed, those of the others are luckier than they
    look.

    Args:
        trials: trials of the search.
        k: number of pipelines, at least 1.
        finalists: from `run_finalists`, best first.
    """
    complete = [trial for trial in trials if not trial.result.failed]
    again = {finalist.trial.pipeline.key: finalist for finalist in finalists}
    others = [trial for trial in top_k(complete, k + len(again)) if trial.pipeline.key not in again]
    ranked = [*(finalist.trial for finalist in finalists), *others][:k]
    return [_standing(rank, trial, again.get(trial.pipeline.key)) for rank, trial in enumerate(ranked, start=1)]


def _standing(rank: int, trial: Trial, finalist: Finalist | None) -> Standing:
    result, said = trial.result, finalist.accuracy if finalist else None
    return Standing(
        rank=rank,
        trial=trial.number,
        reward=trial.reward,
        accuracy=result.accuracy,
        expected_accuracy=said.expected if said else None,
        low=said.low if said else None,
        high=said.high if said else None,
        flops=result.flops,
        params=result.params,
        seconds=result.seconds,
        trials=1 + len(finalist.again if finalist else ()),
        key=trial.pipeline.key,
    )


def save_leaderboard(rows: Sequence[Standing], folder: Path) -> Path:
    """Writes `leaderboard.csv`, a column for each attribute of `Standing`; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Standing)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_text(folder / LEADERBOARD_FILE, text.getvalue())
    return folder / LEADERBOARD_FILE


def leaderboard_table(rows: Sequence[Standing], caption: str = "") -> Table:
    """Returns the leaderboard for a console; costs that mean nothing, 0 throughout, are left out.

    Args:
        rows: the pipelines.
        caption: what accuracies are to be compared with, for the title.
    """
    title = f"leaderboard ({caption})" if caption else "leaderboard"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    columns = {
        "rank": [str(one.rank) for one in rows],
        "pipeline": [str(one.trial) for one in rows],
        "reward": [f"{one.reward:.4f}" for one in rows],
        "observed": [f"{one.accuracy:.2%}" for one in rows],
        "expected accuracy": [_interval(one) for one in rows],
        "MFLOPs": [f"{one.flops / 1e6:.2f}" if one.flops else "" for one in rows],
        "k params": [f"{one.params / 1e3:.1f}" if one.params else "" for one in rows],
        "seconds": [f"{one.seconds:.1f}" for one in rows],
        "evaluations": [str(one.trials) for one in rows],
    }
    for name, cells in columns.items():
        if any(cells):
            table.add_column(name, justify="right", no_wrap=True)
    for row in zip(*(cells for cells in columns.values() if any(cells)), strict=True):
        table.add_row(*row)
    return table


def _interval(row: Standing) -> str:
    if row.expected_accuracy is None:
        return ""
    ends = "" if row.low is None or row.high is None else f" ({row.low:.2%} to {row.high:.2%})"
    return f"{row.expected_accuracy:.2%}{ends}"
