"""`ma2ml train`: search, tell what was found, retrain the best pipeline, save the model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import ma2ml_env
from ma2ml_agents.commands.train_options import TrainOptions, parse_train
from ma2ml_agents.executors import Executor, InlineExecutor, ProcessExecutor
from ma2ml_agents.learner import Learner, agent_specs
from ma2ml_agents.learners import make_learner
from ma2ml_agents.runs.folder import check_folder, run_folder, write_atomically
from ma2ml_agents.runs.loggers import Logger, check_loggers, make_loggers
from ma2ml_agents.runs.progress import SearchProgress
from ma2ml_agents.runs.report import TOP_K, best_in_words, draw_figures
from ma2ml_agents.search import Callbacks, SearchPlan, run_plan
from ma2ml_agents.search.pruner import make_pruner
from ma2ml_agents.search.warm_start import read_warm_start
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.trials import best, top_k_mean
from ma2ml_env.types import JointAction

WARM_START_FILE = "warm_start.json"
RESULT_FILE, MODEL_FILE = "result.json", "model.safetensors"
FIGURE_BATCH = 10


def main(argv: Sequence[str], prog: str) -> None:
    """Run the command; raises as `parse_train` and `train` do."""
    options, settings = parse_train(argv, prog)
    train(options, settings, Console())


def train(options: TrainOptions, settings: Mapping[str, Any], console: Console) -> None:
    """Run the command.

    Args:
        options: the command's own.
        settings: of the learner.
        console: where to write.

    Raises:
        ValueError: for anything wrong in the options, before a file is written.
        TrialLogError: if the run's trial log cannot be used.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; nothing that was evaluated is lost.
    """
    options.check()
    check_loggers(options.log)
    if options.registry is not None:
        ma2ml_env.register_file(options.registry)
    env = ma2ml_env.make(options.env, **options.overrides())
    env.reset(seed=options.seed)
    learner = make_learner(options.algo, agent_specs(env), seed=options.seed, **settings)
    prepare = getattr(env.evaluator, "prepare", None)
    if prepare is not None:
        prepare()
    torch.set_num_threads(1)  # the cores are the workers'; a learner's tensors are small
    out = options.folder()
    check_folder(out, options.identity(settings))
    warm_start = _warm_start(options, env, out, console)
    plan = _plan(env, learner, warm_start, options, out)
    with run_folder(out, options.identity(settings), options.resumable()):
        if warm_start:
            first = [{agent: list(indices) for agent, indices in action.items()} for action in warm_start]
            write_atomically(out / WARM_START_FILE, json.dumps(first) + "\n")
        trials = _search(plan, options, out, console)
        _conclude(env, learner, trials, options, out, console)


def _warm_start(options: TrainOptions, env: AutoMLEnv, out: Path, console: Console) -> list[JointAction]:
    """What is evaluated first: what it was when the run began, whatever the files say now."""
    kept = out / WARM_START_FILE
    return read_warm_start([str(kept)] if kept.exists() else options.warm_start, env, console)


def _plan(
    env: AutoMLEnv, learner: Learner, warm_start: Sequence[JointAction], options: TrainOptions, out: Path
) -> SearchPlan:
    return SearchPlan(
        env=env,
        learner=learner,
        budget=options.budget,
        window=options.window,
        seed=options.seed,
        time_limit=options.time_limit,
        warm_start=warm_start,
        bounds=options.bounds(),
        cache=options.cache,
        pruner=make_pruner(options.prune),
        out=out,
    )


def _search(plan: SearchPlan, options: TrainOptions, out: Path, console: Console) -> list[Trial]:
    with ExitStack() as stack:
        loggers = make_loggers(options.log, out, options.resumable() | {"algo": options.algo, "env": options.env})
        for logger in loggers:
            stack.callback(logger.close)
        executor = _executor(plan.env, options)
        stack.callback(executor.shutdown)
        workers = f"{executor.capacity} worker{'s' * (executor.capacity > 1)}"
        headline = f"{options.algo} on {options.env}: {options.budget} pipelines, {workers}, in {out}"
        console.print(headline, highlight=False, markup=False, soft_wrap=True)
        progress = stack.enter_context(SearchProgress(options.budget, console))
        if executor.capacity > options.window and not plan.learner.on_policy:
            progress.notice(
                f"{executor.capacity} workers, but proposals run ahead of results by a window of {options.window}: "
                "some workers will wait; a larger --window keeps them busy and makes each proposal less informed"
            )
        shown = Callbacks(progress.show, _log_updates(loggers), progress.notice)
        return run_plan(plan, executor=executor, callbacks=shown)


def _executor(env: AutoMLEnv, options: TrainOptions) -> Executor:
    """Where pipelines are evaluated; worker processes only where evaluating takes a while."""
    if options.executor == "ray":
        from ma2ml_agents.executors.ray import RayExecutor

        return RayExecutor(
            env.evaluate,
            address=options.address,
            cpus_per_trial=options.cpus_per_trial,
            gpus_per_trial=options.gpus_per_trial,
            timeout=options.timeout,
        )
    if options.executor == "inline" or getattr(env.evaluator, "instant", False):
        return InlineExecutor(env.evaluate)
    memory_limit = None if options.memory_limit is None else round(options.memory_limit * 2**30)
    return ProcessExecutor(env.evaluate, options.workers, timeout=options.timeout, memory_limit=memory_limit)


def _log_updates(loggers: Sequence[Logger]) -> Callable[[int, Sequence[Trial], dict[str, float]], None]:
    seen: list[Trial] = []

    def log(updates: int, batch: Sequence[Trial], numbers: dict[str, float]) -> None:
        seen.extend(batch)
        if not loggers:
            return
        figures = {
            "reward/batch_mean": sum(trial.reward for trial in batch) / len(batch),
            f"reward/top_{TOP_K}_mean": top_k_mean(seen, TOP_K),
            "reward/best": max(trial.reward for trial in seen),
            "accuracy/best": max(trial.result.accuracy for trial in seen),
            "updates": float(updates),
        }
        for logger in loggers:
            logger.log(len(seen), figures | {f"learner/{name}": value for name, value in numbers.items()})

    return log


def _conclude(
    env: AutoMLEnv, learner: Learner, trials: Sequence[Trial], options: TrainOptions, out: Path, console: Console
) -> None:
    """Everything that comes after the search."""

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if len(trials) < options.budget:
        say(f"the time limit came first: {len(trials)} of {options.budget} pipelines were evaluated")
    say(f"\nbest pipelines\n\n{best_in_words(trials)}\n")
    if trials:
        size = learner.batch_size if learner.batch_size > 1 else FIGURE_BATCH
        figures = draw_figures(trials, size, out, f"{options.algo} on {options.env}")
        say(f"figures: {', '.join(str(figure) for figure in figures)}")
    winner = best(trials)
    if winner is None:
        return
    retrain = getattr(env.evaluator, "retrain", None)
    result = {
        "trial": winner.number,
        "reward": winner.reward,
        "accuracy": winner.result.accuracy,
        "trials": len(trials),
    }
    if retrain is None:
        write_atomically(out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
        return
    try:
        result["test_accuracy"] = _retrained(retrain, winner, options.seed, out, say)
    except (ArithmeticError, MemoryError, RuntimeError) as failure:
        write_atomically(out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
        say(f"the longer training of pipeline {winner.number} failed, so there is no model: {failure}")
        return
    write_atomically(out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    say(f"retrained on train + validation: test accuracy {result['test_accuracy']:.2%}")
    say(f"the trained model is {out / MODEL_FILE}; load it with\n")
    say(f"    from ma2ml_env import load_model\n    model = load_model({str(out / MODEL_FILE)!r})")
    say("    print(model.predict(model.task.load().test.pixels[:10]))\n")


def _retrained(retrain: Any, winner: Trial, seed: int, out: Path, say: Callable[[str], None]) -> float:
    """Retrain and save the best pipeline, unless the folder has it from an earlier run of the command."""
    if (out / RESULT_FILE).exists() and (out / MODEL_FILE).exists():
        earlier = json.loads((out / RESULT_FILE).read_text(encoding="utf-8"))
        if earlier.get("trial") == winner.number and "test_accuracy" in earlier:
            return float(earlier["test_accuracy"])
    started = time.monotonic()
    model, test_accuracy = retrain(winner.pipeline, seed=seed)
    model.save(out / MODEL_FILE)
    say(f"retrained pipeline {winner.number} in {time.monotonic() - started:.0f} s")
    return float(test_accuracy)
