"""CSV files that experiments append to, so that an interrupted one goes on."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def append_rows(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Appends rows to a CSV file, compressed if it ends in `.xz`; a new one begins with the names of its columns."""
    new = not file.exists() or not file.stat().st_size
    opened = lzma.open if file.suffix == ".xz" else open
    with opened(file, "at", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        if new:
            writer.writerow(columns)
        writer.writerows(rows)


def finished(file: Path, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    """Returns the values of some columns in every row of a CSV file; empty if there is no file."""
    return set() if not file.exists() else set(pd.read_csv(file)[list(columns)].itertuples(index=False, name=None))
