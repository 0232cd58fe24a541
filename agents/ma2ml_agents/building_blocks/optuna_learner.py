"""Base class of learners that wrap an Optuna sampler: one categorical parameter per decision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import optuna

from ma2ml_agents.building_blocks.ask_and_tell import AskAndTell
from ma2ml_agents.learner import AgentSpec

Direction = Literal["maximize", "minimize"]


class OptunaLearner(AskAndTell[optuna.Trial]):
    """Adapter from an Optuna sampler to the `Learner` protocol.

    Args:
        specs: the agents.
        seed: seed of the sampler.
        directions: `"maximize"` or `"minimize"` for each value of `objectives`.
        distinct: whether known proposals are avoided.
        ordered: whether ordered decisions are integer parameters, not categorical ones.
        conditional: whether inactive decisions are no parameters of a trial; otherwise every trial has all.

    Source: Optuna's ask-and-tell interface.
    """

    def __init__(
        self,
        specs: Sequence[AgentSpec],
        seed: int,
        directions: Sequence[Direction],
        *,
        distinct: bool = False,
        ordered: bool = False,
        conditional: bool = False,
    ) -> None:
        self.directions = list(directions)
        self._integers, self._conditional = ordered, conditional
        super().__init__(specs, seed, distinct=distinct)

    @abstractmethod
    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Returns the sampler; subclasses define it."""

    def begin(self, seed: int) -> None:
        """Creates a study in memory."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space: dict[str, optuna.distributions.BaseDistribution] = {
            str(decision): optuna.distributions.IntDistribution(0, size - 1)
            if self._integers and ordered
            else optuna.distributions.CategoricalDistribution(tuple(range(size)))
            for decision, (size, ordered) in enumerate(zip(self.layout.nvec.tolist(), self.layout.ordered, strict=True))
        }
        self._study = optuna.create_study(sampler=self.make_sampler(seed), directions=self.directions)

    def ask(self) -> tuple[list[int], optuna.Trial]:
        """Returns the sampler's choice of every parameter, 0 for a decision that is none."""
        if not self._defined_by_run:
            trial = self._study.ask(self._space)
            return [int(trial.params[decision]) for decision in self._space], trial
        trial = self._study.ask()
        joint = np.zeros((1, len(self.layout)), dtype=np.int64)
        for place, (name, distribution) in enumerate(self._space.items()):
            if self.layout.active(joint)[0, place]:
                joint[0, place] = suggest(trial, name, distribution)
        return joint[0].tolist(), trial

    def give(self, joint: list[int]) -> optuna.Trial:
        """Enqueues these choices in the study."""
        active = self.layout.active(np.array([joint]))[0] if self._defined_by_run else np.ones(len(joint), dtype=bool)
        chosen = zip(self._space, joint, active.tolist(), strict=True)
        self._study.enqueue_trial({name: choice for name, choice, is_active in chosen if is_active})
        return self.ask()[1]

    @property
    def _defined_by_run(self) -> bool:
        """True if the parameters of a trial depend on its choices."""
        return self._conditional and self.layout.conditional

    def drop(self, trial: optuna.Trial) -> None:
        """Fails the trial, which samplers ignore; an open one would have them read all later trials at every ask."""
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def tell(self, trial: optuna.Trial, values: list[float]) -> None:
        """Finishes the trial with its values, one per direction."""
        self._study.tell(trial, values)


def suggest(trial: optuna.Trial, name: str, distribution: optuna.distributions.BaseDistribution) -> int:
    """Returns a trial's choice for one parameter."""
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high)
    assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
    return distribution.choices.index(trial.suggest_categorical(name, distribution.choices))
