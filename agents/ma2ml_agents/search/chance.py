"""Accuracy of guessing, beside which other accuracies are read."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.runs.words import percent
from ma2ml_env.evaluator import Evaluator
from ma2ml_env.evaluators.train import TrainEvaluator

ERROR = 0.05
"""Probability that one of several guessing classifiers is taken for a better one."""


class ChanceLevel(NamedTuple):
    """Accuracy of a classifier that guesses, and its sampling error.

    Attributes:
        accuracy: 1 over the number of classes for balanced accuracy; else the share of the largest class.
        images: number of images of which a share has the sampling error of the accuracy.
    """

    accuracy: float
    images: float

    def __str__(self) -> str:
        return f"chance {percent(self.accuracy)}"

    @property
    def deviation(self) -> float:
        """Standard deviation of the accuracy that is measured on the images."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.images)

    def explains(self, accuracy: float, compared: int = 1) -> bool:
        """Returns whether guessing explains an accuracy.

        Args:
            accuracy: the highest of those compared.
            compared: number of classifiers of which it is the highest, at least 1.

        Source: the normal approximation, with Bonferroni's correction.
        """
        from scipy.stats import norm

        return bool(accuracy <= self.accuracy + norm.isf(ERROR / compared) * self.deviation)


def chance_level(evaluator: Evaluator, part: Literal["validation", "test"] = "validation") -> ChanceLevel | None:
    """Returns the accuracy of guessing on the images that an evaluator measures on; None if it trains no classifier.

    Args:
        evaluator: of the search.
        part: the images: those of the search, or those of the final measurement.
    """
    if not isinstance(evaluator, TrainEvaluator):
        return None
    splits = evaluator.task.load()
    labels = (splits.validation if part == "validation" else splits.test).labels
    counts = np.bincount(np.asarray(labels), minlength=len(evaluator.task.classes))
    counts = counts[counts > 0]
    if evaluator.metric == "balanced_accuracy":
        return ChanceLevel(1 / len(counts), images_of_equal_error(counts))
    return ChanceLevel(float(counts.max() / counts.sum()), float(counts.sum()))


def images_of_equal_error(counts: NDArray[np.int64]) -> float:
    """Returns the number of images of which a share has the sampling error of the balanced accuracy.

        n = C^2 / sum_c 1 / n_c,    as  Var = sum_c p (1 - p) / n_c / C^2 = p (1 - p) / n

    where every class is recognized with the same probability p.

    Args:
        counts: images of each of the C classes, above 0.
    """
    return float(len(counts) ** 2 / np.sum(1 / counts))
