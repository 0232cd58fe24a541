"""Folders of runs that no search made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import ma2ml_env
from ma2ml_env import Result, Trial
from ma2ml_env.models import build_network
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.search_spaces.residual import residual
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.loop import Normalization
from ma2ml_env.trials import TrialStore

Row = tuple[int, int, float, float, float]
"""Number of the pipeline, seed, accuracy, flops and params of a trial."""


def write_trials(folder: Path, rows: Sequence[Row]) -> None:
    """A trial log of pipelines of the digits environment; those of equal numbers are equal."""
    folder.mkdir(parents=True, exist_ok=True)
    env = ma2ml_env.make("ma2ml/digits-v0")
    rng = np.random.default_rng(0)
    drawn = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(10)]
    store = TrialStore(folder / "trials.db")
    for number, (pipeline, seed, accuracy, flops, params) in enumerate(rows):
        result = Result(accuracy, flops, params, 1.5, error="it broke" if accuracy < 0 else None)
        store.add(Trial(number, seed, env.decode(drawn[pipeline]), result, max(accuracy, 0.0)))
    store.close()


def write_run(folder: Path, accuracy: float = 0.75) -> Classifier:
    """A run on the digits whose winner is its trial 1; its model is untrained, and of another network."""
    write_trials(folder, [(0, 0, 0.5, 1000, 100), (1, 0, accuracy, 2000, 200)])
    environment = {
        "id": "mine/digits",
        "summary": None,
        "agents": {
            "aug": {"kind": "autoaugment"},
            "nas": {"kind": "nasnet"},
            "hpo": {"kind": "recipe", "batch_sizes": [48, 64, 96]},
        },
        "evaluator": {
            "kind": "train",
            "task": {"kind": "digits"},
            "network": {"kind": "nasnet", "filters": 2, "repeats": 1, "stages": 2},
            "epochs": 1,
            "retrain_epochs": 1,
        },
        "reward": {"kind": "accuracy"},
    }
    run = {"environment": environment, "learner": "random_search", "seed": 7}
    config = {"format": 1, "run": run, "options": {"budget": 2}, "project": {"version": "9.8.7", "commit": "abc"}}
    (folder / "config.json").write_text(json.dumps(config))
    result = {"trial": 1, "accuracy": accuracy, "trials": 2, "test_accuracy": 0.9}
    (folder / "result.json").write_text(json.dumps(result))
    model = untrained_classifier()
    model.save(folder / "model.safetensors")
    return model


def untrained_classifier() -> Classifier:
    """A small network for the digits."""
    torch.manual_seed(0)
    space, skeleton = residual(widths=((4,),), depths=(1,), stems=(4,)), ResidualSkeleton()
    architecture = space.decode(space.default)
    network = build_network(architecture, skeleton, image_size=8, in_channels=1, num_classes=10)
    normalization = Normalization.of(Digits().load().train)
    return Classifier(network, architecture, skeleton, normalization, Digits()).eval()
