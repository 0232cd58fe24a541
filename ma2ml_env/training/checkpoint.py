"""Checkpoints of a long training: tensors and plain values, written at once, never a pickle of objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ma2ml_env.files import replacing

SECONDS = 20.0


class BegunTraining(NamedTuple):
    """Training in a checkpoint.

    Attributes:
        pipeline: key of its pipeline.
        epochs: epochs of the whole training.
        epoch: epochs that are done.
        share: share of the images that it trains on.
    """

    pipeline: str
    epochs: int
    epoch: int
    share: float = 1.0


def begun_training(path: Path) -> BegunTraining | None:
    """Returns the final training of which a file is the checkpoint; None if there is none, or it is damaged."""
    if not path.exists():
        return None
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
        identity = document["identity"]
        epochs, done = int(identity["epochs"]), int(document["state"]["epoch"])
        return BegunTraining(str(identity["pipeline"]), epochs, done, float(identity.get("share", 1.0)))
    except Exception:  # as in `Checkpoint.load`
        return None


@dataclass
class Checkpoint:
    """File from which an interrupted training goes on.

    Attributes:
        path: the file; None for no checkpoints.
        identity: all that determines the training, as plain values; a file of another one is not used.
        seconds: least seconds between two writings.
    """

    path: Path | None
    identity: Mapping[str, Any]
    seconds: float = SECONDS
    _written: float = field(default_factory=time.monotonic)

    def load(self) -> dict[str, Any] | None:
        """Returns the state in the file, None if there is none of this training.

        A damaged file costs the time of its epochs only, so it counts as none.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            document = torch.load(self.path, map_location="cpu", weights_only=True)
            state: dict[str, Any] = document["state"]
            return state if document["identity"] == dict(self.identity) else None
        except Exception:  # torch and zipfile raise whatever the damage suggests
            return None

    def offer(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Writes the state that a function returns, unless the last one is too recent."""
        if self.path is None or time.monotonic() - self._written < self.seconds:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            torch.save({"identity": dict(self.identity), "state": dict(state())}, temporary)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Removes the file, if there is one."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
