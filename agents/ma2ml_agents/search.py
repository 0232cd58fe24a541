"""The search loop: act, evaluate on any executor, update; the same trials whatever the parallelism."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ma2ml_agents import checkpoint
from ma2ml_agents.executors import Executor, InlineExecutor
from ma2ml_agents.learner import Batch, Learner
from ma2ml_env import AutoMLEnv, Pipeline, Result, Trial
from ma2ml_env.trials import TrialLogError, TrialStore

TRIALS_FILE, CHECKPOINT_FOLDER = "trials.db", "checkpoint"
CHECKPOINT_SECONDS = 10.0


def updates_before(number: int, batch_size: int, window: int) -> int:
    """How many updates the learner has had when it proposes a pipeline.

    A proposal may run ahead of the results of the `window - 1` proposals before it. The learner changes
    only with a full batch, so this number, not the timing of workers, decides what it knows.

    Args:
        number: of the proposal, from 0.
        batch_size: results that one update takes, at least 1.
        window: at least 1; 1 means that all earlier results are known.

    Returns:
        The number of updates, at least 0.

    Source: ours.
    """
    return max(0, number - window + 1) // batch_size


@dataclass
class Events:
    """What a search tells while it runs.

    Attributes:
        on_trial: called with (trial, whether it was evaluated now), in the order in which they finish; a resumed
            search tells the stored ones again.
        on_update: called with (updates so far, the batch's trials in order, the learner's numbers).
        on_notice: called with a sentence that the user should read.

    Source: ours.
    """

    on_trial: Callable[[Trial, bool], None] = lambda trial, fresh: None
    on_update: Callable[[int, Sequence[Trial], dict[str, float]], None] = lambda updates, trials, numbers: None
    on_notice: Callable[[str], None] = lambda notice: None


def run_search(
    env: AutoMLEnv,
    learner: Learner,
    budget: int,
    *,
    executor: Executor | None = None,
    out: str | Path | None = None,
    window: int = 1,
    seed: int | None = None,
    time_limit: float | None = None,
    events: Events | None = None,
) -> list[Trial]:
    """Search with a learner until the budget is spent.

    With the same environment, learner, window and seed the trials are the same, whatever the executor,
    its number of workers and the speed of evaluations, interrupted or not.

    Args:
        env: the native form; needs no reset.
        learner: fresh, from `agent_specs(env)`.
        budget: how many pipelines to evaluate, at least 1. A repeated pipeline counts, and gets the result
            that it had.
        executor: evaluates; None for this process. The caller shuts it down.
        out: folder for `trials.db` and `checkpoint/`; a search that is there already goes on. None writes nothing.
        window: how far proposals may run ahead of results, at least 1. An on-policy learner waits at the end
            of its batch instead.
        seed: of the environment; None for the one it has.
        time_limit: seconds after which no evaluation is begun or waited for; None for no limit.
        events: told what happens.

    Returns:
        The finished trials by number; fewer than the budget only if the time limit came first.

    Raises:
        ValueError: for a budget, window or time limit out of range, a damaged `trials.db`, or one that another
            learner wrote.

    Source: ours; the loop is the paper's "sample pipelines, evaluate them, update".
    """
    check_limits(budget, window, time_limit)
    search = _Search(
        env=env,
        learner=learner,
        budget=budget,
        executor=executor or InlineExecutor(env.evaluate),
        window=1 if learner.on_policy else window,
        seed=env.seed if seed is None else seed,
        deadline=None if time_limit is None else time.monotonic() + time_limit,
        store=None if out is None else TrialStore(Path(out) / TRIALS_FILE, env.definition),
        checkpoints=None if out is None else Path(out) / CHECKPOINT_FOLDER,
        events=events or Events(),
    )
    try:
        return search.run()
    finally:
        if search.store is not None:
            search.store.close()


def check_limits(budget: int, window: int, time_limit: float | None) -> None:
    """Raise a ValueError if one of `run_search`'s limits is out of range."""
    for name, value in (("budget", budget), ("window", window)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be above 0 seconds, not {time_limit}")


@dataclass
class _Search:
    """The state of one call of `run_search`."""

    env: AutoMLEnv
    learner: Learner
    budget: int
    executor: Executor
    window: int
    seed: int
    deadline: float | None
    store: TrialStore | None
    checkpoints: Path | None
    events: Events
    trials: dict[int, Trial] = field(default_factory=dict)
    stored: dict[int, Trial] = field(default_factory=dict)
    proposals: dict[int, Pipeline] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    running: dict[Future[Result], int] = field(default_factory=dict)
    origin: str = ""
    proposed: int = 0
    updates: int = 0
    saved_at: float = field(default_factory=time.monotonic)

    def run(self) -> list[Trial]:
        if self.store is not None:
            self.stored = {trial.number: trial for trial in self.store.load(self.env.decode)}
            of_this_seed = [trial for trial in self.stored.values() if trial.seed == self.seed]
            self.results = {trial.pipeline.key: trial.result for trial in of_this_seed}
        self._restore()
        while (first := self.updates * self.learner.batch_size) < self.budget:
            self._propose()
            batch = range(first, min(first + self.learner.batch_size, self.budget))
            if not self._evaluate(batch) or len(batch) < self.learner.batch_size:
                break
            self._update(batch)
        self._save()
        return [self.trials[number] for number in sorted(self.trials)]

    def _restore(self) -> None:
        """Take the learner from the checkpoint, if there is one of use; else replaying will rebuild it."""
        if self.checkpoints is None:
            return
        self.origin = checkpoint.fingerprint(self.learner.state_dict())
        try:
            found = checkpoint.load(self.checkpoints)
        except ValueError as damage:
            self.events.on_notice(f"{damage}; the learner is rebuilt from the trials, of which none is lost")
            return
        learned = found.updates * self.learner.batch_size if found else 0
        if found is None or found.origin != self.origin or learned > self.budget:
            return
        if any(number not in self.stored for number in range(learned)):
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
        actions = self.learner.act(self._observations(count))
        for row in range(count):
            joint = {agent: actions[agent][row] for agent in self.env.possible_agents}
            self._accept(self.proposed, self.env.decode(joint))

    def _accept(self, number: int, pipeline: Pipeline) -> None:
        """Note a proposal, and whether its trial is finished already."""
        self.proposals[number] = pipeline
        self.proposed = number + 1
        if number >= self.budget:
            return
        known = self.stored.get(number)
        if known is None:
            self.waiting.append(number)
        elif known.pipeline == pipeline and known.seed == self.seed:
            self._finish(known)
        else:
            raise TrialLogError(
                f"trial {number} of {self.store.path if self.store else 'the log'} is not what this learner proposes "
                "there: the file is from another learner, setting, seed or version; choose another folder"
            )

    def _evaluate(self, numbers: range) -> bool:
        """Wait until these trials are finished; False if time ran out first."""
        while any(number not in self.trials for number in numbers):
            self._submit()
            left = None if self.deadline is None else self.deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for future in wait(list(self.running), timeout=left, return_when=FIRST_COMPLETED).done:
                number = self.running.pop(future)
                self._record(number, future.result())
        return True

    def _submit(self) -> None:
        """Keep the executor busy; a pipeline that is known or being evaluated waits for that result."""
        under_way = {self.proposals[number].key for number in self.running.values()}
        for _ in range(len(self.waiting)):
            number = self.waiting.popleft()
            pipeline = self.proposals[number]
            if pipeline.key in self.results:
                self._record(number, self.results[pipeline.key])
            elif pipeline.key in under_way or len(self.running) >= self.executor.capacity or self._late():
                self.waiting.append(number)
            else:
                self.running[self.executor.submit(pipeline, self.seed)] = number
                under_way.add(pipeline.key)

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _record(self, number: int, result: Result) -> None:
        """A finished evaluation: durable first, then known to the search."""
        pipeline = self.proposals[number]
        trial = Trial(number, self.seed, pipeline, result, float(self.env.reward(result)))
        if self.store is not None:
            self.store.add(trial)
        self.results[pipeline.key] = result
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
        numbers_of_learner = dict(self.learner.update(batch))
        self.updates += 1
        for number in numbers:
            del self.proposals[number]
        self._tell(self.updates, numbers, numbers_of_learner)
        if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self._save()

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
