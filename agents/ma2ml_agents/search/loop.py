"""Act, evaluate on any executor, update: the loop of a search, and how it goes on where it was interrupted."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ma2ml_agents.executors import Executor
from ma2ml_agents.learner import Batch, Learner
from ma2ml_agents.search import checkpoint
from ma2ml_agents.search.callbacks import Events
from ma2ml_agents.search.known_results import KnownResults
from ma2ml_agents.search.learner_clock import LearnerClock
from ma2ml_agents.search.pruner import Pruner
from ma2ml_agents.search.stored_trials import StoredTrials
from ma2ml_agents.search.window import updates_before
from ma2ml_env import AutoMLEnv, Pipeline, Result, Trial
from ma2ml_env.search_space import PackedAction, PartsOnDemand
from ma2ml_env.trials import TrialStore

TRIALS_FILE, CHECKPOINT_FOLDER = "trials.db", "checkpoint"
CHECKPOINT_SECONDS = 10.0


@dataclass
class SearchLoop:
    """The state of one call of `run_search`, whose arguments its first fields are.

    Source: ours.
    """

    env: AutoMLEnv
    learner: Learner
    budget: int
    executor: Executor
    window: int
    seed: int
    deadline: float | None
    store: TrialStore | None
    checkpoints: Path | None
    known: KnownResults
    warm_start: list[Pipeline]
    pruner: Pruner | None
    events: Events
    trials: dict[int, Trial] = field(default_factory=dict)
    stored: StoredTrials = field(init=False)
    proposals: dict[int, Pipeline] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    running: dict[Future[Result], int] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    origin: str = ""
    proposed: int = 0
    updates: int = 0
    learner_clock: LearnerClock = field(default_factory=LearnerClock)
    saved_at: float = field(default_factory=time.monotonic)

    def run(self) -> list[Trial]:
        """Search; the finished trials by number."""
        self.stored = StoredTrials(self.env, self.seed, self.store)
        self.known.take(self.stored.all())
        self._restore()
        while (first := self.updates * self.learner.batch_size) < self.budget:
            self._propose()
            batch = range(first, min(first + self.learner.batch_size, self.budget))
            if not self._evaluate(batch) or len(batch) < self.learner.batch_size or self._late():
                break
            self._update(batch)
        self._save()
        return [self.trials[number] for number in sorted(self.trials)]

    def keep_finished(self) -> None:
        """Record the evaluations that were finished when the search was interrupted."""
        for future, number in list(self.running.items()):
            if future.done() and not future.cancelled() and future.exception() is None:
                self._record(number, future.result())

    def _restore(self) -> None:
        """Take the learner from the checkpoint, if there is one of use; else replaying will rebuild it."""
        if self.checkpoints is None:
            return
        first = [pipeline.key for pipeline in self.warm_start]
        settings = getattr(self.learner, "config", None)
        self.origin = checkpoint.fingerprint(
            self.learner.state_dict(), settings, self.seed, self.window, first, self.known.bounds, self.pruner
        )
        try:
            found = checkpoint.load(self.checkpoints)
        except ValueError as damage:
            self.events.on_notice(f"{damage}; the learner is rebuilt from the trials, of which none is lost")
            return
        learned = found.updates * self.learner.batch_size if found else 0
        if found is None or found.origin != self.origin or learned > self.budget:
            return
        if not self.stored.holds(range(learned)):
            return
        self.learner.load_state_dict(found.learner)
        self.updates, self.proposed = found.updates, learned
        for number in range(learned):
            self._finish(self.stored[number])
        for update in range(self.updates):
            self._tell(update + 1, range(update * self.learner.batch_size, (update + 1) * self.learner.batch_size), {})
        for number, action in sorted(found.proposals.items()):
            self._accept(number, self.env.decode(action))

    def _propose(self) -> None:
        """Ask the learner for all proposals that it makes between two updates, at once."""
        count = 0
        while updates_before(self.proposed + count, self.learner.batch_size, self.window) <= self.updates:
            count += 1
        if count == 0:
            return
        given = self.warm_start[self.proposed : self.proposed + count]
        for pipeline in given:
            self._accept(self.proposed, pipeline)
        if len(given) == count:
            return
        with self.learner_clock:
            actions = self.learner.act(self._observations(count - len(given)))
        for row in range(count - len(given)):
            joint = {agent: actions[agent][row] for agent in self.env.possible_agents}
            self._accept(self.proposed, self.env.decode(joint))

    def _accept(self, number: int, pipeline: Pipeline) -> None:
        """Note a proposal, and whether its trial is finished already."""
        self.proposals[number] = pipeline
        self.proposed = number + 1
        if number >= self.budget:
            return
        known = self.stored.of(number, pipeline)
        if known is None:
            self.waiting.append(number)
        else:
            self._finish(known)

    def _evaluate(self, numbers: range) -> bool:
        """Wait until these trials are finished; False if time ran out first."""
        self._collect(timeout=0.0)
        self._submit()
        while any(number not in self.trials for number in numbers):
            left = None if self.deadline is None else self.deadline - time.monotonic()
            self._collect(timeout=None if left is None else max(0.0, left))
            if left is not None and left <= 0:
                return all(number in self.trials for number in numbers)
            self._submit()
        return True

    def _collect(self, timeout: float | None) -> None:
        """Record what is finished; wait so many seconds for the first if nothing is."""
        for future in wait(list(self.running), timeout=timeout, return_when=FIRST_COMPLETED).done:
            number = self.running.pop(future)
            self.under_way.discard(self.proposals[number].key)
            self._record(number, future.result())

    def _submit(self) -> None:
        """Keep the executor busy; a pipeline that is known or being evaluated waits for that result."""
        twins: list[int] = []
        while self.waiting and len(self.running) < self.executor.capacity:
            number = self.waiting.popleft()
            pipeline = self.proposals[number]
            if pipeline.key in self.under_way:
                twins.append(number)
            elif (known := self.known.find(pipeline)) is not None:
                self._record(number, known)
            elif self._late():
                twins.append(number)
                break
            else:
                self.under_way.add(pipeline.key)
                self.running[self.executor.submit(pipeline, self.seed, **self._fidelity(number))] = number
        self.waiting.extendleft(reversed(twins))

    def _fidelity(self, number: int) -> dict[str, Any]:
        """How far to train: decided from the results that the learner had when it proposed, so by no worker's speed."""
        if self.pruner is None:
            return {}
        delivered = updates_before(number, self.learner.batch_size, self.window) * self.learner.batch_size
        trials = (self.trials[earlier] for earlier in range(delivered))
        return {"stop_below": self.pruner.thresholds([t.result.curve for t in trials if t.state == "complete"])}

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _record(self, number: int, result: Result) -> None:
        """A finished evaluation: durable first, then known to the search."""
        pipeline = self.proposals[number]
        trial = Trial(number, self.seed, pipeline, result, float(self.env.reward(result)))
        if self.store is not None:
            self.store.add(trial)
        self.known.add(trial)
        self._finish(trial, fresh=True)

    def _finish(self, trial: Trial, *, fresh: bool = False) -> None:
        self.trials[trial.number] = trial
        self.events.on_trial(trial, fresh)

    def _update(self, numbers: range) -> None:
        trials = [self.trials[number] for number in numbers]
        batch = Batch(
            observations=self._observations(len(trials)),
            actions={a: np.array([t.pipeline.action[a] for t in trials]) for a in self.env.possible_agents},
            rewards=np.array([t.reward for t in trials]),
            results=[t.result for t in trials],
        )
        with self.learner_clock:
            numbers_of_learner = dict(self.learner.update(batch))
        self.updates += 1
        for number in numbers:
            del self.proposals[number]
            self._compact(number)
        self._tell(self.updates, numbers, numbers_of_learner)
        if self.executor.capacity > 1 and (slow := self.learner_clock.notice()):
            self.events.on_notice(slow)
        if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self._save()

    def _compact(self, number: int) -> None:
        """Keep of a trial that has been learned from what cannot be built again."""
        trial = self.trials[number]
        action = PackedAction(trial.pipeline.action)
        parts = PartsOnDemand(self.env.search_spaces, action)
        self.trials[number] = replace(trial, pipeline=Pipeline(action, parts))

    def _tell(self, updates: int, numbers: range, learner_numbers: dict[str, float]) -> None:
        self.events.on_update(updates, [self.trials[number] for number in numbers], learner_numbers)

    def _save(self) -> None:
        """Write the checkpoint; the proposals that are not yet learned from belong to it."""
        if self.checkpoints is not None and self.updates:
            actions = {n: {a: list(c) for a, c in p.action.items()} for n, p in self.proposals.items()}
            now = checkpoint.Checkpoint(self.origin, self.updates, actions, self.learner.state_dict())
            checkpoint.save(self.checkpoints, now)
            self.saved_at = time.monotonic()

    def _observations(self, rows: int) -> dict[str, Any]:
        """S_i of `rows` episodes: what the environment shows at reset, which never changes."""
        observations, _ = self.env.reset()
        return {agent: np.repeat(observation[None], rows, axis=0) for agent, observation in observations.items()}
