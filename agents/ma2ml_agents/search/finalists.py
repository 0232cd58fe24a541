"""Finalists: the best pipelines of a search, evaluated again under other seeds, so that the winner is not drawn by lot.

The highest of many noisy rewards is mostly a lucky one. New evaluations of a few pipelines tell luck from merit.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from ma2ml_agents.executors import Executor, Raised
from ma2ml_agents.search.shrinkage import Estimate, expected_values
from ma2ml_env import AutoMLEnv, Result, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import TrialStore, top_k
from ma2ml_env.types import derived_seed

FINALISTS_FILE = "finalists.db"
REPEATS = 2
"""Default number of evaluations of each of so many finalists as were asked for."""
MOST, MOST_REPEATS, SHARE = 5, 3, 20
"""Largest default numbers of finalists and of evaluations of each, which are at most one in 20 of a budget: of the
extents measured on seven problems, more lose by a shorter search what they gain by a better choice."""


@dataclass(frozen=True)
class FinalistPlan:
    """Extent of the finalists' evaluations, which are part of a budget.

    Args:
        count: number of finalists, 0 for none.
        repeats: evaluations of each under other seeds, at least 1.

    Raises:
        MA2MLError: for numbers out of range.
    """

    count: int = MOST
    repeats: int = MOST_REPEATS

    def __post_init__(self) -> None:
        for name, value, least in (("finalists", self.count, 0), ("finalist_trials", self.repeats, 1)):
            if value < least:
                raise MA2MLError(f"{name} must be at least {least}, not {value}")

    @classmethod
    def of_budget(cls, budget: int, count: int | None = None, repeats: int | None = None) -> FinalistPlan:
        """Returns the plan within a budget; numbers that are None follow from it.

        What a twentieth of the budget pays for are two finalists, then up to three evaluations of each, then up to five
        finalists.

        Args:
            budget: number of all evaluations, at least 1.
            count: number of finalists.
            repeats: evaluations of each.

        Raises:
            MA2MLError: for numbers out of range, or if nothing of the budget is left for the search.
        """
        paid = budget // SHARE
        if repeats is None:
            repeats = REPEATS if count is not None else min(MOST_REPEATS, max(1, paid // 2))
        if count is None:
            fitting = paid // max(1, repeats)
            count = min(MOST, fitting) if fitting > 1 else 0
        plan = cls(count, repeats)
        if plan.cost >= budget:
            raise MA2MLError(
                f"{plan.count} finalists of {plan.repeats} evaluations each leave nothing of a budget of {budget} for "
                "the search; take fewer, or --finalists 0"
            )
        return plan

    @classmethod
    def of_search(cls, trials: int, repeats: int | None = None) -> FinalistPlan:
        """Returns the default plan after a search of so many trials, which are the rest of the budget.

        Args:
            trials: number of trials of the search.
            repeats: evaluations of each finalist; None if they follow too.
        """
        return cls.of_budget(max(1, trials * SHARE // (SHARE - 1)), None, repeats)

    @property
    def cost(self) -> int:
        """Number of evaluations."""
        return self.count * self.repeats

    @property
    def in_words(self) -> str:
        """Extent in words, such as "4 finalists of 2 evaluations each"."""
        one = "1 finalist of" if self.count == 1 else f"{self.count} finalists of"
        each = "" if self.count == 1 else " each"
        return f"{one} {self.repeats} evaluation{'s' * (self.repeats > 1)}{each}"


@dataclass(frozen=True)
class Finalist:
    """A pipeline with its evaluations after the search.

    Attributes:
        trial: its earliest trial in the search.
        again: its evaluations under other seeds.
        accuracy: estimate of its expected accuracy.
    """

    trial: Trial
    again: tuple[Trial, ...]
    accuracy: Estimate

    @property
    def reward(self) -> float:
        """Mean reward of the evaluations under other seeds."""
        return math.fsum(trial.reward for trial in self.again) / len(self.again)


def finalist_seed(seed: int, repeat: int) -> int:
    """Returns the environment's seed of a finalist's evaluation, in [0, 2**63), far from the small ones of searches.

    Args:
        seed: seed of the search.
        repeat: number of the evaluation, from 0.
    """
    return derived_seed(f"finalist {seed}:{repeat}")


def missing_evaluations(trials: Sequence[Trial], plan: FinalistPlan, stored: Sequence[Trial], *, seed: int = 0) -> int:
    """Returns the number of the finalists' evaluations that are not stored.

    Args:
        trials: trials of the search.
        plan: number of finalists, and of evaluations of each.
        stored: evaluations of finalists that there are.
        seed: seed of the search.
    """
    known = {(trial.pipeline.key, trial.seed) for trial in stored}
    shortlist = top_k([trial for trial in trials if not trial.result.failed], plan.count)
    seeds = [finalist_seed(seed, repeat) for repeat in range(plan.repeats)]
    return sum((trial.pipeline.key, each) not in known for trial in shortlist for each in seeds)


def run_finalists(
    env: AutoMLEnv,
    trials: Sequence[Trial],
    plan: FinalistPlan,
    executor: Executor,
    *,
    seed: int = 0,
    out: Path | None = None,
    deadline: float | None = None,
    retry_failed: bool = False,
    on_trial: Callable[[Trial, bool], None] = lambda trial, fresh: None,
) -> list[Finalist]:
    """Evaluates the best distinct pipelines of a search again, each under the same new seeds.

    Evaluations are deterministic, run in parallel, and are stored as they end: an interrupted call loses none.

    Args:
        env: environment of the search.
        trials: trials of the search.
        plan: number of finalists, and of evaluations of each.
        executor: executor of the evaluations.
        seed: seed of the search.
        out: folder of `finalists.db`; None stores nothing.
        deadline: `time.monotonic()` after which no evaluation is begun or waited for; None for none.
        retry_failed: whether stored evaluations that failed are repeated.
        on_trial: receives (evaluation, whether it was made in this call).

    Returns:
        The finalists, that of the highest mean reward first, by the evaluations that all of them have; none if not
        every finalist was evaluated once.
    """
    shortlist = top_k([trial for trial in trials if not trial.result.failed], plan.count)
    store = None if out is None else TrialStore(out / FINALISTS_FILE, env.definition)
    rounds = _Rounds(env, executor, store, deadline, on_trial)
    try:
        return _ranked(rounds.run(shortlist, [finalist_seed(seed, r) for r in range(plan.repeats)], retry_failed))
    finally:
        rounds.close()


def ranked_trials(trials: Sequence[Trial], folder: Path | None = None) -> list[Trial]:
    """Returns the distinct pipelines of a search that did not fail, each by its earliest trial, best first.

    Pipelines with the most evaluations in `finalists.db` come first, by the mean of these, then all others by their
    reward in the search.

    Args:
        trials: trials of the search.
        folder: folder of the search; None for no finalists.
    """
    ranked = top_k([trial for trial in trials if not trial.result.failed], len(trials))
    if folder is None or not (folder / FINALISTS_FILE).exists():
        return ranked
    store = TrialStore(folder / FINALISTS_FILE)
    rewards: dict[str, list[float]] = {}
    for row in store.rows():
        rewards.setdefault(row["key"], []).append(row["reward"])
    store.close()
    most = max(map(len, rewards.values()), default=0)
    means = {key: math.fsum(found) / most for key, found in rewards.items() if len(found) == most}
    return sorted(ranked, key=lambda trial: -means.get(trial.pipeline.key, -math.inf))


def _ranked(evaluated: Sequence[tuple[Trial, tuple[Trial, ...]]]) -> list[Finalist]:
    """Finalists with the estimates of their accuracy, best first; none without evaluations."""
    if not evaluated or not evaluated[0][1]:
        return []
    accuracies = [[trial.result.accuracy for trial in again] for _, again in evaluated]
    estimates = expected_values(accuracies, [first.result.accuracy for first, _ in evaluated])
    found = [Finalist(first, again, said) for (first, again), said in zip(evaluated, estimates, strict=True)]
    return sorted(found, key=lambda finalist: (-finalist.reward, finalist.trial.number))


class _Rounds:
    """Rounds of evaluations, in each of which every finalist is evaluated under one seed."""

    def __init__(
        self,
        env: AutoMLEnv,
        executor: Executor,
        store: TrialStore | None,
        deadline: float | None,
        on_trial: Callable[[Trial, bool], None],
    ) -> None:
        self.env, self.executor, self.store, self.deadline, self.on_trial = env, executor, store, deadline, on_trial
        self.known: dict[tuple[str, int], Trial] = {}
        self.replaced: dict[tuple[str, int], Trial] = {}
        self.running: dict[Future[Result], tuple[Trial, int]] = {}

    def run(
        self, shortlist: Sequence[Trial], seeds: Sequence[int], retry_failed: bool
    ) -> list[tuple[Trial, tuple[Trial, ...]]]:
        """Evaluates what is not stored; returns the evaluations of complete rounds."""
        self._load({(trial.pipeline.key, seed) for seed in seeds for trial in shortlist}, retry_failed)
        order = ((trial, seed) for seed in seeds for trial in shortlist)
        waiting = deque(pair for pair in order if (pair[0].pipeline.key, pair[1]) not in self.known)
        while (waiting or self.running) and not self._late():
            while waiting and len(self.running) < self.executor.capacity and not self._late():
                trial, seed = waiting.popleft()
                self.running[self.executor.submit(trial.pipeline, seed)] = (trial, seed)
            left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
            self._collect(wait(list(self.running), timeout=left, return_when=FIRST_COMPLETED).done)
        complete = [seed for seed in seeds if all((trial.pipeline.key, seed) in self.known for trial in shortlist)]
        return [(trial, tuple(self.known[trial.pipeline.key, seed] for seed in complete)) for trial in shortlist]

    def close(self) -> None:
        """Stores what was finished when the call was interrupted, and closes the file."""
        self._collect([future for future in self.running if future.done()])
        if self.store is not None:
            self.store.close()

    def _load(self, wanted: set[tuple[str, int]], retry_failed: bool) -> None:
        for trial in [] if self.store is None else self.store.load(self.env.decode):
            pair = (trial.pipeline.key, trial.seed)
            if pair not in wanted:
                continue
            if retry_failed and trial.result.failed:
                self.replaced[pair] = trial
            else:
                self.known[pair] = trial
                self.on_trial(trial, False)

    def _collect(self, done: Sequence[Future[Result]] | set[Future[Result]]) -> None:
        for future in done:
            first, seed = self.running.pop(future)
            if future.cancelled() or future.exception() is not None:
                continue
            result = future.result()
            result = result.plain() if isinstance(result, Raised) else result
            self._record(first, seed, result)

    def _record(self, first: Trial, seed: int, result: Result) -> None:
        pair = (first.pipeline.key, seed)
        number = self.replaced[pair].number if pair in self.replaced else len(self.known) + len(self.replaced)
        trial = Trial(number, seed, first.pipeline, result, float(self.env.reward(result)))
        if self.store is not None:
            store = self.store.replace if pair in self.replaced else self.store.append
            store(trial)
        self.known[pair] = trial
        self.on_trial(trial, True)

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline
