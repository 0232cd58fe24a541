"""`ma2ml importance`: how much each agent and each decision matters, from trials or from an instant environment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

import ma2ml_env
from ma2ml_agents.benchmark.styles import COLORS
from ma2ml_agents.commands.train_options import TrainOptions
from ma2ml_agents.importance import Choices, enumerate_all, estimate
from ma2ml_agents.importance.games import true_reward
from ma2ml_agents.importance.page import Page
from ma2ml_agents.importance.trees import fit_trees
from ma2ml_agents.runs.folder import CONFIG_FILE
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_env import AutoMLEnv, registry
from ma2ml_env.trials import TrialStore

ENUMERABLE = 100_000
"""Pipelines up to which all are scored instead of some."""


def main(argv: Sequence[str], prog: str) -> None:
    """Tell what matters in a run or in an environment."""
    tyro.cli(_importance, args=list(argv), prog=prog)


def _importance(
    run_or_env: Annotated[str, tyro.conf.Positional],
    env: str | None = None,
    settings: Annotated[tuple[str, ...], tyro.conf.arg(name="set")] = (),
    registry_file: Annotated[Path | None, tyro.conf.arg(name="registry")] = None,
    samples: int = 512,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Tell how much each agent and each decision matters: shares of the variance of the reward over random pipelines.

    Args:
        run_or_env: a run's folder, its trials.db, or the id of an instant environment.
        env: the id of the environment that the trials are of; default is what the run's config.json says.
        settings: of the named environment as NAME=VALUE.
        registry_file: a YAML file with environments of your own.
        samples: random pairs of pipelines; ignored where all pipelines are scored.
        seed: of everything random.
        out: folder of importance.json and importance.png; default is the run's, or runs/importance-<environment>.
    """
    if registry_file is not None:
        ma2ml_env.register_file(registry_file)
    overrides = TrainOptions(set=settings).overrides()
    console = Console(highlight=False)
    path = Path(run_or_env)
    with console.status("scoring random pipelines"):
        if path.exists():
            file = path / TRIALS_FILE if path.is_dir() else path
            made = _env_of(file) if env is None else registry.make(env, **overrides)
            page = _of_trials(made, file, samples, seed)
        else:
            made = _named(run_or_env, **overrides)
            page = _of_env(made, samples, seed)
    default = file.parent if path.exists() else Path("runs") / f"importance-{made.name.rpartition('/')[2]}"
    console.print(page.table(), soft_wrap=True)
    for saved in page.save(out or default, COLORS):
        console.print(str(saved), soft_wrap=True)


def _named(env_id: str, **overrides: Any) -> AutoMLEnv:
    """The environment of an id; the message tells if the text looks like neither an id nor a file."""
    try:
        return registry.make(env_id, **overrides)
    except ValueError as error:
        if env_id in ma2ml_env.env_ids():
            raise
        raise ValueError(f"there is no run {env_id}, and as an environment: {error}") from None


def _env_of(file: Path) -> AutoMLEnv:
    """The environment that a run's configuration describes."""
    path = file.parent / CONFIG_FILE
    if not path.exists():
        raise ValueError(f"{file.parent} holds no {CONFIG_FILE}, so it does not tell its environment; name it by --env")
    try:
        entry = registry.EnvEntry(**json.loads(path.read_text(encoding="utf-8"))["run"]["environment"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged or not a run's ({error}); name the environment by --env") from error
    return entry.build()


def _of_trials(env: AutoMLEnv, file: Path, samples: int, seed: int) -> Page:
    """What the trials of a run say, by models that are fitted to them."""
    if not file.exists():
        raise ValueError(f"there are no trials in {file.parent}: it holds no {file.name}")
    store = TrialStore(file, env.definition)
    try:
        trees = fit_trees(env, store.load(env.decode), seed)
    finally:
        store.close()
    source = (
        f"told by trees fitted to {trees.pipelines} pipelines; on pipelines held out from them R2 is {trees.r2:.2f}.\n"
        "What trees miss is first of all interactions, so these are rather larger than they look here."
    )
    return Page(env.name, source, estimate(Choices.of(env.search_spaces), trees.score, samples, seed), trees.r2)


def _of_env(env: AutoMLEnv, samples: int, seed: int) -> Page:
    """What an environment says that knows every result."""
    choices, score = Choices.of(env.search_spaces), true_reward(env)
    if choices.size <= ENUMERABLE:
        return Page(env.name, f"exact, from all {choices.size} pipelines", enumerate_all(choices, score))
    importance = estimate(choices, score, samples, seed)
    return Page(env.name, f"estimated from random pipelines out of {choices.size:.1e}", importance)
