"""An environment for a user's own images: `make_from_images`."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ma2ml_env import catalog, registry
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError, require_range
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.image_description import UNBALANCED, WARNINGS, class_ratio, image_lines
from ma2ml_env.image_proxy import (
    FINAL_THREADS,
    GOOD_EPOCHS,
    LEAST_EPOCHS,
    Proxy,
    SearchTime,
    final_stride,
    fitting_proxy,
    proxy_lines,
)
from ma2ml_env.image_spaces import network_space, recipe_space, standard_augmentation
from ma2ml_env.search_space import decode_joint
from ma2ml_env.tasks.image_folder import ImageFolder

if TYPE_CHECKING:
    from ma2ml_env.training.timing import Speed

SECONDS = 20.0
"""Default time of one evaluation."""
LONGEST, SHORTEST = 7 * 24 * 3600.0, 0.5
STRIDES = (1, 2, 4)
SMALLEST_STEM, LARGEST_STEM = 12, 40
"""Rows and columns after the stem, on a CPU, in which skeletons are tried; smaller images keep their size."""
RETRAIN, LEAST_RETRAIN, MOST_RETRAIN, SHOWN_IMAGES = 3, 30, 200, 400_000
"""Least ratio of the final training's epochs to those of the search, and least and most epochs in which it shows about
so many images."""
RANDOM_PIPELINES, TIMED = 33, (16, 8, 24)
"""Random pipelines, and the ranks by FLOPs of those among them that are timed."""
TIMING_SECONDS = 0.6
TIMING_SHARE, NEARLY = 0.1, 0.9
"""Share of the time for a search after which no further pipeline of a skeleton is timed; share of the time asked for an
evaluation below which it is said to be shortened."""


class FolderEntry(NamedTuple):
    """Environment for the images of a folder.

    Attributes:
        entry: its parts.
        lines: a description of what was found and measured, a sentence each.
        seconds: expected seconds of an evaluation by the clock; NaN if nothing was measured.
        slowdown: seconds by the clock per second of processor time, while all workers are at work.
    """

    entry: registry.EnvEntry
    lines: list[str]
    seconds: float
    slowdown: float = 1.0


def make_from_images(
    folder: str | Path,
    *,
    seconds_per_pipeline: float = SECONDS,
    render_mode: str | None = None,
    log_path: str | Path | None = None,
    **overrides: Any,
) -> AutoMLEnv:
    """Makes an environment that searches augmentation, residual network and recipe for the images of a folder.

    Size, channels and classes are found, a missing split is made (see `ma2ml_env.tasks.image_folder.ImageFolder`), and
    a short trial training on this machine decides on the skeleton's stride and the number of epochs: one evaluation
    takes about `seconds_per_pipeline`. Where not even a few epochs fit into them, a search trains on a part of the
    images. Balanced accuracy is measured if the largest class has more than 1.5 times the images of the smallest.
    `image_lines(env.evaluator)` of `ma2ml_env.image_description` describes what was found.

    Args:
        folder: a sub-folder of pictures per class, or `train`, `val` and `test` of such sub-folders.
        seconds_per_pipeline: time of one evaluation, in seconds.
        render_mode: `None`, `"ansi"` or `"rgb_array"`.
        log_path: an SQLite file to which every trial is appended; several processes may share it.
        **overrides: arguments of the task, evaluator, network, reward or search spaces, such as `image_size`, `epochs`,
            `metric`, `device`, `strict`, `widths` or `batch_sizes`, which replace what is found.

    Raises:
        MA2MLError: if the folder cannot be used, or a setting is unknown or out of range.
    """
    entry, lines, *_ = entry_from_images(folder, seconds_per_pipeline, **overrides)
    for line in lines:
        if line.startswith(WARNINGS):
            warnings.warn(line, stacklevel=2)
    return registry.assemble(entry, render_mode=render_mode, log_path=log_path)


def entry_from_images(
    folder: str | Path,
    seconds_per_pipeline: float = SECONDS,
    *,
    search_time: SearchTime | None = None,
    on_step: Callable[[str], None] = lambda step: None,
    **overrides: Any,
) -> FolderEntry:
    """Returns the parts of the environment that `make_from_images` makes, and what was found, in a few lines.

    Args:
        folder: as of `make_from_images`, like the other arguments.
        seconds_per_pipeline: time of one evaluation, in seconds.
        search_time: time that there is for a search; where too few pipelines fit into it, an evaluation is shortened.
        on_step: receives what is done next, in a few words.
        **overrides: settings that replace what is found.
    """
    require_range("seconds_per_pipeline", seconds_per_pipeline, SHORTEST, LONGEST)
    own = {field.name for field in fields(ImageFolder)} - {"path"}
    strict = {"strict": overrides.pop("strict")} if "strict" in overrides else {}
    of_task = {name: value for name, value in overrides.items() if name in own}
    others = {name: value for name, value in overrides.items() if name not in own}
    spec = {"kind": "image_folder", "path": str(folder), **of_task, **strict}
    on_step(f"reading the images of {folder}")
    task: ImageFolder = catalog.build(spec, catalog.TASKS, "the images")
    task.load()
    device = others.get("device") or usual_device()
    usual = _entry(task, Proxy(_usual_stride(task.image_size, device), LEAST_EPOCHS), device)
    usual.override(**others).build()  # refuses a setting before anything is timed
    proxy = _proxy(task, device, others, seconds_per_pipeline, search_time or SearchTime(), on_step)
    entry = _entry(task, proxy, device).override(**overrides)
    evaluator = entry.build().evaluator
    lines = image_lines(evaluator, entry.agents) if isinstance(evaluator, TrainEvaluator) else []
    return FolderEntry(entry, lines + proxy_lines(proxy, device), proxy.wall, proxy.slowdown)


def _entry(task: ImageFolder, proxy: Proxy, device: str) -> registry.EnvEntry:
    """The parts of the environment for a task and a proxy."""
    rows, images = -(-task.image_size // proxy.stem_stride), task.load().final_images
    found = {field.name: getattr(task, field.name) for field in fields(task)}
    found |= {"classes": list(task.classes), "train_images": proxy.train_images or task.train_images}
    found["augmentation"] = standard_augmentation(task.image_size, task.channels)
    kept = ("path", "image_size", "channels", "content", "classes", "name")
    found.pop("strict")  # checked once, before anything is searched
    chosen = {name: value for name, value in found.items() if name in kept or value != getattr(ImageFolder, name)}
    evaluator: dict[str, Any] = {
        "kind": "train",
        "task": {"kind": "image_folder", **chosen},
        "network": {"kind": "residual", "stem_stride": proxy.final_stem_stride or proxy.stem_stride},
        "epochs": proxy.epochs,
        "retrain_epochs": max(RETRAIN * proxy.epochs, min(MOST_RETRAIN, max(LEAST_RETRAIN, SHOWN_IMAGES // images))),
        "retrain_augmentation": "auto",
        "device": device,
        "metric": "balanced_accuracy" if class_ratio(task) > UNBALANCED else "accuracy",
    }
    if proxy.final_stem_stride not in (0, proxy.stem_stride):
        evaluator["search_stem_stride"] = proxy.stem_stride
    if proxy.final_threads > 1:
        evaluator["retrain_threads"] = proxy.final_threads
    if measured := sorted({epochs for third in (1, 2) if 0 < (epochs := proxy.epochs * third // 3) < proxy.epochs}):
        evaluator["measured_epochs"] = measured
    name = re.sub(r"[^\w.-]+", "-", task.name).strip("-") or "folder"
    return registry.EnvEntry(
        id=f"images/{name}-v0",
        summary=f"Residual networks trained on the images of {task.name}.",
        agents={
            "aug": {"kind": "autoaugment"},
            "nas": network_space(rows, device),
            "hpo": recipe_space(proxy.train_images or len(task.load().train)),
        },
        evaluator=evaluator,
        reward={"kind": "accuracy"},
    )


def _proxy(
    task: ImageFolder,
    device: str,
    others: Mapping[str, Any],
    seconds: float,
    search_time: SearchTime,
    on_step: Callable[[str], None],
) -> Proxy:
    """The training of the search: as it is given, else of the richest skeleton with which enough epochs fit."""
    stride = others.get("stem_stride")
    if "epochs" in others:
        return Proxy(stride or _usual_stride(task.image_size, device), int(others["epochs"]))
    proxy: Proxy | None = None
    splits, training = task.load(), dict[int, float]()
    for candidate in [stride] if stride else _strides(task.image_size, device):
        on_step(f"measuring how fast networks of stem stride {candidate} train on this machine")
        entry = _entry(task, Proxy(candidate, LEAST_EPOCHS), device).override(**others)
        speed = _speed(entry, search_time.share(TIMING_SHARE))
        slowdown = search_time.slowdown(speed.busy, device)
        affordable = search_time.affordable(seconds, slowdown)
        training[candidate] = speed.training * speed.busy
        fixed = speed.measuring * (len(splits.validation) + 2 * min(len(splits.validation), 2000))
        sizes = (len(splits.train), len(task.classes), task.train_images > 0)
        (proxy, epochs), (asked, _) = (
            fitting_proxy(candidate, each, speed.training, fixed, *sizes) for each in (affordable, seconds)
        )
        shorter = proxy.seconds < NEARLY * asked.seconds
        proxy = proxy._replace(slowdown=slowdown, shortened_from=asked.seconds if shorter else math.nan)
        if epochs >= GOOD_EPOCHS:
            break
    if proxy is None:
        raise MA2MLError(f"no skeleton is made for images of {task.image_size} pixels")
    finest = final_stride(training, splits.final_images, search_time.final)
    threads = min(search_time.cores, FINAL_THREADS) if device == "cpu" else 1
    return proxy._replace(final_stem_stride=finest, final_threads=threads)


def _speed(entry: registry.EnvEntry, until: float = math.inf) -> Speed:
    """Mean speed of middling random pipelines; none but the first is timed after `until` of `time.monotonic()`."""
    from ma2ml_env.training.pipeline_training import PipelineTraining
    from ma2ml_env.training.timing import mean_speed

    env, rng = entry.build(), np.random.default_rng(0)
    spaces = env.search_spaces
    actions = [{agent: space.sample(rng) for agent, space in spaces.items()} for _ in range(RANDOM_PIPELINES)]
    pipelines = sorted((decode_joint(spaces, action) for action in actions), key=lambda one: env.cost(one).flops)
    evaluator: Any = env.evaluator
    training = PipelineTraining(evaluator.task, evaluator.network, evaluator.device, evaluator.threads)
    return mean_speed(training, [pipelines[rank] for rank in TIMED], TIMING_SECONDS, until)


def _strides(image_size: int, device: str) -> Iterator[int]:
    """Strides of the stem to try, the finest first."""
    if device != "cpu":
        return iter(stride for stride in STRIDES if image_size / stride <= 2 * LARGEST_STEM or stride == STRIDES[-1])
    inside = [s for s in STRIDES if SMALLEST_STEM <= image_size / s <= LARGEST_STEM]
    return iter(inside or [STRIDES[0] if image_size < SMALLEST_STEM else STRIDES[-1]])


def _usual_stride(image_size: int, device: str) -> int:
    """The stride of the stem where nothing is measured: the coarsest on a CPU, the finest on a GPU."""
    strides = list(_strides(image_size, device))
    return strides[-1] if device == "cpu" else strides[0]


def usual_device() -> str:
    """Returns the device of trainings on own images where none is named: `"cuda"` where torch sees a GPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
