"""Measurement of the learner's share of a search's time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class LearnerClock:
    """Context manager that times the learner and warns once if it dominates the search.

    Args:
        after: seconds before the first warning.
        tolerated: largest share of the time without a warning, in [0, 1].
    """

    after: float = 60.0
    tolerated: float = 0.1
    started: float = field(default_factory=time.monotonic)
    working: float = 0.0
    told: bool = False

    def __enter__(self) -> None:
        self._entered = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        self.working += time.monotonic() - self._entered

    @property
    def share(self) -> float:
        """The learner's share of the time since the search began, in [0, 1]."""
        return self.working / max(time.monotonic() - self.started, 1e-9)

    def notice(self) -> str | None:
        """Returns a warning if the learner is slow, at most once."""
        if self.told or time.monotonic() - self.started < self.after or self.share <= self.tolerated:
            return None
        self.told = True
        return (
            f"the learner takes {self.share:.0%} of the time, in which workers that are done wait for it; settings "
            "that make it cheaper, such as fewer --critic-steps and --actor-steps, keep them busy"
        )
