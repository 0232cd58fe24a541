"""Facts about a run and its model, as JSON values, for the model's card."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ma2ml_agents.commands.finale.outcome import RESULT_FILE
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_agents.runs.folder import CONFIG_FILE
from ma2ml_agents.runs.version import project_version
from ma2ml_agents.search.chance import chance_level
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.trials import TrialStore

CONFIDENCE = 0.95
TRIVIAL = "TrivialAugment in place of the pipeline's"
QUALITY = {
    "accuracy": "observed_accuracy",
    "expected_accuracy": "expected_accuracy",
    "interval": "interval",
    "test_accuracy": "test_accuracy",
}
"""{field of a run's result: the fact}."""


def facts_of_run(folder: Path, training: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns what a run's folder holds about its model; facts that are not there are left out.

    Keys: `environment`, `learner`, `seed`, `budget`, `trials`, `trial`, `epochs`, `image_share` and `augmentation` (of
    the final training; the last two where they are not all images and the pipeline's), `pipeline` (in words), `action`,
    `flops`, `params`, `observed_accuracy`, `expected_accuracy`, `interval`, `test_accuracy`, `test_interval` (Wilson's,
    95 %; that of a balanced accuracy is as if all classes were recognized equally often), `metric`, `chance` (accuracy
    of guessing on the test images), `images` (numbers per split), `training_versions`.

    Args:
        folder: of the run.
        training: fields of the result of another training than the final one, such as `trial`, `epochs`, `seed` and
            `test_accuracy`.

    Raises:
        DamagedFileError: if a file of the folder is damaged.
    """
    config, result = read_object(folder / CONFIG_FILE), read_object(folder / RESULT_FILE)
    if training is not None:
        result = {"trials": result.get("trials"), **training}
    run, options = config.get("run", {}), config.get("options", {})
    facts = {
        "environment": run.get("environment", {}).get("id"),
        "learner": run.get("learner"),
        "seed": result.get("seed", run.get("seed")),
        "budget": options.get("budget"),
        "trials": result.get("trials"),
        "trial": result.get("trial"),
        "epochs": result.get("epochs"),
        "image_share": result.get("image_share"),
        "training_versions": config.get("project"),
        **{fact: result.get(field) for field, fact in QUALITY.items()},
        **_of_trial(folder / TRIALS_FILE, result.get("trial")),
        **_of_task(folder, result),
    }
    return {name: value for name, value in facts.items() if value is not None}


def read_object(file: Path) -> dict[str, Any]:
    """Returns the object in a JSON file; an empty one if there is no such file.

    Raises:
        DamagedFileError: if the file holds anything else.
    """
    if not file.exists():
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFileError(f"{file} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise DamagedFileError(f"{file} is damaged: it holds no object")
    return document


def wilson_interval(accuracy: float, images: float) -> tuple[float, float]:
    """Returns Wilson's interval of an accuracy, of 95 % confidence.

    Args:
        accuracy: share of images that were classified correctly.
        images: their number, at least 1; of a balanced accuracy, the number of equal sampling error.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    from scipy.stats import norm

    z = float(norm.isf((1 - CONFIDENCE) / 2))
    center = accuracy + z**2 / (2 * images)
    half = z * math.sqrt(accuracy * (1 - accuracy) / images + (z / (2 * images)) ** 2)
    whole = 1 + z**2 / images
    return max(0.0, (center - half) / whole), min(1.0, (center + half) / whole)


def versions(*libraries: str) -> dict[str, str]:
    """Returns {name: version} of Python, this project and installed libraries."""
    from importlib.metadata import version

    project = project_version()
    own = " ".join(part for part in (project["version"], project["commit"] and f"({project['commit']})") if part)
    return {"python": platform.python_version(), "ma2ml-env": own} | {name: version(name) for name in libraries}


def machine() -> str:
    """Returns the name of this machine's processor and its system."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{next(iter(names), platform.processor() or platform.machine())}, {platform.system()}"


def _of_trial(file: Path, number: int | None) -> dict[str, Any]:
    """Returns pipeline and cost of a trial."""
    if number is None or not file.exists():
        return {}
    store = TrialStore(file)
    try:
        row = next((row for row in store.rows() if row["number"] == number), None)
    finally:
        store.close()
    if row is None:
        return {}
    cost = {name: int(row[name]) for name in ("flops", "params")}
    return {"pipeline": row["pipeline"], "action": json.loads(row["action"]), **cost}


def _of_task(folder: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a run's task says of its images; nothing where images are not trained on, or gone."""
    test_accuracy, epochs, share = result.get("test_accuracy"), result.get("epochs"), result.get("image_share", 1.0)
    try:
        evaluator = env_of_run(folder).evaluator
        if not isinstance(evaluator, TrainEvaluator):
            return {}
        splits = evaluator.task.load()
    except (MA2MLError, OSError):
        return {}
    images = {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)}
    chance = chance_level(evaluator, "test") if images["test"] else None
    interval = None
    if chance is not None and test_accuracy is not None:
        interval = list(wilson_interval(test_accuracy, chance.images))
    return {
        "metric": evaluator.metric,
        "images": images,
        "chance": chance and chance.accuracy,
        "test_interval": interval,
        "augmentation": TRIVIAL if epochs and evaluator.retrains_with_trivial_augment(epochs, share) else None,
    }
