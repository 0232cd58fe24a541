"""Warm start: published architectures and policies, or pipelines from a file, to evaluate first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ma2ml_env import AutoMLEnv, published
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import read_yaml
from ma2ml_env.trials import TrialStore, top_k
from ma2ml_env.types import JointAction

BEST_OF_A_RUN = 20
FILES = (".db", ".json", ".yaml", ".yml")


def read_warm_start(words: Sequence[str], env: AutoMLEnv, console: Console) -> list[JointAction]:
    """Returns the joint actions that `--warm-start` names.

    Published names are grouped by the agent whose module they are, and every combination of one per group is a
    pipeline, in which agents without a name play their default action.

    Args:
        words: names of `published.names()`, several in a word if separated by commas; or files: JSON or YAML with a
            list of {agent: indices, or {decision: choice}}, or a `trials.db`, of which the best 20 are used. Only
            their actions are read, so its evaluator may differ.
        env: the environment.
        console: receives notes on differences between a pipeline and the published one.

    Returns:
        Distinct joint actions, in order.

    Raises:
        ValueError: for an unknown name, one that no agent can represent, or a file that cannot be used.
    """
    parts = [part for word in words for part in word.split(",") if part]
    files = [Path(part) for part in parts if part.endswith(FILES)]
    found = _published([part for part in parts if not part.endswith(FILES)], env, console)
    for file in files:
        found += _stored(file, env) if file.suffix == ".db" else _written(file, env)
    return list({env.decode(action).key: action for action in found}.values())


def default_action(env: AutoMLEnv) -> JointAction:
    """Returns the default action, played by agents that a warm start does not mention."""
    return {agent: space.default for agent, space in env.search_spaces.items()}


def _published(names: Sequence[str], env: AutoMLEnv, console: Console) -> list[JointAction]:
    choices: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        for action in published.actions(name, env, nearest=True):
            choices.setdefault(action.agent, []).append(tuple(action))
            if action.changes:
                console.print(
                    f"note: {name}: {'; '.join(action.changes)}", highlight=False, markup=False, soft_wrap=True
                )
    if not choices:
        return []
    combinations = itertools.product(*choices.values())
    return [{**default_action(env), **dict(zip(choices, chosen, strict=True))} for chosen in combinations]


def _stored(file: Path, env: AutoMLEnv) -> list[JointAction]:
    if not file.exists():
        raise MA2MLError(f"there is no {file} to start from")
    trials = [trial for trial in TrialStore(file).load(env.decode) if not trial.result.failed]
    return [trial.pipeline.action for trial in top_k(trials, BEST_OF_A_RUN)]


def _written(file: Path, env: AutoMLEnv) -> list[JointAction]:
    document = read_yaml(file)
    if not isinstance(document, list) or not all(isinstance(entry, Mapping) for entry in document):
        raise MA2MLError(
            f"{file}: a warm start is a list of pipelines, each {{agent: indices or {{decision: choice}}}}"
        )
    return [_action(f"{file}, pipeline {number}", entry, env) for number, entry in enumerate(document)]


def _action(where: str, entry: Mapping[str, Any], env: AutoMLEnv) -> JointAction:
    """Returns one pipeline of a file; agents and decisions that are not mentioned have their defaults."""
    action = dict(default_action(env))
    for agent, said in entry.items():
        if agent not in env.search_spaces:
            raise MA2MLError(f"{where}: there is no agent {agent!r}; the agents are {env.possible_agents}")
        space = env.search_spaces[agent]
        try:
            if isinstance(said, Mapping):
                action[agent] = space.encode({**space.default_values, **said})
            else:
                action[agent] = space.validate(said, agent=agent)
        except ValueError as error:
            raise MA2MLError(f"{where}: {error}") from error
    return action
