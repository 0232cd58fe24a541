"""Description of a user's folder of images, and of the trainings on it, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ma2ml_env.catalog import Spec
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.search_spaces.trivialaugment import fewest_epochs
from ma2ml_env.tasks.image_folder import FolderReport, ImageFolder
from ma2ml_env.tasks.location import shortened
from ma2ml_env.types import AgentID

UNBALANCED = 1.5
"""Ratio of the largest to the smallest class above which balanced accuracy is measured."""
SHOWN = ("widths", "batch_sizes")
"""Arguments of search spaces that follow from the images."""
WARNINGS = ("left out: ", "duplicates: ")
"""Beginnings of the lines that are warnings."""


def image_lines(evaluator: TrainEvaluator, agents: Mapping[AgentID, Spec] | None = None) -> list[str]:
    """Describes the images of an `ImageFolder` and how networks are trained on them, a sentence each.

    Args:
        evaluator: of such a task.
        agents: specs of the search spaces, which are described too.
    """
    task: ImageFolder = evaluator.task
    report, searched = task.report, len(task.load().train)
    train, validation, test = (sum(part) for part in report.counts)
    gray = "gray" if task.channels == 1 else "in color"
    lines = [
        f"images: {train:,} to train on, {validation:,} to validate, {test:,} to test, from {task.path}",
        f"split: {_split(report, task)}",
        f"classes: {len(task.classes):,} ({shortened(task.classes)})",
        f"form: {task.image_size}x{task.image_size} pixels, {gray}",
    ]
    if task.augmentation != "none":
        lines.append(f"augmentation: {task.augmentation} before the policy; --set augmentation=none for none")
    if evaluator.retrain_augmentation != "policy":
        lines.append(f"final augmentation: {_final_augmentation(evaluator)}; --set retrain_augmentation=policy for it")
    if report.unreadable:
        lines.append(f"left out: {report.left_out}")
    if report.duplicates or report.tested:
        lines.append(f"duplicates: {_duplicates(report)}")
    ratio = class_ratio(task)
    unbalanced = f"; the largest class has {ratio:.1f} times the images of the smallest" if ratio > UNBALANCED else ""
    lines.append(f"metric: {evaluator.metric.replace('_', ' ')}{unbalanced}")
    lines += [f"{agent}: {_space(spec)}" for agent, spec in (agents or {}).items()]
    some = f" on {searched:,} of the training images" if searched < train else ""
    stride, coarser = evaluator.network.stem_stride, evaluator.search_stem_stride
    stem = f", stem stride {stride}" if stride > 1 else ""
    in_search = f" with stem stride {coarser}" if coarser else ""
    epochs = "1 epoch" if evaluator.epochs == 1 else f"{evaluator.epochs} epochs"
    final = f"{evaluator.retrain_epochs} at the end, on {evaluator.device}{stem}"
    lines.append(f"training: {epochs}{some}{in_search} in the search, {final}")
    return lines


def _final_augmentation(evaluator: TrainEvaluator) -> str:
    """Augmentation of the final training where it may be another than the policy."""
    if evaluator.retrain_augmentation == "trivial":
        return "TrivialAugment in place of the policy"
    fewest = fewest_epochs(evaluator.task.load().final_images)
    return f"from {fewest:,} epochs on TrivialAugment in place of the policy"


def class_ratio(task: ImageFolder) -> float:
    """Number of training images of the largest class over that of the smallest."""
    train = task.report.counts[0]
    return max(train) / min(train)


def _split(report: FolderReport, task: ImageFolder) -> str:
    """Origin of the parts: the folder, or a draw."""
    if not report.drawn:
        return "as in the folder"
    return f"{' and '.join(report.drawn)} drawn from the images, the same share of each class, seed {task.seed}"


def _duplicates(report: FolderReport) -> str:
    """Images that are in several parts."""
    counts = [
        (report.duplicates, "training", "those to validate or test"),
        (report.tested, "validation", "those to test"),
    ]
    parts = [
        f"{count:,} {kind} image{'s are' if count > 1 else ' is'} also among {others}"
        for count, kind, others in counts
        if count
    ]
    return "; ".join(parts)


def _space(spec: Spec) -> str:
    """Kind of a search space, and those of its arguments that follow from the images."""
    said = [f"{name.replace('_', ' ')} {_choices(spec[name])}" for name in SHOWN if name in spec]
    return ", ".join([str(spec["kind"]), *said])


def _choices(value: Sequence[Any]) -> str:
    """Choices, those of several stages apart."""
    if isinstance(value[0], int):
        return ", ".join(map(str, value))
    return " / ".join(", ".join(map(str, own)) for own in value)
