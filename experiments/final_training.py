"""Measure what belongs into the final training, on validation images that it does not train on.

    MA2ML_DATA=data python experiments/final_training.py
    python experiments/final_training.py --show

The best pipelines of the stored tables are trained for as many epochs as the final training has, on the train part
alone: by their own recipes, and with changes that take nothing away from a recipe: a cosine schedule with a warm-up and
label smoothing, or the data set's standard augmentation before the policy's. Weights averaged over a share of the steps
are evaluated beside the last ones, in the same training.

Trainings are appended to `results/final_training/runs.csv` and not repeated, those of the first seed first; the table
goes to `results/final_training/final_training.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from csv_rows import append_rows, finished
from timm.utils import ModelEmaV3
from torch import nn

import ma2ml_env
from ma2ml_env import Pipeline
from ma2ml_env.search_spaces.recipe import Recipe
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
CHANGES = ("none", "cosine, warm-up, smoothing", "standard augmentation")
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
    if change != CHANGES[1]:
        return recipe
    smoothing = max(recipe.label_smoothing, SMOOTHING)
    return replace(recipe, schedule="cosine", warmup=max(recipe.warmup, WARMUP), label_smoothing=smoothing)


def pipelines(problem: str) -> list[Pipeline]:
    """The best pipelines of the stored table by their first training."""
    table, count = TABLES[problem]
    trials = [trial for run in read_evaluations(table, ma2ml_env.make(problem)).values() for trial in run]
    return [trial.pipeline for trial in top_k(trials, count)]


def measure(problem: str, pipeline: Pipeline, seed: int, change: str) -> list[float]:
    """Validation accuracy with every window of the average, and the seconds of the training."""
    started, evaluator = time.process_time(), ma2ml_env.make(problem).evaluator
    task, epochs, recipe = evaluator.task, evaluator.retrain_epochs, changed(pipeline["hpo"], change)
    splits, cpu, number = task.load(), torch.device("cpu"), pipeline.random_seed(seed)
    normalization = Normalization.of(splits.train)
    standard = "pad_crop_flip" if change == CHANGES[2] else getattr(task, "augmentation", "none")
    policy, classes = pipeline["aug"], len(task.classes)
    fitting = Fitting(splits.train, normalization, policy, recipe, epochs, classes, cpu, standard)
    torch.manual_seed(number)
    training = Fit(evaluator.build(pipeline), fitting, torch.Generator().manual_seed(number))
    averages = Averages(training.network, [1 - 1 / max(1.0, window * training.steps) for window in WINDOWS[1:]])
    training.average = averages  # in the place of one average
    for _ in range(epochs):
        training.run_epoch()
    networks = [training.network, *(model.module for model in averages.models)]
    found = [accuracy(network, splits.validation, normalization) for network in networks]
    return [*found, time.process_time() - started]


def missing() -> list[tuple[str, Pipeline, int, str]]:
    """The trainings to make, those of the first seed first."""
    found = {problem: pipelines(problem) for problem in TABLES}
    wanted = [
        (problem, pipeline, seed, change)
        for seed in range(SEEDS)
        for problem in TABLES
        for change in CHANGES[: 2 if problem == "ma2ml/digits-v0" else 3]
        for pipeline in found[problem]
    ]
    done = finished(RUNS, CELL)
    return [cell for cell in wanted if (cell[0], cell[1].key, cell[2], cell[3]) not in done]


def page(runs: pd.DataFrame) -> str:
    """Mean accuracy by problem, change and window, with the gain over no change on the same pipelines and seeds."""
    lines = ["# Final training", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    lines += ["| problem | change | averaged over | accuracy | gain | trainings |", "|---|---|---|---|---|---|"]
    usual = runs[runs.change == "none"].set_index(CELL[:3])[f"window_{WINDOWS[0]}"]
    for (problem, change), rows in runs.groupby(["problem", "change"], sort=False):
        rows = rows.set_index(CELL[:3])
        for window in WINDOWS:
            values = rows[f"window_{window}"]
            gain = (values - usual.reindex(values.index)).dropna()
            name = f"{window:.0%} of the steps" if window else "none"
            lines.append(
                f"| {problem} | {change} | {name} | {values.mean():.2%} | {gain.mean():+.2%} | {len(values)} |"
            )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="train nothing, write the table")
    given: Any = parser.parse_args()
    torch.set_num_threads(1)
    RUNS.parent.mkdir(parents=True, exist_ok=True)
    for problem, pipeline, seed, change in [] if given.show else missing():
        numbers = measure(problem, pipeline, seed, change)
        row = [problem, pipeline.key, seed, change, *(round(number, 5) for number in numbers)]
        append_rows(RUNS, COLUMNS, [row])
        print(problem, pipeline.key, seed, change, *(f"{number:.4f}" for number in numbers), flush=True)
    text = page(pd.read_csv(RUNS))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
