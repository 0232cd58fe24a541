"""Callbacks of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ma2ml_env import Trial


@dataclass
class Callbacks:
    """Callbacks invoked during a search.

    Attributes:
        on_trial: receives (trial, whether it was evaluated in this session), in the order in which trials finish; a
            resumed search passes the stored ones again.
        on_update: receives (updates so far, the batch's trials in order, the learner's numbers).
        on_notice: receives a message that the user should read.
    """

    on_trial: Callable[[Trial, bool], None] = lambda trial, fresh: None
    on_update: Callable[[int, Sequence[Trial], dict[str, float]], None] = lambda updates, trials, numbers: None
    on_notice: Callable[[str], None] = lambda notice: None

    def chained(self, other: Callbacks) -> Callbacks:
        """Returns callbacks that invoke these, then those of `other`."""

        def on_trial(trial: Trial, fresh: bool) -> None:
            self.on_trial(trial, fresh)
            other.on_trial(trial, fresh)

        def on_update(updates: int, trials: Sequence[Trial], numbers: dict[str, float]) -> None:
            self.on_update(updates, trials, numbers)
            other.on_update(updates, trials, numbers)

        def on_notice(notice: str) -> None:
            self.on_notice(notice)
            other.on_notice(notice)

        return Callbacks(on_trial, on_update, on_notice)
