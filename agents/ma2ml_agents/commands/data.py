"""Environment of `ma2ml train --data`: made from a folder of images, or read from the run that is resumed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ma2ml_agents.commands.train_options import SearchOptions, TrainOptions
from ma2ml_agents.runs.environment import entry_of_run
from ma2ml_agents.runs.folder import CONFIG_FILE
from ma2ml_env import catalog, registry
from ma2ml_env.errors import MA2MLError, UnknownNameError
from ma2ml_env.evaluator import Preparing
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.from_images import SECONDS, entry_from_images
from ma2ml_env.image_description import image_lines
from ma2ml_env.image_proxy import SearchTime
from ma2ml_env.tasks.image_folder import ImageFolder

KIND = "image_folder"


class Expected(NamedTuple):
    """Seconds by the clock that are expected before the search.

    Attributes:
        evaluation: of an evaluation; NaN if nothing was measured.
        loading: of a worker, before its first evaluation.
    """

    evaluation: float = math.nan
    loading: float = 0.0


def with_data(options: TrainOptions, console: Console, search_time: SearchTime) -> tuple[TrainOptions, Expected]:
    """Returns options that name the environment of `--data` by an id; those of another environment as they are.

    A new run measures this machine and prints what was found. A run that is resumed keeps what was chosen then, after a
    check that the folder holds the same pictures.

    Args:
        options: options of the command.
        console: console to write to.
        search_time: time that there is for the search.

    Returns:
        The options, and what was measured.

    Raises:
        MA2MLError: if the folder cannot be used or has changed, or options are incompatible.
    """
    data, search = options.data, options.search
    if data.data is None:
        _require_no_data(options)
        return options, Expected()
    if data.download:
        raise MA2MLError("--data and --download exclude each other: your own images are there")
    if search.env != SearchOptions.env:
        raise MA2MLError("--data and --env exclude each other: an environment has its own images")

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    overrides = options.overrides() | ({} if data.image_size is None else {"image_size": data.image_size})
    seconds = SECONDS if data.seconds_per_pipeline is None else data.seconds_per_pipeline
    if (options.folder() / CONFIG_FILE).exists():
        say(f"reading the images of {data.data}")
        entry, lines = _resumed(options.folder(), data.data, data.strict, overrides)
        expected = Expected()
    else:
        entry, lines, evaluation, slowdown = entry_from_images(
            data.data, seconds, search_time=search_time, on_step=say, strict=data.strict, **overrides
        )
        expected = Expected(evaluation, search_time.loading * slowdown)
    for line in lines:
        say(line)
    registry.add_entries([entry])
    settled = replace(data, seconds_per_pipeline=seconds)
    return replace(options, search=replace(search, env=entry.id, set=()), data=settled), expected


def _require_no_data(options: TrainOptions) -> None:
    """Checks the options of a registered environment, and downloads its images if that is asked for."""
    data = options.data
    given = {"seconds_per_pipeline": data.seconds_per_pipeline, "image_size": data.image_size}
    names = [name for name, value in {**given, "strict": data.strict or None}.items() if value is not None]
    if names:
        raise MA2MLError(f"--{names[0].replace('_', '-')} requires --data")
    if data.download:
        _download(options)


def _resumed(out: Path, folder: Path, strict: bool, overrides: dict[str, Any]) -> tuple[registry.EnvEntry, list[str]]:
    """Returns the environment of a run, and its description."""
    entry = entry_of_run(out)
    spec = entry.evaluator.get("task")
    if not isinstance(spec, dict) or spec.get("kind") != KIND:
        raise MA2MLError(f"{out} contains another run, of {entry.id}; choose another --out")
    place = {"path": str(folder.expanduser().absolute())}
    task: ImageFolder = catalog.build({**spec, **place, "strict": strict}, catalog.TASKS, str(folder))
    try:
        task.check_unchanged()
    except MA2MLError as error:
        raise MA2MLError(f"{error}, or choose another --out than {out}") from error
    task.load()
    entry = entry.override(**overrides, **place)
    evaluator = entry.build().evaluator
    return entry, image_lines(evaluator, entry.agents) if isinstance(evaluator, TrainEvaluator) else []


def _download(options: TrainOptions) -> None:
    """Downloads the images of a registered environment if they are missing; the run does not depend on it."""
    entry = registry.entry(options.search.env).override(**options.overrides())
    try:
        evaluator = entry.override(download=True).build().evaluator
    except UnknownNameError:
        raise MA2MLError(
            f"the images of {entry.id} cannot be downloaded here; docs/data.md says where they come from"
        ) from None
    if isinstance(evaluator, Preparing):
        evaluator.prepare()
