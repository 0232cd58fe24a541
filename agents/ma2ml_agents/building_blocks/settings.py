"""Validation of learners' settings, with errors that state the allowed values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest

EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Pattern of numbers such as 4e5, which YAML 1.1 reads as text."""


def check_range(config: Any, low: float, high: float = math.inf, *, names: Iterable[str]) -> None:
    """Raises a ValueError if one of a config's numbers is not in [low, high].

    Args:
        config: a learner's settings.
        low: lowest allowed value.
        high: highest allowed value.
        names: the fields to check.
    """
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not low <= value <= high:
            wanted = f"at least {low}" if high == math.inf else f"in [{low}, {high}]"
            raise MA2MLError(f"setting {name!r} must be a number {wanted}, not {value!r}")


def check_choice(config: Any, name: str, allowed: Iterable[str]) -> None:
    """Raises a ValueError if a config's text is none of `allowed`."""
    value, known = getattr(config, name), tuple(allowed)
    if value not in known:
        raise UnknownNameError(f"setting {name!r} must not be {value!r}; {nearest(value, known)}")
