"""`ma2ml importance`: importance of each agent and each decision, from trials or from an instant environment."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

import ma2ml_env
from ma2ml_agents.benchmark.styles import COLORS
from ma2ml_agents.commands.options import Repeatable, parse, parse_settings, register_environments
from ma2ml_agents.importance import Choices, enumerate_all, estimate
from ma2ml_agents.importance.games import true_reward
from ma2ml_agents.importance.of_trials import importance_of_trials
from ma2ml_agents.importance.page import Page
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_agents.search.loop import TRIALS_FILE
from ma2ml_env import AutoMLEnv, registry
from ma2ml_env.errors import MA2MLError, UnknownNameError
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import check_seed

ENUMERABLE = 100_000
"""Largest number of pipelines that are scored exhaustively instead of sampled."""


@dataclass(frozen=True)
class ImportanceOptions:
    """Report how much each agent and decision matters: shares of the reward's variance over random pipelines."""

    run_or_env: tyro.conf.Positional[str]
    """Folder of a run, its trials.db, or the id of an instant environment."""
    env: str | None = None
    """Id of the environment of the trials; by default that of the run's config.json."""
    set: Repeatable = ()
    """Settings of the named environment as NAME=VALUE."""
    registry: Path | None = None
    """YAML file with your own environments."""
    samples: int = 512
    """Random pairs of pipelines; ignored where all pipelines are scored."""
    seed: int = 0
    """Seed of all randomness."""
    out: Path | None = None
    """Folder of importance.json and importance.png; by default the run's, or runs/importance-<environment>."""


def main(argv: Sequence[str], prog: str) -> None:
    """Reports the importance of agents and decisions in a run or an environment."""
    options: ImportanceOptions = parse(ImportanceOptions, argv, prog)
    check_seed(options.seed)
    register_environments([options.registry])
    overrides = parse_settings(options.set)
    console = Console(highlight=False)
    path = Path(options.run_or_env)
    with console.status("scoring random pipelines"):
        if path.exists():
            file = path / TRIALS_FILE if path.is_dir() else path
            made = env_of_run(file.parent) if options.env is None else registry.make(options.env, **overrides)
            page = _of_trials(made, file, options.samples, options.seed)
        else:
            made = _named(options.run_or_env, **overrides)
            page = _of_env(made, options.samples, options.seed)
    default = file.parent if path.exists() else Path("runs") / f"importance-{made.name.rpartition('/')[2]}"
    console.print(page.table(), soft_wrap=True)
    for saved in page.save(options.out or default, COLORS):
        console.print(str(saved), markup=False, soft_wrap=True)


def _named(env_id: str, **overrides: Any) -> AutoMLEnv:
    """Returns the environment of an id; raises an error if the text is neither an id nor a file."""
    try:
        return registry.make(env_id, **overrides)
    except MA2MLError as error:
        if env_id in ma2ml_env.env_ids():
            raise
        raise UnknownNameError(f"there is no run {env_id}, and as an environment: {error}") from None


def _of_trials(env: AutoMLEnv, file: Path, samples: int, seed: int) -> Page:
    """Returns the importance by models fitted to the trials of a run."""
    if not file.exists():
        raise MA2MLError(f"there are no trials in {file.parent}: it holds no {file.name}")
    with closing(TrialStore(file, env.definition)) as store:
        return importance_of_trials(env, store.load(env.decode), samples, seed)


def _of_env(env: AutoMLEnv, samples: int, seed: int) -> Page:
    """Returns the importance in an environment that can score any pipeline at once."""
    choices, score = Choices.of(env.search_spaces), true_reward(env)
    if choices.size <= ENUMERABLE:
        return Page(env.name, f"exact, from all {choices.pipelines} pipelines", enumerate_all(choices, score))
    importance = estimate(choices, score, samples, seed)
    return Page(env.name, f"estimated from random pipelines out of {choices.pipelines:.1e}", importance)
