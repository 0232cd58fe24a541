"""Early stopping of trainings by thresholds on validation accuracy, computed from earlier learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ma2ml_env.errors import MA2MLError, nearest


class Pruner(Protocol):
    """Decides, from validation accuracy after each epoch, whether to stop a training early.

    Thresholds are fixed when a training begins, so that decisions do not depend on concurrent trainings.

    Source: Optuna's pruners.
    """

    def thresholds(self, curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """Returns one threshold per epoch, from the first.

        Args:
            curves: validation accuracies after each epoch of the complete trainings so far, in order.

        Returns:
            Thresholds below which a training is stopped after that epoch; NaN and missing ones stop none.
        """


@dataclass(frozen=True)
class QuantilePruner:
    """Prunes a training if its accuracy is below a quantile of earlier trainings at the same epoch.

    Args:
        quantile: quantile in (0, 1); 0.5 is the median rule.
        warmup_trials: number of complete trainings before any is stopped, at least 1.
        epochs: epochs after which trainings are compared; None for every epoch but the last.

    Raises:
        ValueError: for a value out of range.

    Source: Golovin et al., "Google Vizier", the median stopping rule; with epochs that double and quantiles of
        1 - 1/eta it is asynchronous successive halving.
    """

    quantile: float = 0.5
    warmup_trials: int = 20
    epochs: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise MA2MLError(f"quantile must be between 0 and 1, not {self.quantile}")
        if self.warmup_trials < 1 or any(epoch < 1 for epoch in self.epochs or ()):
            raise MA2MLError("warmup_trials and epochs must be at least 1")

    def thresholds(self, curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """Returns one threshold per epoch."""
        if len(curves) < self.warmup_trials:
            return ()
        last = max(len(curve) for curve in curves)
        looked_at = range(1, last) if self.epochs is None else self.epochs
        found = [float("nan")] * (last - 1)
        for epoch in looked_at:
            reached = [curve[epoch - 1] for curve in curves if len(curve) >= epoch]
            if epoch < last and reached:
                found[epoch - 1] = float(np.quantile(reached, self.quantile))
        return tuple(found)


PRUNERS = {
    "quartile": QuantilePruner(0.25),
    "median": QuantilePruner(0.5),
    "halving": QuantilePruner(0.5, epochs=tuple(2**rung for rung in range(12))),
}


def make_pruner(name: str) -> Pruner | None:
    """Makes a pruner.

    Args:
        name: `"none"`, or a key of `PRUNERS`: `"quartile"` and `"median"` compare after every epoch, `"halving"`
            after epochs that double.

    Raises:
        ValueError: for another name.
    """
    if name == "none":
        return None
    if name not in PRUNERS:
        raise MA2MLError(f"unknown pruner {name!r}; {nearest(name, ['none', *PRUNERS])}")
    return PRUNERS[name]
