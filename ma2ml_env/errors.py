"""Errors of this package: one family, so that a user's mistake can be distinguished from a bug."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

LISTED = 24
"""Choices are listed beside a suggestion where there are at most this many."""


class MA2MLError(ValueError):
    """A mistake in an argument, an option or a file; the message states what was given and what is allowed.

    Base class of all errors that this package raises on purpose. Commands print it as one line; any other
    exception is a bug and shows its traceback.
    """


class UnknownNameError(MA2MLError):
    """No such environment, learner, part, setting, decision or choice."""


class MissingExtraError(MA2MLError, ImportError):
    """An optional library is not installed; the message names the extra that installs it."""


class MissingDataError(MA2MLError):
    """Examples or tables that have to be downloaded are not there."""


class DamagedFileError(MA2MLError):
    """A file cannot be read, or does not hold what its format requires."""


class TrialLogError(MA2MLError):
    """A trial log cannot be used; the message states the reason. What it holds is untouched."""


class UnsupportedError(MA2MLError):
    """The environment, evaluator or model lacks a required ability."""


def nearest(name: object, names: Iterable[object]) -> str:
    """Sentence that suggests the nearest of `names`, upper and lower case alike, and lists them.

    A long list is left out beside a suggestion.

    Args:
        name: the unknown name.
        names: the known ones.
    """
    known = sorted(map(str, names))
    if not known:
        return "there is none to choose from"
    folded = {text.lower(): text for text in reversed(known)}
    close = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.5)
    if not close:
        return f"choose from {known}"
    listed = f" Choose from {known}" if len(known) <= LISTED else ""
    return f"did you mean {folded[close[0]]!r}?{listed}"


def require_known(name: str, names: Collection[str], what: str) -> None:
    """Checks that a name is one of those allowed.

    Args:
        name: as given.
        names: those allowed.
        what: the kind of thing they name, for the message.

    Raises:
        UnknownNameError: if it is not, with the nearest one.
    """
    if name not in names:
        raise UnknownNameError(f"unknown {what} {name!r}; {nearest(name, names)}")


def require_range(name: str, value: float, least: float, most: float) -> None:
    """Checks that a number is in [least, most].

    Raises:
        MA2MLError: if it is not, or is no number.
    """
    if not isinstance(value, int | float) or not least <= value <= most:
        low, high = (f"{bound:,}" if isinstance(bound, int) else f"{bound:.4g}" for bound in (least, most))
        raise MA2MLError(f"{name} must be in {low}..{high}, not {value!r}")


def missing_extra(needs: str, extra: str) -> MissingExtraError:
    """Error for an optional library that is not installed.

    Args:
        needs: the part of the sentence before the command, such as `"the ray executor needs Ray"`.
        extra: extra of the distribution `ma2ml-env`.
    """
    return MissingExtraError(f"{needs}: pip install 'ma2ml-env[{extra}]'")


__all__ = [
    "DamagedFileError",
    "MA2MLError",
    "MissingDataError",
    "MissingExtraError",
    "TrialLogError",
    "UnknownNameError",
    "UnsupportedError",
    "missing_extra",
    "nearest",
    "require_known",
    "require_range",
]
