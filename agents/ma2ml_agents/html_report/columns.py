"""Trials as columns of JSON values, in which lines of text that pipelines share stand once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

Columns = dict[str, Any]
NUMBERS = ("reward", "accuracy", "flops", "params", "seconds")
DIGITS = 6


def columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Returns trials as columns.

    Args:
        rows: rows of a trial log, as `TrialStore.rows` returns them.

    Returns:
        {column: values in the order of the rows}. `words` has the indices of a pipeline's lines in `lines`, `error` is
        an index in `lines`, or None; `reward`, `accuracy`, `flops`, `params` and `seconds` have six significant digits.
    """
    lines: dict[str, int] = {}

    def index(line: str) -> int:
        return lines.setdefault(line, len(lines))

    found: Columns = {name: [_rounded(row[name]) for row in rows] for name in NUMBERS}
    found |= {name: [row[name] for row in rows] for name in ("number", "seed", "key", "state")}
    found["curve"] = [[_rounded(value) for value in json.loads(row["curve"])] for row in rows]
    found["words"] = [[index(line) for line in row["pipeline"].splitlines() if line.strip()] for row in rows]
    found["error"] = [None if row["error"] is None else index(row["error"]) for row in rows]
    found["lines"] = list(lines)
    return found


def _rounded(value: float) -> float | int | None:
    """A number of `DIGITS` significant digits, which JSON can hold."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() else short
