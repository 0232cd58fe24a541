"""`ma2ml retrain`: trains the best pipelines of a run several times each; mean and spread of test accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from ma2ml_agents.commands.finale.retrainings import Retraining, Retrainings, retrain_table
from ma2ml_agents.commands.model_files.run_facts import facts_of_run
from ma2ml_agents.commands.options import one_thread, parse
from ma2ml_agents.runs.environment import entry_of_run
from ma2ml_agents.runs.folder import lock_folder
from ma2ml_agents.runs.training_progress import TrainingProgress
from ma2ml_agents.search.finalists import ranked_trials
from ma2ml_agents.search.loop import CHECKPOINT_FOLDER, TRIALS_FILE
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.errors import MA2MLError, UnsupportedError
from ma2ml_env.evaluator import Preparing, Resumable, Savable, Shortenable, TrainsNetworks
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import derived_seed

POOL_SEED = 0x9001
MODELS_FOLDER = "models"
SCALES = ("repeats", "filters")
"""Fields of a network skeleton that make it deeper and wider."""


@dataclass(frozen=True)
class RetrainOptions:
    """Train the best pipelines of a run several times each: mean and deviation of test accuracy, and their models."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    top: int = 1
    """Number of pipelines: finalists first, then by observed reward."""
    trials: int = 5
    """Trainings of each, under different seeds."""
    epochs: int | None = None
    """Epochs of a training; by default those of the environment's final training."""
    repeats: int | None = None
    """Cells of a stage in the trained networks, where the network's skeleton has it."""
    filters: int | None = None
    """Filters of the first stage in the trained networks, where the network's skeleton has it."""
    pool: int | None = None
    """Choose the pipelines among so many of the best: each is trained once as in the search, in the scaled network, and
    the best by validation accuracy are trained to the end."""
    trial: int | None = None
    """Train the pipeline of this trial alone, in place of the best."""


def main(argv: Sequence[str], prog: str) -> int:
    """Runs the command; returns 1 if no training succeeded."""
    options: RetrainOptions = parse(RetrainOptions, argv, prog)
    _check(options)
    one_thread()
    console = Console()
    env = _scaled_env(options)
    with lock_folder(options.run):
        trials = _stored_trials(options.run, env)
        if isinstance(env.evaluator, Preparing):
            env.evaluator.prepare()
        if isinstance(env.evaluator, Savable):
            env.evaluator.check_savable()
        chosen = _chosen(options, env, trials, console)
        costs = {trial.number: env.cost(trial.pipeline) for trial in chosen}
        found = _train_all(options, env, chosen, console)
    console.print()
    console.print(retrain_table(found, costs), soft_wrap=True)
    if any(training.error is None for training in found):
        console.print(f"the models are in {options.run / MODELS_FOLDER}", highlight=False, markup=False, soft_wrap=True)
    return 0 if any(training.error is None for training in found) else 1


def training_seed(number: int) -> int:
    """Returns the environment's seed of a training, in [0, 2**63), the same for all pipelines.

    Args:
        number: number of the training, from 0.
    """
    return derived_seed(f"retrain {number}")


def _check(options: RetrainOptions) -> None:
    for name in ("top", "trials", "epochs", "repeats", "filters", "pool"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise MA2MLError(f"{name} must be at least 1, not {value}")
    if options.pool is not None and options.pool < options.top:
        raise MA2MLError(f"a pool of {options.pool} pipelines is smaller than the {options.top} to choose from it")
    if options.trial is not None and options.pool is not None:
        raise MA2MLError("--trial names the pipeline, so --pool has nothing to choose; give one of them")


def _scaled_env(options: RetrainOptions) -> AutoMLEnv:
    """Returns the run's environment with the wanted epochs, and its network with the wanted depth and width."""
    entry = entry_of_run(options.run)
    env = entry.build()
    if not isinstance(env.evaluator, Resumable):
        raise UnsupportedError(f"{env.name} trains no networks, so nothing can be trained longer")
    scales = {name: getattr(options, name) for name in SCALES if getattr(options, name) is not None}
    network: Any = env.evaluator.network if isinstance(env.evaluator, TrainsNetworks) else None
    offered = [field.name for field in fields(network)] if network is not None else []
    for name in scales:
        if name not in offered:
            raise UnsupportedError(
                f"--{name} does not apply: the networks of {env.name} are of kind {type(network).__name__}, whose "
                f"sizes are {', '.join(offered) or 'those of the search'}"
            )
    epochs = {} if options.epochs is None else {"retrain_epochs": options.epochs}
    return entry.override(**scales, **epochs).build() if scales or epochs else env


def _stored_trials(run: Path, env: AutoMLEnv) -> list[Trial]:
    if not (run / TRIALS_FILE).exists():
        raise MA2MLError(f"there are no trials in {run}: it holds no {TRIALS_FILE}")
    store = TrialStore(run / TRIALS_FILE)  # of the search's network, which may be smaller
    try:
        return store.load(env.decode)
    finally:
        store.close()


def _chosen(options: RetrainOptions, env: AutoMLEnv, trials: Sequence[Trial], console: Console) -> list[Trial]:
    """Returns the trials whose pipelines are trained."""
    if options.trial is not None:
        named = [trial for trial in trials if trial.number == options.trial]
        if not named:
            raise MA2MLError(f"{options.run} holds no trial {options.trial}; it holds {len(trials)}, from 0")
        return named
    ranked = ranked_trials(trials, options.run)
    if not ranked:
        raise MA2MLError(f"no pipeline in {options.run} succeeded, so there is none to train")
    if options.pool is None:
        return ranked[: options.top]
    return _best_of_pool(options, env, ranked[: options.pool], console)


def _best_of_pool(options: RetrainOptions, env: AutoMLEnv, pool: Sequence[Trial], console: Console) -> list[Trial]:
    """Returns the best of a pool by validation accuracy after one training as in the search; each is stored."""
    store = TrialStore(options.run / f"pool-{env.definition}.db", env.definition)
    accuracies: dict[int, float] = {}
    try:
        for place, trial in enumerate(pool, start=1):
            result = store.find(trial.pipeline, POOL_SEED)
            if result is None:
                result = env.evaluate(trial.pipeline, seed=POOL_SEED)
                store.append(Trial(0, POOL_SEED, trial.pipeline, result, float(env.reward(result))))
            accuracies[trial.number] = result.accuracy
            said = result.error or f"validation accuracy {result.accuracy:.2%}"
            console.print(f"pool: {place}/{len(pool)}, pipeline {trial.number}: {said}", highlight=False, markup=False)
    finally:
        store.close()
    return sorted(pool, key=lambda trial: -accuracies[trial.number])[: options.top]


def _train_all(options: RetrainOptions, env: AutoMLEnv, chosen: Sequence[Trial], console: Console) -> list[Retraining]:
    """Trains what is missing, and writes each training as it ends."""
    evaluator = env.evaluator
    assert isinstance(evaluator, Resumable)
    done, found = Retrainings(options.run), list[Retraining]()
    for trial in chosen:
        for number in range(options.trials):
            wanted = Retraining(
                trial=trial.number,
                key=trial.pipeline.key,
                number=number,
                epochs=evaluator.retrain_epochs,
                definition=env.definition,
            )
            stored = done.find(wanted)
            found.append(stored or done.add(_train(options, env, trial, wanted, console)))
    return found


def _train(options: RetrainOptions, env: AutoMLEnv, trial: Trial, wanted: Retraining, console: Console) -> Retraining:
    evaluator = env.evaluator
    assert isinstance(evaluator, Resumable)
    label = f"pipeline {trial.number}, training {wanted.number + 1} of {options.trials}"
    checkpoint = options.run / CHECKPOINT_FOLDER / f"retrain-{wanted.name}.pt"
    with TrainingProgress(label, wanted.epochs, console) as progress:
        in_steps: Any = {"on_step": progress.advance} if isinstance(evaluator, Shortenable) else {}
        try:
            model, accuracy = evaluator.retrain_observed(
                trial.pipeline,
                seed=training_seed(wanted.number),
                checkpoint=checkpoint,
                on_epoch=progress.show,
                **in_steps,
            )
        except (ArithmeticError, MemoryError, RuntimeError) as failure:
            found = replace(wanted, error=str(failure).partition("\n")[0])
        else:
            found = replace(wanted, test_accuracy=float(accuracy))
            about = {
                "trial": trial.number,
                "epochs": wanted.epochs,
                "seed": training_seed(wanted.number),
                "accuracy": trial.result.accuracy,
                "test_accuracy": found.test_accuracy,
            }
            model.about = facts_of_run(options.run, about)
            (options.run / MODELS_FOLDER).mkdir(exist_ok=True)
            model.save(options.run / MODELS_FOLDER / f"trial{trial.number}-{wanted.name}.safetensors")
    checkpoint.unlink(missing_ok=True)
    said = found.error or f"test accuracy {found.test_accuracy:.2%}"
    console.print(f"{label}: {said}", highlight=False, markup=False, soft_wrap=True)
    return found
