"""Base class of learners that wrap an ask-and-tell library; their state is rebuilt by replaying the calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ma2ml_agents.building_blocks.feasibility import Bounded
from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations

Handle = TypeVar("Handle")
"""The library's type of a proposal whose result is pending."""
LIBRARY_SEEDS = 2**32
"""Number of seeds that the libraries accept; larger ones are folded."""


class AskAndTell(Bounded, ABC, Generic[Handle]):
    """Adapter from a library's ask-and-tell optimizer to the `Learner` protocol.

    Its state is the sequence of ask and tell calls, which restoring replays: no library object is pickled, but
    restoring is as slow as the library.

    Args:
        specs: the agents.
        seed: of the optimizer, at least 0.
        distinct: whether a known proposal is replaced by a new neighbor.

    Source: Optuna's and SMAC's ask-and-tell interfaces.
    """

    batch_size = 1
    on_policy = False

    def __init__(self, specs: Sequence[AgentSpec], seed: int, *, distinct: bool = False) -> None:
        self.layout = Layout(specs)
        self.proposals = NewProposals(self.layout, enabled=distinct)
        self._restart(seed)

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Creates a new optimizer over the decisions of `layout`; `seed` is below `LIBRARY_SEEDS`."""

    @abstractmethod
    def ask(self) -> tuple[list[int], Handle]:
        """Returns the optimizer's next joint action, D integers, and its trial."""

    @abstractmethod
    def give(self, joint: list[int]) -> Handle:
        """Creates a trial of a joint action that the optimizer has not proposed, such as one of a warm start."""

    def drop(self, trial: Handle) -> None:
        """Closes a trial that was replaced by another and will have no result; does nothing unless overridden."""

    @abstractmethod
    def tell(self, trial: Handle, values: list[float]) -> None:
        """Reports a trial's values to the optimizer."""

    def objectives(self, batch: Batch) -> list[float]:
        """Returns the objective values of a batch of one; only the reward unless a subclass adds others."""
        return [float(batch.rewards[0])]

    def act(self, observations: Observations) -> Actions:
        """Asks the optimizer for B proposals."""
        rows = rows_of(observations)
        self._history.append(rows)
        return self.layout.split(np.array([self._ask() for _ in range(rows)], dtype=np.int64))

    def update(self, batch: Batch) -> dict[str, float]:
        """Reports a pipeline's result to the optimizer."""
        joint, values = self.layout.join(batch.actions)[0].tolist(), self.objectives(batch)
        self._history.append([joint, values])
        self._tell(joint, values)
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Returns the number of proposals, the reported results in order, and the optimizer's seed."""
        return {"seed": self.seed, "history": list(self._history)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replays all ask and tell calls, without evaluating anything."""
        self._restart(state["seed"])
        self._history += state["history"]
        for event in self._history:
            if isinstance(event, int):
                for _ in range(event):
                    self._ask()
            else:
                self._tell(*event)

    def _restart(self, seed: int) -> None:
        self.seed = seed
        self._history: list[Any] = []
        self._open: deque[tuple[list[int], Handle]] = deque()
        self.proposals.clear()
        self._rng = np.random.default_rng(seed)
        self.begin(seed % LIBRARY_SEEDS)

    def _ask(self) -> list[int]:
        """Asks once; asking again for something new would leave the library with proposals that it never hears of."""
        joint, trial = self.ask()
        asked = self.layout.canonical(np.array([joint], dtype=np.int64))
        new = self.proposals.draw(lambda rows: np.repeat(asked, rows, axis=0), 1, self._rng.random)
        if not np.array_equal(new, asked):
            self.drop(trial)
            trial = self.give(new[0].tolist())
        self._open.append((new[0].tolist(), trial))
        return self._open[-1][0]

    def _tell(self, joint: list[int], values: list[float]) -> None:
        """Reports a result; results arrive in the order of the proposals, those of a warm start first."""
        self.proposals.learn(np.array([joint], dtype=np.int64))
        proposed = bool(self._open) and self._open[0][0] == joint
        self.tell(self._open.popleft()[1] if proposed else self.give(joint), values)
