"""Checks of an evaluator's optional abilities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ma2ml_env import evaluator as able
from ma2ml_env.evaluator import Evaluator
from ma2ml_env.types import Pipeline, Result

METHODS = {
    able.Priced: "cost",
    able.BatchPriced: "cost_batch",
    able.NoiseFree: "expected",
    able.Batched: "evaluate_batch",
    able.NoiseFreeBatched: "expected_batch",
    able.Preparing: "prepare",
    able.Retrainable: "retrain",
    able.Resumable: "retrain_observed",
    able.Savable: "check_savable",
    able.Illustrated: "sample_images",
}
"""The method of each ability that has one."""
IMAGES = 3


def check_abilities(evaluator: Evaluator, pipeline: Pipeline, result: Result, *, seed: int) -> None:
    """Checks that an evaluator's abilities agree with its result of one pipeline.

    Args:
        evaluator: to check.
        pipeline: that was evaluated.
        result: result of the evaluation.
        seed: seed of the evaluation.

    Raises:
        AssertionError: naming what does not hold.
    """
    for ability, name in METHODS.items():
        if isinstance(evaluator, ability):
            assert callable(getattr(evaluator, name)), f"{name} is a method of {ability.__name__} evaluators"
    _check_costs(evaluator, pipeline, result)
    _check_batches(evaluator, pipeline, result, seed)
    _check_noise_free(evaluator, pipeline)
    if isinstance(evaluator, able.Defined):
        text = json.dumps(evaluator.definition, sort_keys=True)
        assert text == json.dumps(evaluator.definition, sort_keys=True), "the definition changes"
    if isinstance(evaluator, able.Instant):
        assert isinstance(evaluator.instant, bool), f"instant is a bool, not {evaluator.instant!r}"
    if isinstance(evaluator, able.Illustrated):
        images = np.asarray(evaluator.sample_images(IMAGES))
        shown = f"{images.dtype} {images.shape}"
        assert images.dtype == np.uint8, f"sample_images are uint8 (count, channels, height, width), not {shown}"
        assert images.ndim == 4, f"sample_images are uint8 (count, channels, height, width), not {shown}"
        assert 1 <= len(images) <= IMAGES, f"sample_images({IMAGES}) has {len(images)} images"


def _check_costs(evaluator: Evaluator, pipeline: Pipeline, result: Result) -> None:
    if isinstance(evaluator, able.Priced) and not result.failed:
        cost = evaluator.cost(pipeline)
        told, paid = (cost.flops, cost.params), (result.flops, result.params)
        assert told == paid, f"cost reports {told} FLOPs and parameters, the result {paid}"
    if isinstance(evaluator, able.BatchPriced) and not result.failed:
        rows = evaluator.cost_batch(_rows(pipeline))
        told = tuple(rows[:, 1].tolist())
        assert told == (result.flops, result.params), f"cost_batch reports {told} FLOPs and parameters"


def _check_batches(evaluator: Evaluator, pipeline: Pipeline, result: Result, seed: int) -> None:
    if isinstance(evaluator, able.Batched):
        batch = evaluator.evaluate_batch(_rows(pipeline), seed)
        found = (batch.accuracy[1].item(), batch.flops[1].item(), batch.params[1].item())
        single = (result.accuracy, result.flops, result.params)
        assert found == single, f"evaluate_batch returns {found}, a single evaluation {single}"


def _check_noise_free(evaluator: Evaluator, pipeline: Pipeline) -> None:
    if not isinstance(evaluator, able.NoiseFree):
        return
    exact = evaluator.expected(pipeline)
    assert exact.accuracy == evaluator.expected(pipeline).accuracy, "the noise-free result changes"
    if isinstance(evaluator, able.KnownOptimum):
        best = evaluator.optimum_accuracy
        assert exact.accuracy <= best + 1e-9, f"accuracy {exact.accuracy} is above optimum_accuracy, {best}"
    if isinstance(evaluator, able.NoiseFreeBatched):
        found = evaluator.expected_batch(_rows(pipeline)).accuracy[0].item()
        assert found == exact.accuracy, f"expected_batch returns accuracy {found}, expected {exact.accuracy}"


def _rows(pipeline: Pipeline) -> dict[str, Any]:
    """A batch of two, the pipeline and itself."""
    return {agent: np.array([action, action]) for agent, action in pipeline.action.items()}
