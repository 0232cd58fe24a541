"""All variants of an environment, ready to play given pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.evaluator import Evaluator
from ma2ml_env.types import JointAction, Pipeline, Result
from ma2ml_env.wrappers import wrap, wrap_aec, wrap_joint
from ma2ml_env.wrappers.codebook import codebook_of

MakeVariant = Callable[[], Any]


class Remembered:
    """An evaluator that evaluates each pipeline once per seed, so that checks cost few evaluations.

    Args:
        evaluator: called for the first evaluation.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.results: dict[tuple[str, int], Result] = {}

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        """The result of the first evaluation."""
        key = (pipeline.key, seed)
        if key not in self.results:
            self.results[key] = self.evaluator(pipeline, seed=seed)
        return self.results[key]


def variants_of(env: AutoMLEnv, actions: Sequence[JointAction]) -> dict[str, MakeVariant]:
    """Returns functions that make each variant of an environment, always over a fresh copy of it.

    Args:
        env: copied, evaluator and all: an evaluator that remembers does so for all copies.
        actions: joint actions that the codebook of `flat` must hold.

    Returns:
        {name of the variant: function without arguments}.
    """
    codebook = codebook_of(env.decode(action) for action in actions)

    def native() -> AutoMLEnv:
        copy: AutoMLEnv = cloudpickle.loads(cloudpickle.dumps(env))
        copy.evaluator = env.evaluator
        return copy

    return {
        "native": native,
        "padded": lambda: wrap(native(), "padded"),
        "flat": lambda: wrap(native(), "flat", codebook=codebook),
        "tokens, mask in obs": lambda: wrap(native(), "tokens", mask="obs"),
        "tokens, mask in info": lambda: wrap(native(), "tokens", mask="info"),
        "tokens, no mask": lambda: wrap(native(), "tokens", mask="none"),
        "box": lambda: wrap(native(), "box"),
        "box, equal": lambda: wrap(native(), "box", equal=True),
        "aec native": lambda: wrap_aec(native(), "native"),
        "aec tokens": lambda: wrap_aec(native(), "tokens"),
        "joint native": lambda: wrap_joint(native(), "native"),
        "joint tokens": lambda: wrap_joint(native(), "tokens"),
    }
