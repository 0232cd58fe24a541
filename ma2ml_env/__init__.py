"""Search of whole machine-learning pipelines: one PettingZoo environment, one agent per module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.evaluator import Evaluator
from ma2ml_env.making import make, make_aec, make_joint
from ma2ml_env.registration import register_file, register_shipped
from ma2ml_env.registry import env_ids
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.trials.optuna_export import to_optuna
from ma2ml_env.types import Pipeline, Result, RewardFn, Trial

if TYPE_CHECKING:
    from ma2ml_env.training.classifier import Classifier

register_shipped()


def make_from_images(folder: str | Path, **settings: Any) -> AutoMLEnv:
    """Makes an environment for the images of a folder; see `ma2ml_env.from_images.make_from_images`."""
    from ma2ml_env import from_images

    return from_images.make_from_images(folder, **settings)


def load_model(path: str | Path) -> Classifier:
    """Loads a trained model from its safetensors file; see `ma2ml_env.training.model_file.load_model`."""
    from ma2ml_env.training import model_file

    return model_file.load_model(path)


__all__ = [
    "AutoMLEnv",
    "Decision",
    "Evaluator",
    "Pipeline",
    "Result",
    "RewardFn",
    "SearchSpace",
    "Trial",
    "env_ids",
    "load_model",
    "make",
    "make_aec",
    "make_from_images",
    "make_joint",
    "register_file",
    "to_optuna",
]
