"""Measured speed of trainings on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.tasks.task import Images
from ma2ml_env.training.loop import Normalization, accuracy
from ma2ml_env.training.pipeline_training import PipelineTraining
from ma2ml_env.types import Pipeline

BATCHES, MOST_EPOCHS = 4, 1000
EVALUATED = 512


class Speed(NamedTuple):
    """Speed of a pipeline's training on a machine.

    Attributes:
        training: seconds per training image and epoch.
        measuring: seconds per image whose class is predicted.
        busy: seconds by the clock per second of these, above 1 where other programs share the cores.
    """

    training: float
    measuring: float
    busy: float = 1.0


def mean_speed(
    training: PipelineTraining, pipelines: Sequence[Pipeline], seconds: float, until: float = math.inf
) -> Speed:
    """Measures the mean speed of some pipelines by training each of them on a few batches.

    On a CPU the time is that of this process, so that other programs that share the cores matter little.

    Args:
        training: task, skeleton and device.
        pipelines: to train, at least one.
        seconds: time for the batches of each, the first pass over them left out.
        until: `time.monotonic()` after which no further one is measured.
    """
    found = [_speed(training, pipelines[0], seconds)]
    for pipeline in pipelines[1:]:
        if time.monotonic() < until:
            found.append(_speed(training, pipeline, seconds))
    return Speed(*(sum(values) / len(found) for values in zip(*found, strict=True)))


def _speed(training: PipelineTraining, pipeline: Pipeline, seconds: float) -> Speed:
    splits, device = training.splits, torch.device(training.device)
    size = pipeline.get("hpo", Recipe()).batch_size
    few = _first(splits.train, BATCHES * size)
    some = _first(splits.validation, EVALUATED)
    by_clock, by_process = time.perf_counter(), time.process_time()
    normalization, ends, measured = Normalization.of(few), list[float](), list[float]()

    def go_on_after(epoch: int, network: nn.Module) -> bool:
        ends.append(_now(device))
        if epoch < 2 or ends[-1] - ends[0] < seconds:
            return True
        accuracy(network, some, normalization)
        measured.append(_now(device) - ends[-1])
        return False

    training._fit(pipeline, 0, few, MOST_EPOCHS, go_on_after)
    seen = (len(ends) - 1) * min(len(few), max(1, len(few) // size) * size)
    by_clock, by_process = time.perf_counter() - by_clock, time.process_time() - by_process
    busy = max(1.0, by_clock / by_process) if device.type == "cpu" else 1.0
    return Speed((ends[-1] - ends[0]) / seen, measured[0] / len(some), busy)


def _first(images: Images, count: int) -> Images:
    return Images(images.pixels[:count], images.labels[:count])


def _now(device: torch.device) -> float:
    """Seconds of a clock, once the device has done what it was given; of this process on a CPU."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()
