"""What the learners that wrap Optuna share: ask, tell, and a state that is rebuilt by doing both again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import optuna

from ma2ml_agents.layout import Layout, rows_of
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations

Direction = Literal["maximize", "minimize"]


class OptunaLearner:
    """An Optuna sampler under the protocol of learners; one categorical parameter per decision.

    Args:
        specs: the agents.
        seed: of the sampler.
        directions: `"maximize"` or `"minimize"` for each number that `objectives` returns.

    Source: Optuna's ask-and-tell interface.
    """

    batch_size = 1
    on_policy = False

    def __init__(self, specs: Sequence[AgentSpec], seed: int, directions: Sequence[Direction]) -> None:
        self.layout = Layout(specs)
        self.seed = seed
        self.directions = list(directions)
        self._history: list[int | list[list[float]]] = []
        self._space: dict[str, optuna.distributions.BaseDistribution] = {
            str(decision): optuna.distributions.CategoricalDistribution(tuple(range(size)))
            for decision, size in enumerate(self.layout.nvec.tolist())
        }
        self._begin()

    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """The sampler that proposes; subclasses say which."""
        return optuna.samplers.RandomSampler(seed=seed)

    def objectives(self, batch: Batch) -> list[list[float]]:
        """What the sampler is told of each of B results; the reward alone unless a subclass says more."""
        return [[reward] for reward in batch.rewards.tolist()]

    def act(self, observations: Observations) -> Actions:
        """Ask the sampler B times."""
        rows = rows_of(observations)
        self._history.append(rows)
        return self.layout.split(np.array([self._ask() for _ in range(rows)], dtype=np.int64))

    def update(self, batch: Batch) -> dict[str, float]:
        """Tell the sampler what its oldest open proposals gave."""
        values = self.objectives(batch)
        self._history.append(values)
        self._tell(values)
        return {}

    def state_dict(self) -> dict[str, Any]:
        """How many proposals were asked for and which values told, in order, and the sampler's seed."""
        return {"seed": self.seed, "history": list(self._history)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Ask and tell all of it again, without evaluating anything; as slow as the sampler is."""
        self.seed = state["seed"]
        self._begin()
        self._history = list(state["history"])
        for event in self._history:
            if isinstance(event, int):
                for _ in range(event):
                    self._ask()
            else:
                self._tell(event)

    def _begin(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=self.make_sampler(self.seed), directions=self.directions)
        self._told = 0

    def _ask(self) -> list[int]:
        trial = self._study.ask(self._space)
        return [int(trial.params[decision]) for decision in self._space]

    def _tell(self, values: list[list[float]]) -> None:
        for value in values:
            self._study.tell(self._told, value)
            self._told += 1
