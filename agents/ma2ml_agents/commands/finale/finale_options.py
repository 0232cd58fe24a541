"""Options of `ma2ml train` for what follows the search, and durations as people write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ma2ml_env.errors import MA2MLError

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PARTS = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)")


@dataclass(frozen=True)
class FinaleOptions:
    """Finalists: the best pipelines of the search, evaluated again so that the winner is not the luckiest."""

    finalists: int | None = None
    """Number of finalists; 0 for none, so that the highest observed reward wins. By default up to 5, as many as a
    twentieth of the budget pays for. Their evaluations are part of the budget."""
    finalist_trials: int | None = None
    """Evaluations of each finalist, under other seeds than the search's. By default up to 3, as many as a twentieth of
    the budget pays for, and 2 with --finalists."""


def duration_seconds(text: str) -> float:
    """Returns the seconds of a duration.

    Args:
        text: seconds, or numbers with units: `90s`, `30m`, `2h`, `1h30m`, `1d`.

    Raises:
        MA2MLError: for another text, or a duration that is not above 0.
    """
    compact = text.replace(" ", "").lower()
    parts = PARTS.findall(compact)
    units = [unit for _, unit in parts]
    readable = "".join(number + unit for number, unit in parts) == compact and bool(parts)
    if not readable or len(set(units)) < len(units) or (len(units) > 1 and "" in units):
        raise MA2MLError(f"time_limit must be a duration such as 90s, 30m, 2h, 1h30m or seconds, not {text!r}")
    seconds = math.fsum(float(number) * UNITS[unit] for number, unit in parts)
    if not seconds > 0:
        raise MA2MLError(f"time_limit must be above 0 seconds, not {text!r}")
    return seconds
