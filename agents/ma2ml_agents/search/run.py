"""`run_search`: reproducible trials at any parallelism, interrupted or not."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from ma2ml_agents.executors import Executor, InlineExecutor
from ma2ml_agents.learner import Learner
from ma2ml_agents.runs.progress import SearchProgress
from ma2ml_agents.search.callbacks import Callbacks
from ma2ml_agents.search.cost import CostBounds
from ma2ml_agents.search.loop import SearchLoop
from ma2ml_agents.search.outcome import FinishedSearch, report_folder, save_outcome
from ma2ml_agents.search.plan import GIVE_UP_AFTER, SearchPlan
from ma2ml_agents.search.pruner import Pruner
from ma2ml_agents.search.results import compact
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import is_instant
from ma2ml_env.types import JointAction


def run_search(
    env: AutoMLEnv,
    learner: Learner,
    budget: int,
    *,
    executor: Executor | None = None,
    out: str | Path | None = None,
    window: int | None = None,
    seed: int | None = None,
    time_limit: float | None = None,
    warm_start: Sequence[JointAction] = (),
    bounds: CostBounds | None = None,
    cache: str | Path | None = None,
    pruner: Pruner | None = None,
    callbacks: Callbacks | None = None,
    progress: bool = False,
    report: bool = False,
    retry_failed: bool = False,
    give_up_after: int | None = GIVE_UP_AFTER,
) -> list[Trial]:
    """Searches with a learner until the budget is spent.

    With the same environment, learner, window, seed, warm start, bounds and pruner the trials are the same,
    whatever the executor, its number of workers and the speed of evaluations, interrupted or not.

    Args:
        env: the native form; needs no reset, and is neither reset nor stepped.
        learner: fresh, from `agent_specs(env)`.
        budget: number of pipelines to evaluate, at least 1. A repeated pipeline counts, and keeps its
            first result.
        executor: executor of the evaluations; None for this process. The caller shuts it down, by a `with` statement.
        out: folder for `trials.db`, `search.json` and `checkpoint/`; an existing search there is resumed. None for
            no files.
        window: number of proposals that may run ahead of results, at least 1. None for that of the search in `out`; in
            a new one 1 with the inline executor, else 4 or the number of workers, whichever is larger. An on-policy
            learner waits at the end of its batch instead.
        seed: seed of the environment, an integer in [0, 2**63); None for its present one.
        time_limit: seconds after which no evaluation is begun or waited for; None for no limit.
        warm_start: joint actions that are evaluated first; the learner receives them as data, in its batches.
        bounds: bounds on cost; pipelines above them are never evaluated, and are trials of state `infeasible`, of
            reward 0.
        cache: folder of results shared among searches: pipelines that another one evaluated are not evaluated again.
        pruner: early stopping of trainings whose accuracy lags behind; None trains all to the end.
        callbacks: callbacks to invoke.
        progress: show the progress as `ma2ml train` does: a bar on a terminal, a line per evaluation elsewhere,
            about ten in all where they take no time.
        report: write figures, `leaderboard.csv` and `result.json` to `out` at the end, as `ma2ml train` does.
        retry_failed: evaluate the failed trials in `out` again, as after a fix of the evaluator. All trials there
            become data for the learner, like a warm start, and the search resumes from them with the new results.
        give_up_after: number of evaluations after which to stop if all raised the same exception; None for never.

    Returns:
        The finished trials by number; fewer than the budget only if the time limit came first.

    Raises:
        ValueError: for an invalid plan (see `SearchPlan`), a damaged `trials.db`, or one of another problem, learner,
            window or seed; for a report without a folder.
        EvaluatorError: if the first `give_up_after` evaluations all raised the same exception.
    """
    plan = SearchPlan(
        env=env,
        learner=learner,
        budget=budget,
        window=window,
        seed=env.evaluation_seed if seed is None else seed,
        time_limit=time_limit,
        warm_start=warm_start,
        bounds=bounds or CostBounds(),
        cache=None if cache is None else Path(cache),
        pruner=pruner,
        out=None if out is None else Path(out),
        retry_failed=retry_failed,
        give_up_after=give_up_after,
    )
    chosen = executor or InlineExecutor(env.evaluate)
    if report:
        report_folder(plan)
    with ExitStack() as stack:
        shown = stack.enter_context(shown_progress(plan, chosen, Console())) if progress else Callbacks()
        trials = run_plan(plan, executor=chosen, callbacks=shown.chained(callbacks or Callbacks()))
    if report:
        save_outcome(FinishedSearch(plan, trials))
    return trials


@contextmanager
def shown_progress(plan: SearchPlan, executor: Executor, console: Console) -> Iterator[Callbacks]:
    """Shows the progress of a search on a console within a `with` block.

    Args:
        plan: plan of the search.
        executor: its executor.
        console: console to show it on; a live bar if it is a terminal, else plain lines.

    Yields:
        The callbacks that update it.
    """
    started = time.monotonic()

    def limit(trials: Sequence[Trial]) -> float:
        if plan.time_limit is None:
            return math.inf
        return started + plan.time_limit - plan.reserve(trials) - time.monotonic()

    with SearchProgress(plan.budget, console, executor.capacity, is_instant(plan.env.evaluator), limit) as bar:

        def show(trial: Trial, fresh: bool) -> None:
            bar.show(compact(trial, plan.env.search_spaces), fresh)  # the bar keeps it

        yield Callbacks(on_trial=show, on_notice=bar.notice)


def run_plan(plan: SearchPlan, *, executor: Executor | None = None, callbacks: Callbacks | None = None) -> list[Trial]:
    """Runs a plan; arguments, result and exceptions are those of `run_search`."""
    search = SearchLoop(plan, executor or InlineExecutor(plan.env.evaluate), callbacks or Callbacks())
    try:
        return search.run()
    except BaseException:
        search.keep_finished()
        raise
    finally:
        search.close()
