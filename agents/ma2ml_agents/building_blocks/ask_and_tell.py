"""What the learners that wrap a library share: ask, tell, and a state that is rebuilt by doing both again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations

Trial = TypeVar("Trial")
"""What the library calls a proposal that it waits to hear of."""
LIBRARY_SEEDS = 2**32
"""Number of seeds that the libraries accept; larger ones are folded."""


class AskAndTell(ABC, Generic[Trial]):
    """A library's optimizer under the protocol of learners.

    Its state is what was asked and told, in order, and is rebuilt by doing it again: no pickle of the library's own
    objects, but as slow as the library is.

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
        self._distinct = distinct
        self._restart(seed)

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Make a new optimizer over the decisions of `layout`; `seed` is below `LIBRARY_SEEDS`."""

    @abstractmethod
    def ask(self) -> tuple[list[int], Trial]:
        """Ask the optimizer for a joint action, D integers, and the trial to tell of."""

    @abstractmethod
    def give(self, joint: list[int]) -> Trial:
        """Make a trial of a joint action that the optimizer has not proposed, as of a warm start."""

    @abstractmethod
    def tell(self, trial: Trial, values: list[float]) -> None:
        """Tell the optimizer what a trial gave."""

    def objectives(self, batch: Batch) -> list[float]:
        """What the optimizer is told of a batch of one; the reward alone unless a subclass says more."""
        return [float(batch.rewards[0])]

    def act(self, observations: Observations) -> Actions:
        """Ask the optimizer B times."""
        rows = rows_of(observations)
        self._history.append(rows)
        return self.layout.split(np.array([self._ask() for _ in range(rows)], dtype=np.int64))

    def update(self, batch: Batch) -> dict[str, float]:
        """Tell the optimizer what a pipeline gave."""
        joint, values = self.layout.join(batch.actions)[0].tolist(), self.objectives(batch)
        self._history.append([joint, values])
        self._tell(joint, values)
        return {}

    def state_dict(self) -> dict[str, Any]:
        """How many proposals were asked for and what was told, in order, and the optimizer's seed."""
        return {"seed": self.seed, "history": list(self._history)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Ask and tell all of it again, without evaluating anything."""
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
        self._open: deque[tuple[list[int], Trial]] = deque()
        self._proposals = NewProposals(self.layout, enabled=self._distinct)
        self._rng = np.random.default_rng(seed)
        self.begin(seed % LIBRARY_SEEDS)

    def _ask(self) -> list[int]:
        """Asks once; asking again for something new would leave the library with proposals that it never hears of."""
        joint, trial = self.ask()
        asked = self.layout.canonical(np.array([joint], dtype=np.int64))
        new = self._proposals.draw(lambda rows: np.repeat(asked, rows, axis=0), 1, self._rng.random)
        if not np.array_equal(new, asked):
            trial = self.give(new[0].tolist())
        self._open.append((new[0].tolist(), trial))
        return self._open[-1][0]

    def _tell(self, joint: list[int], values: list[float]) -> None:
        """Results come in the order of the proposals, those of a warm start before them."""
        self._proposals.learn(np.array([joint], dtype=np.int64))
        proposed = bool(self._open) and self._open[0][0] == joint
        self.tell(self._open.popleft()[1] if proposed else self.give(joint), values)
