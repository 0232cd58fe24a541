"""`ma2ml train`: search, tell what was found, retrain the best pipeline, save the model."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
import yaml
from rich.console import Console

import ma2ml_env
from ma2ml_agents.catalog import learner_class, make_learner
from ma2ml_agents.executors import Executor, InlineExecutor, ProcessExecutor
from ma2ml_agents.learner import Learner, agent_specs
from ma2ml_agents.loggers import Logger, check_loggers, make_loggers
from ma2ml_agents.progress import SearchProgress
from ma2ml_agents.report import TOP_K, best_in_words, draw_figures
from ma2ml_agents.run_folder import run_folder, write_atomically
from ma2ml_agents.search import Events, check_limits, run_search
from ma2ml_env import AutoMLEnv, Trial, registry
from ma2ml_env.trials import best, top_k_mean

RESULT_FILE, MODEL_FILE = "result.json", "model.safetensors"
FIGURE_BATCH = 10


def _cores() -> int:
    """The cores that this process may use, where the system tells; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class TrainOptions:
    """What `ma2ml train` takes beside the learner's settings."""

    algo: str = "ma2ml"
    """The learner: a name, or package.module:Class for one of your own."""
    env: str = "ma2ml/digits-v0"
    """The environment's id; `ma2ml envs` lists them."""
    budget: int = 80
    """How many pipelines to evaluate."""
    time_limit: float | None = None
    """Seconds after which the search ends even if the budget is not spent; counted anew when a run is resumed."""
    workers: int = field(default_factory=_cores)
    """Local processes that evaluate, one CPU thread each; the default is the number of cores."""
    timeout: float | None = None
    """Seconds that one pipeline may take before it counts as failed."""
    window: int = 4
    """How far proposals may run ahead of results; part of what makes runs equal, so it does not follow --workers."""
    seed: int = 0
    """Of the environment and the learner."""
    out: Path | None = None
    """The run's folder; default runs/<environment>-<algo>-seed<seed>. The same command again resumes."""
    log: tuple[str, ...] = ()
    """Loggers: wandb, tensorboard, or none."""
    set: tuple[str, ...] = ()
    """Settings of the environment as NAME=VALUE, such as epochs=3 or device=cuda."""
    registry: Path | None = None
    """A YAML file with environments of your own."""


def main(argv: Sequence[str], prog: str) -> None:
    """Run the command; raises as `parse_train` and `train` do."""
    options, settings = parse_train(argv, prog)
    train(options, settings, Console())


def parse_train(argv: Sequence[str], prog: str) -> tuple[TrainOptions, dict[str, Any]]:
    """The options of `ma2ml train` and the settings of the learner that they name.

    Args:
        argv: the command's arguments.
        prog: what to call the program in its help.

    Raises:
        ValueError: for an unknown learner.
        SystemExit: with code 2 for an unknown option or a value of a wrong type, with 0 after `--help`.
    """
    algo = _value_of("--algo", argv, TrainOptions.algo)
    settings_class = learner_class(algo).Config
    flat = tyro.conf.arg(name="")
    command = make_dataclass(
        "Train", [("options", Annotated[TrainOptions, flat]), ("learner", Annotated[settings_class, flat])]
    )
    description = f"Search for a pipeline with {algo}, retrain the best one, save the model."
    parsed: Any = tyro.cli(command, args=list(argv), prog=prog, description=description)
    return parsed.options, asdict(parsed.learner)


def _value_of(flag: str, argv: Sequence[str], default: str) -> str:
    """The value of a flag before the rest of the command line is understood; the last one counts."""
    value = default
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if word == flag:
            value = following
        elif word.startswith(f"{flag}="):
            value = word.removeprefix(f"{flag}=")
    return value


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
    _check_ranges(options)
    check_loggers(options.log)
    if options.registry is not None:
        ma2ml_env.register_file(options.registry)
    overrides = _settings(options.set)
    env = ma2ml_env.make(options.env, **overrides)
    env.reset(seed=options.seed)
    learner = make_learner(options.algo, agent_specs(env), seed=options.seed, **settings)
    prepare = getattr(env.evaluator, "prepare", None)
    if prepare is not None:
        prepare()
    torch.set_num_threads(1)  # the cores are the workers'; a learner's tensors are small
    out = options.out or _default_folder(options)
    with run_folder(out, _identity(options, settings, overrides), _resumable(options)):
        trials = _search(env, learner, options, out, console)
        _conclude(env, learner, trials, options, out, console)


def _check_ranges(options: TrainOptions) -> None:
    check_limits(options.budget, options.window, options.time_limit)
    for name, value, least in (("workers", options.workers, 1), ("seed", options.seed, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    if options.timeout is not None and not options.timeout > 0:
        raise ValueError(f"timeout must be above 0 seconds, not {options.timeout}")


def _settings(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts as a dict, values read as YAML."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set takes NAME=VALUE, not {pair!r}")
        try:
            settings[name.replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--set takes NAME=VALUE with a YAML value, not {pair!r}") from error
    return settings


def _default_folder(options: TrainOptions) -> Path:
    environment = options.env.rpartition("/")[2]
    return Path("runs") / f"{environment}-{options.algo.replace(':', '.')}-seed{options.seed}"


def _identity(options: TrainOptions, settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for a run to be resumed."""
    definition = registry.entry(options.env).override(**overrides)
    return {
        "environment": {**asdict(definition), "summary": None},
        "learner": options.algo,
        "settings": dict(settings),
        "window": options.window,
        "seed": options.seed,
    }


def _resumable(options: TrainOptions) -> dict[str, Any]:
    """What may differ, for the reader of config.json."""
    return {name: getattr(options, name) for name in ("budget", "time_limit", "workers", "timeout", "log")}


def _search(env: AutoMLEnv, learner: Learner, options: TrainOptions, out: Path, console: Console) -> list[Trial]:
    console.print(
        f"{options.algo} on {options.env}: {options.budget} pipelines, {options.workers} workers, in {out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    with ExitStack() as stack:
        loggers = make_loggers(options.log, out, _resumable(options) | {"algo": options.algo, "env": options.env})
        for logger in loggers:
            stack.callback(logger.close)
        executor = _executor(env, options)
        stack.callback(executor.shutdown)
        progress = stack.enter_context(SearchProgress(options.budget, console))
        events = Events(progress.show, _log_updates(loggers), progress.notice)
        return run_search(
            env,
            learner,
            options.budget,
            executor=executor,
            out=out,
            window=options.window,
            seed=options.seed,
            time_limit=options.time_limit,
            events=events,
        )


def _executor(env: AutoMLEnv, options: TrainOptions) -> Executor:
    """Worker processes where evaluating takes a while; this process where it is instant."""
    if getattr(env.evaluator, "instant", False):
        return InlineExecutor(env.evaluate)
    return ProcessExecutor(env.evaluate, options.workers, timeout=options.timeout)


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
    result["test_accuracy"] = _retrained(retrain, winner, options.seed, out, say)
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
