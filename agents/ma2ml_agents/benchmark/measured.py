"""A wrapper that measures the CPU time of a learner."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from ma2ml_agents.learner import Actions, Batch, Learner, Observations, UsesCost


class MeasuredLearner:
    """Adapter that measures the CPU time of a learner in this process.

    Args:
        learner: the measured learner.
    """

    Config: ClassVar[type] = object

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.batch_size = learner.batch_size
        self.on_policy = learner.on_policy
        self.config = getattr(learner, "config", None)
        if isinstance(learner, UsesCost):
            self.use_cost = learner.use_cost
        self._act_seconds = self._update_seconds = 0.0
        self._proposed = self._learned = 0

    @property
    def seconds_per_pipeline(self) -> float | None:
        """Returns CPU seconds of `act` and `update` per pipeline; None if nothing was measured, as after a resume."""
        if not self._proposed and not self._learned:
            return None
        return self._act_seconds / max(1, self._proposed) + self._update_seconds / max(1, self._learned)

    def act(self, observations: Observations) -> Actions:
        """Returns the learner's proposals."""
        started = time.process_time()
        actions = self._learner.act(observations)
        self._act_seconds += time.process_time() - started
        self._proposed += len(next(iter(actions.values())))
        return actions

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Updates the learner."""
        started = time.process_time()
        numbers = self._learner.update(batch)
        self._update_seconds += time.process_time() - started
        self._learned += len(batch)
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Returns the learner's state."""
        return self._learner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner's state."""
        self._learner.load_state_dict(state)
