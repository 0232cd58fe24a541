"""Facts about the finalists of a run, with the latency of their networks on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ma2ml_agents.commands.finale.outcome import RESULT_FILE
from ma2ml_agents.commands.model_files.run_facts import read_object
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_env import Pipeline
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.trials import TrialStore


def finalists_of_run(folder: Path) -> list[dict[str, Any]]:
    """Returns the finalists of a run, best first; none where it trains no networks or had no finalists.

    Keys: `trial`, `expected_accuracy`, `interval` (None if not known), `flops`, `params`, `latency` (seconds of one
    image on one thread, the median, by an untrained network in PyTorch).

    Args:
        folder: of the run.

    Raises:
        DamagedFileError: if a file of the folder is damaged.
    """
    said = {one["trial"]: one for one in read_object(folder / RESULT_FILE).get("finalists", [])}
    if not said:
        return []
    try:
        env = env_of_run(folder)
    except MA2MLError:  # parts of the user's own that are not registered here
        return []
    if not isinstance(env.evaluator, TrainEvaluator):
        return []
    facts = []
    for number, action in _actions(folder / TRIALS_FILE, list(said)).items():
        pipeline, one = env.decode(action), said[number]
        interval = None if one.get("low") is None else [one["low"], one["high"]]
        cost = env.cost(pipeline)
        quality = {"trial": number, "expected_accuracy": one["expected"], "interval": interval}
        sizes = {"flops": cost.flops, "params": cost.params, "latency": network_latency(env.evaluator, pipeline)}
        facts.append({**quality, **sizes})
    return facts


def network_latency(evaluator: TrainEvaluator, pipeline: Pipeline) -> float:
    """Returns the median seconds of one image on one thread of this machine, by an untrained network.

    Args:
        evaluator: builds the network.
        pipeline: describes it.
    """
    import torch

    from ma2ml_env.training.classifier import Classifier
    from ma2ml_env.training.latency import median_latency, one_thread
    from ma2ml_env.training.loop import Normalization

    task = evaluator.task
    normalization = Normalization((0.5,) * task.channels, (0.5,) * task.channels)
    with torch.random.fork_rng(devices=[]), one_thread():
        network = evaluator.build(pipeline).cpu()
        model = Classifier(network, pipeline["nas"], evaluator.network, normalization, task)
        return median_latency(model.logits, model.images.shape)


def _actions(file: Path, numbers: list[int]) -> dict[int, dict[str, list[int]]]:
    """Returns the actions of some trials, in the order of their numbers in the list."""
    store = TrialStore(file)
    try:
        rows = {row["number"]: row["action"] for row in store.rows()}
    finally:
        store.close()
    return {number: json.loads(rows[number]) for number in numbers if number in rows}
