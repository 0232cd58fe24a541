"""`run_search`: the same trials whatever the parallelism, interrupted or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ma2ml_agents.executors import Executor, InlineExecutor
from ma2ml_agents.learner import Learner
from ma2ml_agents.search.callbacks import Callbacks
from ma2ml_agents.search.cost import CostBounds
from ma2ml_agents.search.loop import SearchLoop
from ma2ml_agents.search.plan import GIVE_UP_AFTER, SearchPlan
from ma2ml_agents.search.pruner import Pruner
from ma2ml_env import AutoMLEnv, Trial
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
    retry_failed: bool = False,
    give_up_after: int | None = GIVE_UP_AFTER,
) -> list[Trial]:
    """Search with a learner until the budget is spent.

    With the same environment, learner, window, seed, warm start, bounds and pruner the trials are the same,
    whatever the executor, its number of workers and the speed of evaluations, interrupted or not.

    Args:
        env: the native form; needs no reset, and is neither reset nor stepped.
        learner: fresh, from `agent_specs(env)`.
        budget: number of pipelines to evaluate, at least 1. A repeated pipeline counts, and gets the result
            that it had.
        executor: evaluates; None for this process. The caller shuts it down: use it in a `with` statement.
        out: folder for `trials.db`, `search.json` and `checkpoint/`; a search that is there already goes on. None
            writes nothing.
        window: how far proposals may run ahead of results, at least 1. None for that of the search in `out`; for a
            new one 1 with the inline executor, else 4 or the number of workers, whichever is larger. An on-policy
            learner waits at the end of its batch instead.
        seed: of the environment, any integer in [0, 2**63); None for the one it has.
        time_limit: seconds after which no evaluation is begun or waited for; None for no limit.
        warm_start: joint actions that are evaluated first; the learner gets them as data, in its batches.
        bounds: pipelines that cost more are never evaluated; they are trials of state `infeasible`, of reward 0.
        cache: folder of results that searches share: what another one has evaluated is not evaluated again.
        pruner: stops trainings whose accuracy lags behind; None lets all of them finish.
        callbacks: receive what happens.
        retry_failed: evaluate the failed trials in `out` again, as after a mend of the evaluator. All trials there
            become data for the learner, as a warm start is; so the search goes on from them with the new results.
        give_up_after: stop when the first so many evaluations all raise the same exception; None to go on.

    Returns:
        The finished trials by number; fewer than the budget only if the time limit came first.

    Raises:
        ValueError: for anything in which the plan is not sound (see `SearchPlan`), a damaged `trials.db`, or one of
            another problem, learner, window or seed.
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
    return run_plan(plan, executor=executor, callbacks=callbacks)


def run_plan(plan: SearchPlan, *, executor: Executor | None = None, callbacks: Callbacks | None = None) -> list[Trial]:
    """Carry out a plan; arguments, result and exceptions are those of `run_search`."""
    search = SearchLoop(plan, executor or InlineExecutor(plan.env.evaluate), callbacks or Callbacks())
    try:
        return search.run()
    except BaseException:
        search.keep_finished()
        raise
    finally:
        search.close()
