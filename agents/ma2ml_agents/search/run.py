"""`run_search`: the same trials whatever the parallelism, interrupted or not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ma2ml_agents.executors import Executor, InlineExecutor
from ma2ml_agents.learner import Learner
from ma2ml_agents.search.callbacks import Events
from ma2ml_agents.search.known_results import CostBounds, KnownResults
from ma2ml_agents.search.limits import check_limits, check_plan
from ma2ml_agents.search.loop import CHECKPOINT_FOLDER, TRIALS_FILE, SearchLoop
from ma2ml_agents.search.pruner import Pruner
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import JointAction


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
    warm_start: Sequence[JointAction] = (),
    bounds: CostBounds | None = None,
    cache: str | Path | None = None,
    pruner: Pruner | None = None,
    events: Events | None = None,
) -> list[Trial]:
    """Search with a learner until the budget is spent.

    With the same environment, learner, window, seed, warm start, bounds and pruner the trials are the same,
    whatever the executor, its number of workers and the speed of evaluations, interrupted or not.

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
        warm_start: joint actions that are evaluated first; the learner gets them as data, in its batches.
        bounds: pipelines that cost more are never evaluated; they are trials of state `infeasible`, of reward 0.
        cache: folder of results that searches share: what another one has evaluated is not evaluated again.
        pruner: stops trainings whose accuracy lags behind; None lets all of them finish.
        events: told what happens.

    Returns:
        The finished trials by number; fewer than the budget only if the time limit came first.

    Raises:
        ValueError: for a budget, window or time limit out of range, a warm start that does not fit or is longer than
            the budget, a damaged `trials.db`, or one that another learner wrote.

    Source: ours; the loop is the paper's "sample pipelines, evaluate them, update".
    """
    check_limits(budget, window, time_limit)
    bounds, cache = bounds or CostBounds(), None if cache is None else Path(cache)
    check_plan(env, budget, warm_start, cache, pruner)
    seed = env.seed if seed is None else seed
    search = SearchLoop(
        env=env,
        learner=learner,
        budget=budget,
        executor=executor or InlineExecutor(env.evaluate),
        window=1 if learner.on_policy else window,
        seed=seed,
        deadline=None if time_limit is None else time.monotonic() + time_limit,
        store=None if out is None else TrialStore(Path(out) / TRIALS_FILE, env.definition),
        checkpoints=None if out is None else Path(out) / CHECKPOINT_FOLDER,
        known=KnownResults(env, seed, bounds, cache),
        warm_start=[env.decode(action) for action in warm_start],
        pruner=pruner,
        events=events or Events(),
    )
    try:
        return search.run()
    except BaseException:
        search.keep_finished()
        raise
    finally:
        search.known.close()
        if search.store is not None:
            search.store.close()
