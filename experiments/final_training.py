"""Measure what belongs into the final training, on validation images that it does not train on.

    MA2ML_DATA=data python experiments/final_training.py
    python experiments/final_training.py --folders FOLDER... [--epochs 20 35 50 70]
    python experiments/final_training.py --show

The best pipelines of the stored tables are trained for as many epochs as the final training has, on the train part
alone: by their own recipes, and with changes that take nothing away from a recipe: a cosine schedule with a warm-up and
label smoothing, or the data set's standard augmentation before the policy's. Weights averaged over a share of the steps
are evaluated beside the last ones, in the same training.

Folders of images, in `train` and `val`, have two pipelines, the default of the spaces, which augments nothing, and the
same with a policy drawn at random. Their further changes are TrivialAugment in place of the policy and after it.

Trainings are appended to `results/final_training/runs.csv` and not repeated, those of the first seed first; the table
goes to `results/final_training/final_training.md`.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from csv_rows import append_rows, finished
from proxies import FINAL, SEARCH_STRIDE
from timm.utils import ModelEmaV3
from torch import nn

import ma2ml_env
from ma2ml_env import AutoMLEnv, Pipeline
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.from_images import entry_from_images
from ma2ml_env.search_spaces.autoaugment import Policy, SubPolicy
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.search_spaces.trivialaugment import trivial_augment
from ma2ml_env.surrogate.evaluations_file import read_evaluations
from ma2ml_env.training.loop import Fit, Fitting, Normalization, accuracy
from ma2ml_env.trials import top_k

HERE = Path(__file__).parent
RUNS, PAGE = HERE / "results/final_training/runs.csv", HERE / "results/final_training/final_training.md"
TABLES = {
    "ma2ml/cifar10-16px-v0": (HERE / "results/cifar10-16px-v0.csv.xz", 2),
    "ma2ml/digits-v0": (HERE / "results/digits-v0-more.csv.xz", 3),
}
SEEDS = 2
WARMUP, SMOOTHING = 0.05, 0.1
WINDOWS = (0.0, 0.02, 0.05, 0.1)
"""Shares of the steps over which weights are averaged; 0 for the last weights."""
SHOWN = 112_000
"""Images that a training on a folder sees in all if no number of epochs is given: those of six minutes."""
NONE, SMOOTHED, STANDARD = "none", "cosine, warm-up, smoothing", "standard augmentation"
TRIVIAL, AFTER = "TrivialAugment", "TrivialAugment after the policy"
CHANGES = {"ma2ml/digits-v0": (NONE, SMOOTHED), "ma2ml/cifar10-16px-v0": (NONE, SMOOTHED, STANDARD)}
DEFAULT_CHANGES, POLICY_CHANGES = (NONE, TRIVIAL), (NONE, TRIVIAL, AFTER)
"""Changes of the default pipeline of a folder, and of the one with a policy."""
CELL = ["problem", "pipeline", "seed", "change"]
COLUMNS = [*CELL, *(f"window_{window}" for window in WINDOWS), "seconds"]


class Averages:
    """Several averages of the same weights, where a training has one."""

    def __init__(self, network: nn.Module, decays: Sequence[float]) -> None:
        self.models = [ModelEmaV3(network, decay=decay, foreach=True) for decay in decays]
        self.module = network

    def update(self, network: nn.Module) -> None:
        """Take the weights after a step."""
        for model in self.models:
            model.update(network)


def changed(recipe: Recipe, change: str) -> Recipe:
    """The recipe with a change that takes nothing away from it."""
    if change != SMOOTHED:
        return recipe
    smoothing = max(recipe.label_smoothing, SMOOTHING)
    return replace(recipe, schedule="cosine", warmup=max(recipe.warmup, WARMUP), label_smoothing=smoothing)


class Training(NamedTuple):
    """A training to make.

    Attributes:
        problem: name of the problem.
        env: its environment, whose final training is measured.
        pipeline: to train.
        change: of the training.
        seed: of the training.
    """

    problem: str
    env: AutoMLEnv
    pipeline: Pipeline
    change: str
    seed: int = 0


def of_tables() -> Iterator[Training]:
    """The best pipelines of the stored tables, by their first training."""
    for problem, (table, count) in TABLES.items():
        env = ma2ml_env.make(problem)
        trials = [trial for run in read_evaluations(table, env).values() for trial in run]
        for change, trial in itertools.product(CHANGES[problem], top_k(trials, count)):
            yield Training(problem, env, trial.pipeline, change)


def of_folder(folder: Path, epochs: int | None) -> Iterator[Training]:
    """The default pipeline of a folder of images, and the same with a policy."""
    entry = entry_from_images(folder, device="cpu", stem_stride=SEARCH_STRIDE, epochs=1).entry
    epochs = epochs or SHOWN // len(entry.build().evaluator.task.load().train)
    env = entry.override(stem_stride=FINAL.stride, retrain_epochs=epochs).build()
    problem = f"{folder.name}, {epochs} epochs"
    default = {name: space.default for name, space in env.search_spaces.items()}
    policy = env.search_spaces["aug"].sample(np.random.default_rng(0))
    for change in DEFAULT_CHANGES:
        yield Training(problem, env, env.decode(default), change)
    for change in POLICY_CHANGES:
        yield Training(f"{problem}, a policy", env, env.decode({**default, "aug": policy}), change)


def with_trivial_augment(policy: Policy, change: str) -> Policy:
    """TrivialAugment in place of a policy or after it, each drawn independently; the policy with another change."""
    if change == AFTER:
        pairs = itertools.product(policy.subpolicies, trivial_augment().subpolicies)
        return Policy(tuple(SubPolicy((*first.operations, *second.operations)) for first, second in pairs))
    return trivial_augment() if change == TRIVIAL else policy


def measure(training: Training) -> list[float]:
    """Validation accuracy with every window of the average, and the seconds of the training."""
    _, env, pipeline, change, seed = training
    started, evaluator = time.process_time(), cast("TrainEvaluator", env.evaluator)
    task, epochs, recipe = evaluator.task, evaluator.retrain_epochs, changed(pipeline["hpo"], change)
    splits, cpu, number = task.load(), torch.device("cpu"), pipeline.random_seed(seed)
    normalization = Normalization.of(splits.train)
    standard = "pad_crop_flip" if change == STANDARD else getattr(task, "augmentation", "none")
    policy, classes = with_trivial_augment(pipeline["aug"], change), len(task.classes)
    fitting = Fitting(splits.train, normalization, policy, recipe, epochs, classes, cpu, standard)
    torch.manual_seed(number)
    fit = Fit(evaluator.build(pipeline), fitting, torch.Generator().manual_seed(number))
    averages = Averages(fit.network, [1 - 1 / max(1.0, window * fit.steps) for window in WINDOWS[1:]])
    fit.average = cast("ModelEmaV3", averages)
    for _ in range(epochs):
        fit.run_epoch()
    networks = [fit.network, *(model.module for model in averages.models)]
    found = [accuracy(network, splits.validation, normalization) for network in networks]
    return [*found, time.process_time() - started]


def missing(wanted: Sequence[Training]) -> Iterator[Training]:
    """The trainings to make, those of the first seed first."""
    done = finished(RUNS, CELL)
    for seed, each in itertools.product(range(SEEDS), wanted):
        if (each.problem, each.pipeline.key, seed, each.change) not in done:
            yield each._replace(seed=seed)


def page(runs: pd.DataFrame) -> str:
    """Mean accuracy by problem, change and window, and its gain over no change on the same pipelines and seeds."""
    lines = ["# Final training", "", *(part.replace("\n", " ") + "\n" for part in (__doc__ or "").split("\n\n")[2:4])]
    windows = " | ".join(f"average of {window:.0%}" for window in WINDOWS[1:])
    lines += [f"| problem | change | last weights | {windows} | gain of the last | trainings |", f"|{'---|' * 7}"]
    last = f"window_{WINDOWS[-1]}"
    usual = runs[runs.change == NONE].set_index(CELL[:3])[last]
    for (problem, change), rows in runs.groupby(["problem", "change"], sort=False):
        rows = rows.set_index(CELL[:3])
        means = " | ".join(f"{rows[f'window_{window}'].mean():.2%}" for window in WINDOWS)
        gain = (rows[last] - usual.reindex(rows.index)).dropna()
        lines.append(f"| {problem} | {change} | {means} | {gain.mean():+.2%} | {len(rows)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=Path, nargs="*", default=[], help="images to train on instead")
    parser.add_argument("--epochs", type=int, nargs="*", default=[None], help="lengths of the trainings on them")
    parser.add_argument("--show", action="store_true", help="train nothing, write the table")
    given: Any = parser.parse_args()
    torch.set_num_threads(1)
    RUNS.parent.mkdir(parents=True, exist_ok=True)
    of_folders = [each for pair in itertools.product(given.folders, given.epochs) for each in of_folder(*pair)]
    for training in () if given.show else missing(of_folders or list(of_tables())):
        numbers = measure(training)
        row = [training.problem, training.pipeline.key, training.seed, training.change]
        append_rows(RUNS, COLUMNS, [[*row, *(round(number, 5) for number in numbers)]])
        print(*row, *(f"{number:.4f}" for number in numbers), flush=True)
    text = page(pd.read_csv(RUNS))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
