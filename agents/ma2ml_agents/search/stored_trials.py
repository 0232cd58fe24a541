"""What earlier sessions of a search have left in its trial log."""

from __future__ import annotations

from ma2ml_env import AutoMLEnv, Pipeline, Trial
from ma2ml_env.trials import TrialLogError, TrialStore


class StoredTrials:
    """The trials of a log, checked to be of this search.

    Args:
        env: the environment.
        seed: of the environment in this search.
        store: the log; None where nothing is kept.

    Raises:
        TrialLogError: if the log cannot be used, or another seed or reward function wrote it.

    Source: ours.
    """

    def __init__(self, env: AutoMLEnv, seed: int, store: TrialStore | None) -> None:
        self._path = store.path if store else None
        self._trials = {} if store is None else {trial.number: trial for trial in store.load(env.decode)}
        for trial in self._trials.values():
            if trial.seed != seed or trial.reward != float(env.reward(trial.result)):
                raise self._of_another_search(trial.number)

    def all(self) -> list[Trial]:
        """All of them, by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    def holds(self, numbers: range) -> bool:
        """Whether all of these are there."""
        return all(number in self._trials for number in numbers)

    def __getitem__(self, number: int) -> Trial:
        return self._trials[number]

    def of(self, number: int, pipeline: Pipeline) -> Trial | None:
        """The trial of this number, None if it is not there.

        Raises:
            TrialLogError: if it is of another pipeline.
        """
        found = self._trials.get(number)
        if found is not None and found.pipeline != pipeline:
            raise self._of_another_search(number)
        return found

    def _of_another_search(self, number: int) -> TrialLogError:
        return TrialLogError(
            f"trial {number} of {self._path} is not what is proposed there now: the file is from another learner (or "
            "this one is not fresh), setting, seed, reward, warm start or version; choose another folder"
        )
