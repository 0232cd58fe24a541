"""Learner checkpoints, written atomically: a shortcut for replaying the trials."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ma2ml_env.errors import MA2MLError

FILE = "learner.pt"


@dataclass(frozen=True)
class Checkpoint:
    """State of a search just after an update of its learner.

    Attributes:
        origin: fingerprint of the search before the learner's first update.
        updates: number of updates of the learner.
        proposals: pending joint actions, proposed but not yet learned from, {number: {agent: indices}}.
        learner: the learner's `state_dict`.
    """

    origin: str
    updates: int
    proposals: dict[int, dict[str, list[int]]]
    learner: dict[str, Any]


def fingerprint(state: Mapping[str, Any], *others: object) -> str:
    """Returns a digest of a learner's state and of what else determines a search.

    Args:
        state: the learner's `state_dict`; equal states have equal digests under one version of torch.
        *others: other objects, compared by their `repr`.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return hashlib.sha256(buffer.getvalue() + repr(others).encode()).hexdigest()[:16]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Replaces the folder's checkpoint atomically: a crash leaves either the old one or the new one."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{FILE}.new"
    with temporary.open("wb") as file:
        torch.save(vars(checkpoint), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)


def remove(folder: Path) -> None:
    """Removes the folder's checkpoint, if there is one."""
    (folder / FILE).unlink(missing_ok=True)


def load(folder: Path) -> Checkpoint | None:
    """Returns the folder's checkpoint, None if there is none.

    Raises:
        ValueError: if it is damaged.
    """
    import torch

    path = folder / FILE
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not compare checksums
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(damaged)
        return Checkpoint(**torch.load(path, weights_only=True))
    except Exception as error:
        raise MA2MLError(f"the checkpoint {path} is damaged ({type(error).__name__})") from error
