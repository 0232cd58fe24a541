"""Where the numbers of a search go beside its own folder: Weights & Biases, TensorBoard."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ma2ml_env.errors import MA2MLError, UnknownNameError, missing_extra, nearest


class Logger(Protocol):
    """Receives named numbers.

    Source: ours.
    """

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers; `step` is the number of pipelines evaluated so far."""

    def close(self) -> None:
        """Write what is left."""


class WandbLogger:
    """Weights & Biases; offline with `WANDB_MODE=offline`, its files lie in the run's folder.

    Args:
        folder: of the run; a resumed run continues under the same id.
        config: what to show as the run's configuration.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        import wandb

        run_id = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        self._run = wandb.init(
            project="ma2ml", id=run_id, name=folder.name, dir=str(folder), config=dict(config), resume="allow"
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class TensorBoardLogger:
    """TensorBoard event files in the run's folder.

    Args:
        folder: of the run.
        config: shown as text.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("config", str(dict(config)))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()


LOGGERS: dict[str, type[WandbLogger] | type[TensorBoardLogger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
}


def check_loggers(names: Sequence[str]) -> None:
    """Make sure that these loggers exist and their libraries are installed, before anything is written.

    Raises:
        ValueError: for an unknown name, one given twice, or a library that is not installed.
    """
    for name in names:
        if name not in LOGGERS:
            raise UnknownNameError(f"unknown logger {name!r}; {nearest(name, LOGGERS)}")
        if names.count(name) > 1:
            raise MA2MLError(f"logger {name!r} is given twice")
        if importlib.util.find_spec(name) is None:
            raise missing_extra(f"logger {name!r} needs a library", name)


def make_loggers(names: Sequence[str], folder: Path, config: Mapping[str, Any]) -> list[Logger]:
    """Start the loggers of these names; raises as `check_loggers` does."""
    check_loggers(names)
    return [LOGGERS[name](folder, config) for name in names]
