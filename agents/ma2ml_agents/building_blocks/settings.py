"""Checks of learners' settings, with errors that say what would be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import yaml


def nearest(name: object, allowed: Iterable[str]) -> str:
    """A sentence that offers the nearest of `allowed`, or all of them if none is near."""
    known = sorted(allowed)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"choose from {known}"


def check_range(config: Any, low: float, high: float = math.inf, *, names: Iterable[str]) -> None:
    """Raise a ValueError if one of a config's numbers is not in [low, high].

    Args:
        config: a learner's settings.
        low: the least allowed value.
        high: the greatest allowed value.
        names: the fields to check.
    """
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not low <= value <= high:
            wanted = f"at least {low}" if high == math.inf else f"in [{low}, {high}]"
            raise ValueError(f"setting {name!r} must be a number {wanted}, not {value!r}")


def check_choice(config: Any, name: str, allowed: Iterable[str]) -> None:
    """Raise a ValueError if a config's text is none of `allowed`."""
    value, known = getattr(config, name), tuple(allowed)
    if value not in known:
        raise ValueError(f"setting {name!r} must not be {value!r}; {nearest(value, known)}")


def parse_setting(text: str) -> tuple[str, Any]:
    """A text NAME=VALUE as (name, value); the value is read as YAML, hyphens of the name as underscores.

    Raises:
        ValueError: for another form.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set takes NAME=VALUE, not {text!r}")
    try:
        return name.replace("-", "_"), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"--set takes NAME=VALUE with a YAML value, not {text!r}") from error
