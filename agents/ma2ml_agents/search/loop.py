"""Search loop: act, evaluate on any executor, update; resumable after an interruption."""

from __future__ import annotations

import copy
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import numpy as np

from ma2ml_agents.executors import Executor, InlineExecutor, Raised
from ma2ml_agents.learner import Batch, UsesCost
from ma2ml_agents.search import checkpoint
from ma2ml_agents.search.callbacks import Callbacks
from ma2ml_agents.search.cost import cost_function
from ma2ml_agents.search.failures import FailureWatch
from ma2ml_agents.search.learner_clock import LearnerClock
from ma2ml_agents.search.plan import DEFAULT_WINDOW, SearchPlan, updates_before
from ma2ml_agents.search.record import open_record
from ma2ml_agents.search.results import KnownResults, StoredTrials, compact
from ma2ml_env import Pipeline, Result, Trial
from ma2ml_env.trials import TrialStore

TRIALS_FILE, CHECKPOINT_FOLDER = "trials.db", "checkpoint"
CHECKPOINT_SECONDS = 10.0


class SearchLoop:
    """State of one search.

    Args:
        plan: everything that determines the trials.
        executor: executor of the evaluations.
        callbacks: callbacks to invoke.
    """

    def __init__(self, plan: SearchPlan, executor: Executor, callbacks: Callbacks) -> None:
        self.plan, self.env, self.learner = plan, plan.env, plan.learner
        self.executor, self.callbacks = executor, callbacks
        self.window = 1
        self.started = time.monotonic()
        self.store = (
            None
            if plan.out is None
            else TrialStore(plan.out / TRIALS_FILE, plan.env.definition, plan.learner.batch_size)
        )
        self.checkpoints = None if plan.out is None else plan.out / CHECKPOINT_FOLDER
        self.known = KnownResults(plan)
        self.failures = FailureWatch(plan.give_up_after, callbacks.on_notice)
        self.given = [self.env.decode(action) for action in plan.warm_start]
        self.trials: dict[int, Trial] = {}
        self.proposals: dict[int, Pipeline] = {}
        self.waiting: deque[int] = deque()
        self.running: dict[Future[Result], int] = {}
        self.under_way: set[str] = set()
        self.origin = ""
        self.proposed = self.updates = 0
        self.learner_clock = LearnerClock()
        self.saved_at = time.monotonic()
        observations, _ = copy.copy(self.env).reset()  # constant; the copy leaves the caller's episode alone
        self.observations = observations

    def run(self) -> list[Trial]:
        """Searches until the budget is spent; returns the finished trials by number."""
        self._begin()
        self._restore()
        while (first := self.updates * self.learner.batch_size) < self.plan.budget:
            self._propose()
            batch = range(first, min(first + self.learner.batch_size, self.plan.budget))
            if not self._evaluate(batch) or len(batch) < self.learner.batch_size:
                break
            if self._late() and batch.stop >= self.stored.first_missing:
                break
            self._update(batch)
        self._save()
        return [self.trials[number] for number in sorted(self.trials)]

    def _begin(self) -> None:
        """Restores an earlier session, and passes the cost function to the learner."""
        self.stored = StoredTrials(self.plan, self.store)
        self.record = open_record(self.plan, self._usual_window(), self.stored, self.callbacks.on_notice)
        self.window = self.record.window
        if self.window > 1 and self.plan.window is None and not self.stored:
            self.callbacks.on_notice(
                f"proposals run ahead of results by a window of {self.window}, so that workers need not wait; "
                "window=1 makes each proposal as informed as can be"
            )
        if self.stored.retried and self.checkpoints is not None:
            checkpoint.remove(self.checkpoints)  # the learner in it has learned from results that are replaced
        given = range(min(self.record.given, self.stored.first_missing))
        self.given = [self.stored[number].pipeline for number in given] + self.given[len(given) :]
        self.known.take(self.stored.finished())
        if isinstance(self.learner, UsesCost) and (cost := cost_function(self.env)) is not None:
            bounds = self.plan.bounds
            self.learner.use_cost(cost, max_flops=bounds.max_flops, max_params=bounds.max_params)

    def keep_finished(self) -> None:
        """Records the evaluations that were finished when the search was interrupted."""
        for future, number in list(self.running.items()):
            if future.done() and not future.cancelled() and future.exception() is None:
                self._record(number, _plain(future.result()))

    def _restore(self) -> None:
        """Restores the learner from a valid checkpoint; otherwise replaying the trials rebuilds it."""
        if self.checkpoints is None:
            return
        first = [pipeline.key for pipeline in self.given]
        settings = getattr(self.learner, "config", None)
        self.origin = checkpoint.fingerprint(
            self.learner.state_dict(),
            settings,
            self.plan.seed,
            self.window,
            first,
            self.plan.bounds,
            self.plan.pruner,
        )
        try:
            found = checkpoint.load(self.checkpoints)
        except ValueError as damage:
            self.callbacks.on_notice(f"{damage}; the learner is rebuilt from the trials, of which none is lost")
            return
        learned = found.updates * self.learner.batch_size if found else 0
        if found is None or found.origin != self.origin or learned > self.plan.budget:
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
        """Asks the learner for all proposals between two updates at once."""
        count = 0
        while updates_before(self.proposed + count, self.learner.batch_size, self.window) <= self.updates:
            count += 1
        if count == 0:
            return
        given = self.given[self.proposed : self.proposed + count]
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
        """Records a proposal, and finishes its trial if the result is stored."""
        self.proposals[number] = pipeline
        self.proposed = number + 1
        if number >= self.plan.budget:
            return
        known = self.stored.of(number, pipeline, replaceable=self.record.given <= number < self.record.replaceable)
        if known is None:
            self.waiting.append(number)
        else:
            self._finish(known)

    def _evaluate(self, numbers: range) -> bool:
        """Waits until these trials are finished; False if time does not suffice."""
        self._collect(timeout=0.0)
        self._submit()
        while any(number not in self.trials for number in numbers):
            if not self.running:
                return False  # none was begun
            left = self._seconds_left()
            self._collect(timeout=None if left is None else max(0.0, left))
            if left is not None and left <= 0:
                return all(number in self.trials for number in numbers)
            self._submit()
        return True

    def _collect(self, timeout: float | None) -> None:
        """Records finished evaluations; waits up to `timeout` seconds if there are none."""
        for future in wait(list(self.running), timeout=timeout, return_when=FIRST_COMPLETED).done:
            number = self.running.pop(future)
            self.under_way.discard(self.proposals[number].key)
            self._record(number, _plain(future.result()))
            self.failures.see(number, future.result())

    def _submit(self) -> None:
        """Fills the executor; a pipeline that is known or being evaluated is not submitted again."""
        twins: list[int] = []
        while self.waiting and len(self.running) < self.executor.capacity:
            number = self.waiting.popleft()
            pipeline = self.proposals[number]
            if pipeline.key in self.under_way:
                twins.append(number)
            elif (known := self.known.find(pipeline)) is not None:
                self._record(number, known)
            elif not self._has_room():
                twins.append(number)
                break
            else:
                self.under_way.add(pipeline.key)
                self.running[self.executor.submit(pipeline, self.plan.seed, **self._fidelity(number))] = number
        self.waiting.extendleft(reversed(twins))

    def _fidelity(self, number: int) -> dict[str, Any]:
        """Returns early-stopping thresholds from the results known at the proposal, independent of workers' speed."""
        if self.plan.pruner is None:
            return {}
        delivered = updates_before(number, self.learner.batch_size, self.window) * self.learner.batch_size
        trials = (self.trials[earlier] for earlier in range(delivered))
        return {"stop_below": self.plan.pruner.thresholds([t.result.curve for t in trials if t.state == "complete"])}

    def _seconds_left(self) -> float | None:
        """Returns the seconds until the time limit, less what is kept for later; None without a limit."""
        if self.plan.time_limit is None:
            return None
        return self.started + self.plan.time_limit - self.plan.reserve(list(self.trials.values())) - time.monotonic()

    def _late(self) -> bool:
        left = self._seconds_left()
        return left is not None and left <= 0

    def _has_room(self) -> bool:
        """Returns whether an evaluation that is begun now can be expected to end within the time limit."""
        left = self._seconds_left()
        return left is None or left > self.plan.pace(list(self.trials.values()))

    def _record(self, number: int, result: Result) -> None:
        """Stores a finished evaluation on disk, then passes it to the search."""
        pipeline = self.proposals[number]
        trial = Trial(number, self.plan.seed, pipeline, result, float(self.env.reward(result)))
        if self.store is not None:
            store = self.store.replace if number in self.stored else self.store.add
            store(trial)
        self.known.add(trial)
        self._finish(trial, fresh=True)

    def _finish(self, trial: Trial, *, fresh: bool = False) -> None:
        self.trials[trial.number] = trial
        self.callbacks.on_trial(trial, fresh)

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
            self.trials[number] = compact(self.trials[number], self.env.search_spaces)
        self._tell(self.updates, numbers, numbers_of_learner)
        if self.executor.capacity > 1 and (slow := self.learner_clock.notice()):
            self.callbacks.on_notice(slow)
        if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self._save()

    def _tell(self, updates: int, numbers: range, learner_numbers: dict[str, float]) -> None:
        self.callbacks.on_update(updates, [self.trials[number] for number in numbers], learner_numbers)

    def _save(self) -> None:
        """Writes the checkpoint, including pending proposals."""
        if self.checkpoints is not None and self.updates:
            actions = {n: {a: list(c) for a, c in p.action.items()} for n, p in self.proposals.items()}
            now = checkpoint.Checkpoint(self.origin, self.updates, actions, self.learner.state_dict())
            checkpoint.save(self.checkpoints, now)
            self.saved_at = time.monotonic()

    def _observations(self, rows: int) -> dict[str, Any]:
        """Returns S_i of `rows` episodes."""
        return {agent: np.repeat(shown[None], rows, axis=0) for agent, shown in self.observations.items()}

    def _usual_window(self) -> int:
        """Returns the window that suits the executor."""
        return 1 if isinstance(self.executor, InlineExecutor) else max(DEFAULT_WINDOW, self.executor.capacity)

    def close(self) -> None:
        """Closes the files."""
        self.known.close()
        if self.store is not None:
            self.store.close()


def _plain(result: Result) -> Result:
    """Returns a result as it is stored, without a traceback."""
    return result.plain() if isinstance(result, Raised) else result
