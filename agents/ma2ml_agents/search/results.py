"""Results that require no evaluation: stored trials, repeated pipelines, and infeasible ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ma2ml_agents.search.plan import SearchPlan, cache_store
from ma2ml_env import Pipeline, Result, SearchSpace, Trial
from ma2ml_env.trials import TrialLogError, TrialStore
from ma2ml_env.types import AgentID, JointAction


class StoredTrials:
    """Trials that earlier sessions of a search left in its trial log.

    Args:
        plan: plan of the search.
        store: the trial log; None without a folder.

    Attributes:
        path: path of the log, None without a folder.
        retried: numbers of failed trials that are evaluated again.
        first_missing: the lowest number without a trial.
        next_number: one more than the highest number.

    Raises:
        TrialLogError: if the log cannot be used, or was written under another seed or reward function.
    """

    def __init__(self, plan: SearchPlan, store: TrialStore | None) -> None:
        self.path = store.path if store else None
        self._trials = {} if store is None else {trial.number: trial for trial in store.load(plan.env.decode)}
        failed = (trial.number for trial in self._trials.values() if trial.state == "failed")
        self.retried = frozenset(failed if plan.retry_failed else ())
        self.first_missing = next(number for number in itertools.count() if number not in self._trials)
        self.next_number = max(self._trials, default=-1) + 1
        for trial in self._trials.values():
            if trial.seed != plan.seed or trial.reward != float(plan.env.reward(trial.result)):
                raise self._of_another_search(trial.number)

    def finished(self) -> list[Trial]:
        """Returns all trials that are not evaluated again, by number."""
        return [self._trials[number] for number in sorted(self._trials) if number not in self.retried]

    def holds(self, numbers: range) -> bool:
        """Returns whether all of these trials are stored."""
        return all(number in self._trials for number in numbers)

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, number: int) -> Trial:
        return self._trials[number]

    def __contains__(self, number: int) -> bool:
        return number in self._trials

    def of(self, number: int, pipeline: Pipeline, *, replaceable: bool) -> Trial | None:
        """Returns the trial of this number, None if it is missing or evaluated again.

        Args:
            number: number of the trial.
            pipeline: pipeline proposed at this number.
            replaceable: whether a trial of another pipeline counts as missing.

        Raises:
            TrialLogError: if it belongs to another pipeline and is not replaceable.
        """
        found = self._trials.get(number)
        if found is None or number in self.retried:
            return None
        if found.pipeline != pipeline:
            if replaceable:
                return None
            raise self._of_another_search(number)
        return found

    def _of_another_search(self, number: int) -> TrialLogError:
        return TrialLogError(
            f"trial {number} of {self.path} is not what is proposed there now: the file is from another learner (or "
            "this one is not fresh), setting, seed, reward, warm start or version; choose another folder"
        )


class KnownResults:
    """Results of pipelines known without an evaluation.

    Args:
        plan: plan of the search.
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self._results: dict[str, Result] = {}
        self._shared = None if plan.cache is None else cache_store(plan.env, plan.cache)

    def take(self, trials: Iterable[Trial]) -> None:
        """Adds the results of earlier trials of the same seed."""
        self._results.update((trial.pipeline.key, trial.result) for trial in trials)

    def find(self, pipeline: Pipeline) -> Result | None:
        """Returns the pipeline's result, None if it must be evaluated."""
        known = self._results.get(pipeline.key) or self._plan.bounds.infeasible(self._plan.env, pipeline)
        if known is None and self._shared is not None:
            known = self._shared.find(pipeline, self._plan.seed)
        return known

    def add(self, trial: Trial) -> None:
        """Stores a trial's result, in the shared cache if it is complete."""
        new = trial.pipeline.key not in self._results
        self._results[trial.pipeline.key] = trial.result
        if self._shared is None or not new or trial.state != "complete":
            return
        if self._shared.find(trial.pipeline, self._plan.seed) is None:
            self._shared.append(trial)

    def close(self) -> None:
        """Closes the cache's file."""
        if self._shared is not None:
            self._shared.close()


def compact(trial: Trial, search_spaces: Mapping[AgentID, SearchSpace]) -> Trial:
    """Returns an equal trial in a tenth of the memory: its pipeline's choices are decoded when they are read."""
    action = PackedAction(trial.pipeline.action)
    return replace(trial, pipeline=Pipeline(action, PartsOnDemand(search_spaces, action)))


class PackedAction(Mapping[AgentID, tuple[int, ...]]):
    """Joint action stored in as few bytes as its largest index needs; its tuples are created when read.

    Args:
        action: joint action of nonnegative indices.
    """

    __slots__ = ("_agents", "_dtype", "_packed")

    def __init__(self, action: JointAction) -> None:
        self._agents = tuple(action)
        self._dtype = np.min_scalar_type(max((max(part, default=0) for part in action.values()), default=0))
        self._packed = tuple(np.array(action[agent], dtype=self._dtype).tobytes() for agent in action)

    def __getitem__(self, agent: AgentID) -> tuple[int, ...]:
        if agent not in self._agents:
            raise KeyError(agent)
        return tuple(np.frombuffer(self._packed[self._agents.index(agent)], dtype=self._dtype).tolist())

    def __iter__(self) -> Iterator[AgentID]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)


class PartsOnDemand(Mapping[AgentID, Any]):
    """Choices of a joint action, decoded when read.

    Args:
        search_spaces: {agent: search space}.
        action: joint action, valid in them.
    """

    __slots__ = ("_action", "_search_spaces")

    def __init__(self, search_spaces: Mapping[AgentID, SearchSpace], action: JointAction) -> None:
        self._search_spaces = search_spaces
        self._action = action

    def __getitem__(self, agent: AgentID) -> Any:
        return self._search_spaces[agent].decode(self._action[agent], agent=agent)

    def __iter__(self) -> Iterator[AgentID]:
        return iter(self._action)

    def __len__(self) -> int:
        return len(self._action)
