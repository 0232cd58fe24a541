"""Loggers of a search's metrics: Weights & Biases, TensorBoard."""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError, UnknownNameError, missing_extra, nearest
from ma2ml_env.files import write_text

LOGIN_SECONDS = 15


class Logger(Protocol):
    """Protocol of loggers of named numbers.

    Attributes:
        last_step: last step logged by an earlier session of the run, -1 if there is none.
    """

    last_step: int

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs numbers; `step` is the number of pipelines evaluated so far."""

    def image(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Logs an RGB image, (height, width, 3)."""

    def close(self) -> None:
        """Flushes and closes the logger."""


class WandbLogger:
    """Weights & Biases logger; its files are in the run's folder, and with `WANDB_MODE=offline` stay there.

    Args:
        folder: folder of the run; stores the id under which a resumed run continues.
        config: configuration to show.
    """

    ID_FILE: ClassVar[str] = "wandb_id"

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        import wandb

        kept = folder / self.ID_FILE
        if not kept.exists():
            write_text(kept, secrets.token_hex(6))
        run_id = kept.read_text(encoding="utf-8")
        self._run = wandb.init(
            project="ma2ml", id=run_id, name=folder.name, dir=str(folder), config=dict(config), resume="allow"
        )
        self.last_step = self._run.step - 1

    @staticmethod
    def check() -> None:
        """Raises an error if numbers cannot be sent, for lack of a key or a network."""
        if os.environ.get("WANDB_MODE", "online") not in ("online", "shared"):
            return
        import wandb

        try:
            wandb.login(verify=True, timeout=LOGIN_SECONDS)
        except wandb.errors.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise MA2MLError(f"wandb cannot be used ({reason}); WANDB_MODE=offline logs without it") from error

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs numbers at a step."""
        self._run.log(dict(numbers), step=step)

    def image(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Logs an image at a step."""
        import wandb

        self._run.log({name: wandb.Image(pixels)}, step=step)

    def close(self) -> None:
        """Finishes the run."""
        self._run.finish()


class TensorBoardLogger:
    """TensorBoard logger, with event files in the run's folder.

    Args:
        folder: folder of the run.
        config: configuration to show as text.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        events = folder / "tensorboard"
        self.last_step = _last_step(events)
        self._writer = SummaryWriter(str(events))
        if self.last_step < 0:
            self._writer.add_text("config", str(dict(config)))

    @staticmethod
    def check() -> None:
        """Does nothing, since only the library is required."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs numbers at a step."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Logs an image at a step."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        """Flushes and closes the files."""
        self._writer.close()


def _last_step(events: Path) -> int:
    """Last step of the scalars in a folder of event files, -1 if there are none."""
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    if not events.exists():
        return -1
    found = EventAccumulator(str(events), size_guidance={SCALARS: 1})
    found.Reload()
    steps = [event.step for tag in found.Tags()[SCALARS] for event in found.Scalars(tag)]
    return max(steps, default=-1)


LOGGERS: dict[str, type[WandbLogger] | type[TensorBoardLogger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
}
"""{name: class}; the library and the extra that installs it share the name."""


def check_loggers(names: Sequence[str]) -> None:
    """Checks that loggers can be used, before anything is written.

    Raises:
        UnknownNameError: for an unknown name.
        MissingExtraError: for a library that is not installed.
        MA2MLError: for a duplicate, and for wandb without a key or a network.
    """
    for name in names:
        if name not in LOGGERS:
            raise UnknownNameError(f"unknown logger {name!r}; {nearest(name, LOGGERS)}")
        if names.count(name) > 1:
            raise MA2MLError(f"logger {name!r} is requested twice; request it once")
        if importlib.util.find_spec(name) is None:
            raise missing_extra(f"logger {name!r} requires a library", name)
        LOGGERS[name].check()


class SearchLog:
    """Sends numbers to loggers; one that fails is disabled, and the search continues.

    Args:
        names: names of the loggers, as checked by `check_loggers`.
        folder: folder of the run.
        config: configuration to show.
        notice: receives a message for the user when a logger is disabled.
    """

    def __init__(
        self, names: Sequence[str], folder: Path, config: Mapping[str, Any], notice: Callable[[str], None]
    ) -> None:
        self._notice = notice
        self._loggers: dict[str, Logger] = {}
        for name in names:
            self._guard(name, partial(self._start, name, folder, config))

    def __bool__(self) -> bool:
        return bool(self._loggers)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs numbers, unless an earlier session has logged this step."""
        for name, logger in list(self._loggers.items()):
            if step > logger.last_step:
                self._guard(name, partial(logger.log, step, numbers))

    def image(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Logs an RGB image, (height, width, 3), unless an earlier session has logged this step."""
        for logger_name, logger in list(self._loggers.items()):
            if step > logger.last_step:
                self._guard(logger_name, partial(logger.image, step, name, pixels))

    def close(self) -> None:
        """Closes the loggers that have not failed."""
        for name, logger in list(self._loggers.items()):
            self._guard(name, logger.close)

    def _start(self, name: str, folder: Path, config: Mapping[str, Any]) -> None:
        self._loggers[name] = LOGGERS[name](folder, config)

    def _guard(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # another project's code, whose failure must not end a search
            self._loggers.pop(name, None)
            self._notice(f"logger {name!r} failed and is disabled ({type(error).__name__}: {error})")
