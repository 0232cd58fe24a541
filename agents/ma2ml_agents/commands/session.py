"""Search and finalists of `ma2ml train`, with what is printed about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ma2ml_agents.commands.finale.pace import PlanWatch, ended_early
from ma2ml_agents.commands.finale.resumed import finalists_of_run, resumed_in_words, trials_of_run
from ma2ml_agents.commands.finale.time_split import TimeSplit
from ma2ml_agents.executors import Executor
from ma2ml_agents.runs.loggers import SearchLog
from ma2ml_agents.runs.progress import CountProgress
from ma2ml_agents.runs.report import TOP_K
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search import Callbacks, SearchPlan, run_plan
from ma2ml_agents.search.finalists import Finalist, FinalistPlan, missing_evaluations, run_finalists
from ma2ml_agents.search.outcome import FinishedSearch
from ma2ml_agents.search.run import shown_progress
from ma2ml_env import Trial
from ma2ml_env.trials import top_k_mean

WORKERS_WAIT = (
    "{workers} workers, but proposals run ahead of results by a window of {window}: some workers will wait; a larger "
    "--window keeps them busy and makes each proposal less informed"
)


@dataclass(frozen=True)
class Session:
    """One session of a search, new or resumed, and of its finalists.

    Attributes:
        plan: plan of the search, with a folder.
        out: that folder.
        title: learner and environment.
        split: split of the time limit.
        executor: executor of all evaluations.
        console: console to write to.
    """

    plan: SearchPlan
    out: Path
    title: str
    split: TimeSplit
    executor: Executor
    console: Console

    def run(self, log: SearchLog) -> FinishedSearch:
        """Runs the search, then its finalists."""
        plan, watch = self.plan, PlanWatch(self.split, self.plan.budget, self.say)
        self._announce()
        stored = trials_of_run(plan.env, self.out, retry_failed=plan.retry_failed)
        again = finalists_of_run(plan.env, self.out, retry_failed=plan.retry_failed)
        if resumed := resumed_in_words(stored, again, plan.budget, self.out):
            self.say(resumed)
        watch.announce(stored)
        with shown_progress(plan, self.executor, self.console) as shown:
            if self.executor.capacity > (plan.window or 1) and not plan.learner.on_policy:
                shown.on_notice(WORKERS_WAIT.format(workers=self.executor.capacity, window=plan.window))
            watched = shown.chained(Callbacks(on_trial=watch.see, on_update=log_updates(log)))
            trials = run_plan(plan, executor=self.executor, callbacks=watched)
        if len(trials) < plan.budget:
            self.say(ended_early(self.split, trials, watch.fresh, plan.budget))

        def missing(extent: FinalistPlan) -> int:
            return missing_evaluations(trials, extent, again, seed=plan.seed)

        extent = self.split.extent(trials, missing)
        if self.split.limit is not None:
            self.say(self.split.in_words(trials, missing(extent)))
        return FinishedSearch(plan, trials, self._finalists(trials, extent), self.title)

    def say(self, line: str) -> None:
        """Prints a line as it is."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _announce(self) -> None:
        """Prints the extent of the run."""
        finalists = f" and {self.split.finalists.in_words}" if self.split.finalists.count else ""
        workers = counted(self.executor.capacity, "worker")
        self.say(f"{self.title}: {counted(self.plan.budget, 'pipeline')}{finalists}, {workers}, in {self.out}")

    def _finalists(self, trials: Sequence[Trial], extent: FinalistPlan) -> list[Finalist]:
        """Evaluates the finalists of a search."""
        distinct = len({trial.pipeline.key for trial in trials if not trial.result.failed})
        wanted = self.split.finalists
        if extent.cost < wanted.cost and distinct:
            fewer = f"{extent.count} of {wanted.count}"
            if extent.count and extent.repeats < wanted.repeats:
                fewer += f", with {extent.repeats} of {counted(wanted.repeats, 'evaluation')} each"
            self.say(f"finalists: {fewer}, as the pipelines and the time allow")
        total = min(extent.count, distinct) * extent.repeats
        if not total:
            return []
        with CountProgress("finalists", total, self.console) as progress:
            found = run_finalists(
                self.plan.env,
                trials,
                extent,
                self.executor,
                seed=self.plan.seed,
                out=self.out,
                deadline=self.split.finalists_deadline(trials),
                retry_failed=self.plan.retry_failed,
                on_trial=lambda trial, fresh: progress.advance(trial.summary),
            )
        rounds = len(found[0].again) if found else 0
        if rounds < extent.repeats:
            of = counted(extent.repeats, "evaluation")
            self.say(f"the time limit came first: finalists have {rounds} of {of} each")
        return found


def log_updates(log: SearchLog) -> Callable[[int, Sequence[Trial], Mapping[str, float]], None]:
    """Returns a callback that passes the figures of each update to loggers."""
    seen: list[Trial] = []

    def update(updates: int, batch: Sequence[Trial], numbers: Mapping[str, float]) -> None:
        seen.extend(batch)
        if not log:
            return
        figures = {
            "reward/batch_mean": sum(trial.reward for trial in batch) / len(batch),
            f"reward/top_{TOP_K}_mean": top_k_mean(seen, TOP_K),
            "reward/best": max(trial.reward for trial in seen),
            "accuracy/best": max(trial.result.accuracy for trial in seen),
            "updates": float(updates),
        }
        log.log(len(seen), figures | {f"learner/{name}": value for name, value in numbers.items()})

    return update
