"""`ma2ml train`: searches, reports the results, retrains the best pipeline and saves the model."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

import ma2ml_env
from ma2ml_agents.commands.cost_check import check_bounds
from ma2ml_agents.commands.data import with_data
from ma2ml_agents.commands.finale.outcome import conclude
from ma2ml_agents.commands.finale.time_split import LEAST_SEARCH, MOST_FINAL, TimeSplit
from ma2ml_agents.commands.options import cores, flat, one_thread, register_environments
from ma2ml_agents.commands.session import Session
from ma2ml_agents.commands.train_options import TrainOptions, parse_train
from ma2ml_agents.executors import Executor, InlineExecutor, ProcessExecutor
from ma2ml_agents.learner import agent_specs
from ma2ml_agents.learners import learner_from_config
from ma2ml_agents.runs.folder import check_folder, run_folder
from ma2ml_agents.runs.loggers import SearchLog, check_loggers
from ma2ml_agents.search import SearchPlan
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_agents.search.plan import GIVE_UP_AFTER, most_in_flight
from ma2ml_agents.search.pruner import make_pruner
from ma2ml_agents.search.warm_start import default_action, read_warm_start
from ma2ml_env import AutoMLEnv
from ma2ml_env.evaluator import Preparing, Savable, is_instant
from ma2ml_env.files import write_text
from ma2ml_env.image_proxy import PIPELINES, SearchTime
from ma2ml_env.types import JointAction

MOST_LOADING = 15.0
"""Most seconds of processor time that a worker is taken to need for loading its libraries."""
WARM_START_FILE = "warm_start.json"


def main(argv: Sequence[str], prog: str) -> int:
    """Runs the command; raises the errors of `parse_train` and `train`."""
    return train(parse_train(argv, prog), Console())


def train(options: TrainOptions, console: Console) -> int:
    """Runs the command.

    Args:
        options: options of the command, and settings of the learner.
        console: console to write to.

    Returns:
        Exit code: 0, or 1 if no pipeline succeeded.

    Raises:
        MA2MLError: for invalid options, before a file is written.
        TrialLogError: if the run's trial log cannot be used.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; finished evaluations are kept.
    """
    started = time.monotonic()
    options.check()
    one_thread()
    register_environments([options.search.registry])
    options, expected = with_data(options, console, _search_time(options, started))
    identity, out = _identity(options)
    console.print("preparing the search", highlight=False)
    check_loggers(options.loggers())
    env = ma2ml_env.make(options.search.env, **options.overrides())
    plan = _plan(env, options, out, console)
    if isinstance(env.evaluator, Preparing):
        env.evaluator.prepare()
    if isinstance(env.evaluator, Savable):
        env.evaluator.check_savable()
    check_bounds(env, plan.bounds, lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True))
    with run_folder(out, identity, options.resumable()), closing(_log(options, console)) as log:
        if plan.warm_start:
            _keep_warm_start(plan.warm_start, out)
        with ExitStack() as stack:
            executor = _executor(env, options)
            stack.callback(executor.shutdown)
            split = TimeSplit(
                options.time_limit(),
                env,
                options.finalists(),
                min(executor.capacity, most_in_flight(plan.learner, options.search.window)),
                started,
                *expected,
                fixed_finalists=options.finale.finalists is not None,
                repeats=options.finale.finalist_trials,
            )
            plan = replace(plan, time_limit=split.search_limit(), reserve=split.after_search, pace=split.pace)
            title = f"{options.search.algo} on {options.search.env}"
            search = Session(plan, out, title, split, executor, console).run(log)
        return conclude(search, out, split, log, console)


def _search_time(options: TrainOptions, started: float) -> SearchTime:
    """Returns the least time that there is for the search, before its environment is known."""
    limit = options.time_limit()
    return SearchTime(
        ends=math.inf if limit is None else started + LEAST_SEARCH * limit,
        workers=1 if options.evaluation.executor == "inline" else min(options.workers(), options.search.window),
        pipelines=min(PIPELINES, options.search.budget),
        cores=cores(),
        loading=0.0 if options.evaluation.executor == "inline" else min(time.process_time(), MOST_LOADING),
        final=math.inf if limit is None else MOST_FINAL * limit,
    )


def _identity(options: TrainOptions) -> tuple[dict[str, Any], Path]:
    """Returns identity and folder of the run; checks that the folder belongs to this run."""
    identity, out = options.identity(), options.folder()
    check_folder(out, identity)
    return identity, out


def _plan(env: AutoMLEnv, options: TrainOptions, out: Path, console: Console) -> SearchPlan:
    """Returns the checked plan of the search, whose budget is what the finalists leave, before its time is split."""
    search = options.search
    return SearchPlan(
        env=env,
        learner=learner_from_config(search.algo, agent_specs(env), options.config, search.seed),
        budget=search.budget - options.finalists().cost,
        window=search.window,
        seed=search.seed,
        warm_start=_warm_start(options, env, out, console),
        bounds=options.bounds(),
        cache=options.evaluation.cache,
        pruner=make_pruner(options.evaluation.prune),
        out=out,
        retry_failed=options.evaluation.retry_failed,
        give_up_after=None if options.evaluation.ignore_failures else GIVE_UP_AFTER,
    )


def _warm_start(options: TrainOptions, env: AutoMLEnv, out: Path, console: Console) -> list[JointAction]:
    """Returns the pipelines to evaluate first: those the run began with, even if the files have changed since.

    Own images begin with the default of every space, a usual network and recipe, which a search should not fall behind.
    """
    kept = out / WARM_START_FILE
    words = [str(kept)] if kept.exists() else flat(options.search.warm_start)
    if not words and options.data.data is not None and not (out / TRIALS_FILE).exists():
        return [default_action(env)]
    return read_warm_start(words, env, console)


def _keep_warm_start(actions: Sequence[JointAction], out: Path) -> None:
    first = [{agent: list(indices) for agent, indices in action.items()} for action in actions]
    write_text(out / WARM_START_FILE, json.dumps(first) + "\n")


def _log(options: TrainOptions, console: Console) -> SearchLog:
    """Returns the loggers of the run."""
    about = options.resumable() | {"algo": options.search.algo, "env": options.search.env}

    def notice(sentence: str) -> None:
        console.print(f"note: {sentence}", highlight=False, markup=False, soft_wrap=True)

    return SearchLog(options.loggers(), options.folder(), about, notice)


def _in_process(env: AutoMLEnv, options: TrainOptions) -> bool:
    """True if evaluations run in this process: worker processes are only for those that take time."""
    return options.evaluation.executor == "inline" or is_instant(env.evaluator)


def _executor(env: AutoMLEnv, options: TrainOptions) -> Executor:
    """Returns the executor."""
    evaluation = options.evaluation
    if evaluation.executor == "ray":
        from ma2ml_agents.executors.ray import RayExecutor

        return RayExecutor(
            env.evaluate,
            address=evaluation.address,
            cpus_per_trial=evaluation.cpus_per_trial,
            gpus_per_trial=evaluation.gpus_per_trial,
            timeout=evaluation.timeout,
        )
    if _in_process(env, options):
        return InlineExecutor(env.evaluate)
    memory_limit = None if evaluation.memory_limit is None else round(evaluation.memory_limit * 2**30)
    return ProcessExecutor(env.evaluate, options.workers(), timeout=evaluation.timeout, memory_limit=memory_limit)
