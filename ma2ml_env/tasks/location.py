"""Location of image files, and the error for missing ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ma2ml_env.errors import MissingDataError

VARIABLE = "MA2ML_DATA"
DEFAULT = "~/.cache/ma2ml"
SHOWN = 6


def data_folder(root: str | None, below: str = "") -> Path:
    """The folder in which a task's files lie.

    Args:
        root: that folder, as the user gave it; None for the usual place.
        below: a subfolder of the usual place.

    Raises:
        MissingDataError: if that is in a home folder and there is none.

    Returns:
        `root`, else `below` in the folder that the environment variable `MA2ML_DATA` names, else in `~/.cache/ma2ml`.
    """
    place = Path(root) if root is not None else Path(os.environ.get(VARIABLE) or DEFAULT, below)
    try:
        return place.expanduser()
    except RuntimeError as error:
        raise MissingDataError(
            f"there is no home folder to find {place} in: name a folder of data by the setting root or by the "
            f"environment variable {VARIABLE}"
        ) from error


def shortened(items: Iterable[str]) -> str:
    """A few of `items` and how many more there are, for a message."""
    listed = list(items)
    more = f" and {len(listed) - SHOWN:,} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def missing(what: str, folder: Path, expected: Iterable[str], how: str) -> MissingDataError:
    """The error for files that are not there.

    Args:
        what: the data set.
        folder: folder that was searched.
        expected: the missing files or folders, relative to `folder`.
        how: instructions to get them.
    """
    return MissingDataError(
        f"{what} is not complete in {folder}: missing {shortened(expected)}. {how} "
        f"Another folder is named by the setting root, or for all data sets by the environment variable {VARIABLE}."
    )
