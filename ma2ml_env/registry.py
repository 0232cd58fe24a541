"""Registered environments, built from YAML entries: `make`, `env_ids`, `add_file`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ma2ml_env import catalog
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.evaluator import Defined
from ma2ml_env.files import read_yaml
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.types import AgentID

ID_FORM = re.compile(r"[\w.-]+/[\w.-]+-v\d+")
ENTRY_KEYS = ("summary", "agents", "evaluator", "reward")


@dataclass(frozen=True)
class EnvEntry:
    """One registered environment, as data.

    Attributes:
        id: `namespace/name-vN`.
        summary: one sentence.
        agents: {agent: spec of its search space}.
        evaluator: spec of the evaluator.
        reward: spec of the reward function.
    """

    id: str
    summary: str
    agents: Mapping[AgentID, catalog.Spec]
    evaluator: catalog.Spec
    reward: catalog.Spec

    def build(self, **options: Any) -> AutoMLEnv:
        """Assembles the environment; `options` are `AutoMLEnv`'s own keyword arguments.

        Raises:
            ValueError: if a part is unknown, or an argument of it unknown, missing or of a wrong type.
        """
        spaces = {
            agent: catalog.build(spec, catalog.SEARCH_SPACES, f"{self.id}, agent {agent!r}")
            for agent, spec in self.agents.items()
        }
        given = {"search_spaces": spaces, "make_env": make}
        evaluator = catalog.build(self.evaluator, catalog.EVALUATORS, f"{self.id}, evaluator", **given)
        return AutoMLEnv(
            spaces,
            evaluator,
            catalog.build_reward(self.reward, f"{self.id}, reward"),
            name=self.id,
            definition=_definition(spaces, evaluator.definition if isinstance(evaluator, Defined) else self.evaluator),
            **options,
        )

    def override(self, **values: Any) -> EnvEntry:
        """This entry with arguments of its evaluator, task, network, reward or search spaces replaced.

        An argument that several of these have is that of the first.

        Raises:
            ValueError: if none of these has an argument of that name.
        """
        evaluator, reward = dict(self.evaluator), dict(self.reward)
        agents = {agent: dict(spec) for agent, spec in self.agents.items()}
        places = [(evaluator, catalog.EVALUATORS), (reward, catalog.REWARDS)]
        for name, catalogue in catalog.NESTED.items():
            if name in evaluator:
                evaluator[name] = dict(evaluator[name])
                places.append((evaluator[name], catalogue))
        places += [(spec, catalog.SEARCH_SPACES) for spec in agents.values()]
        offered: dict[str, dict[str, Any]] = {}
        for spec, catalogue in places:
            for name in catalog.parameters(spec, catalogue, self.id):
                offered.setdefault(name, spec)
        for injected in ("search_spaces", "make_env", "result"):
            offered.pop(injected, None)
        for name, value in values.items():
            if name not in offered:
                raise UnknownNameError(f"{self.id} has no setting {name!r}; {nearest(name, offered)}")
            offered[name][name] = value
        return EnvEntry(self.id, self.summary, agents, evaluator, reward)


def _definition(spaces: Mapping[AgentID, SearchSpace], evaluator: Any) -> str:
    """Hash of all that a result depends on: the decisions and the evaluator, not the reward.

    Empty where a choice is an object whose text is not the same in every process.
    """
    choices = [choice for space in spaces.values() for decision in space.decisions for choice in decision.choices]
    if not all(isinstance(choice, (str, int, float, tuple, type(None))) for choice in choices):
        return ""
    decisions = {agent: [_identity(decision) for decision in space.decisions] for agent, space in spaces.items()}
    fixed = {agent: dict(space.fixed) for agent, space in spaces.items() if space.fixed}
    parts = {"decisions": decisions, "evaluator": evaluator} | ({"fixed": fixed} if fixed else {})
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _identity(decision: Decision) -> tuple[Any, ...]:
    """Part of a definition that describes a decision: without its order, and with a condition only where it has one."""
    return decision.name, list(decision.choices), *([decision.active] if decision.active else [])


_entries: dict[str, EnvEntry] = {}


def env_ids() -> list[str]:
    """The ids of all registered environments."""
    return list(_entries)


def entry(env_id: str) -> EnvEntry:
    """The registered entry of an id.

    Raises:
        ValueError: if there is none; the message offers the nearest.
    """
    if env_id not in _entries:
        raise UnknownNameError(f"unknown environment {env_id!r}; {nearest(env_id, _entries)}")
    return _entries[env_id]


def make(
    env_id: str, *, render_mode: str | None = None, log_path: str | Path | None = None, **overrides: Any
) -> AutoMLEnv:
    """Makes a registered environment itself; `ma2ml_env.make` makes its variants too.

    Args:
        env_id: one of `env_ids()`.
        render_mode: `None`, `"ansi"` or `"rgb_array"`.
        log_path: an SQLite file to which every trial is appended; several processes may share it.
        **overrides: arguments of evaluator, task, network, reward or search spaces that replace the registered ones.

    Raises:
        ValueError: for an unknown id or setting.

    Source: PettingZoo's and Gymnasium's `make`.
    """
    return assemble(entry(env_id).override(**overrides), render_mode=render_mode, log_path=log_path)


def assemble(parts: EnvEntry, *, render_mode: str | None = None, log_path: str | Path | None = None) -> AutoMLEnv:
    """Makes the environment of an entry, registered or not; arguments and errors as those of `make`.

    Args:
        parts: the environment as data.
        render_mode: `None`, `"ansi"` or `"rgb_array"`.
        log_path: an SQLite file to which every trial is appended.
    """
    from ma2ml_env.render import draw
    from ma2ml_env.trials import TrialStore

    env = parts.build(render_mode=render_mode, draw=draw)
    if log_path is not None:
        env.record = TrialStore(log_path, env.definition).append
    return env


def add_file(path: str | Path) -> list[str]:
    """Adds the environments of a YAML file, once all of them have been checked.

    Args:
        path: a file in the format of the package's own `envs_registry.yaml`.

    Returns:
        The new ids.

    Raises:
        ValueError: for an unknown or missing key, a wrong type, a duplicate id, or a part that cannot be made;
            then nothing of the file is added.
    """
    entries = read_entries(Path(path))
    for new in entries:
        if new.id in _entries:
            raise MA2MLError(f"{path}: {new.id!r} is registered already")
        new.build()
    return add_entries(entries)


def add_entries(entries: list[EnvEntry]) -> list[str]:
    """Adds entries; returns their ids."""
    _entries.update({new.id: new for new in entries})
    return [new.id for new in entries]


def read_entries(path: Path) -> list[EnvEntry]:
    """Reads and checks a registry file without building anything.

    Raises:
        ValueError: with file, id and key, for anything that is not in the documented form.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise MA2MLError(f"{path}: a registry is a mapping from id to entry, not a {type(document).__name__}")
    return [_entry(f"{path}, {env_id}", env_id, body) for env_id, body in document.items()]


def _entry(where: str, env_id: Any, body: Any) -> EnvEntry:
    if not isinstance(env_id, str) or not ID_FORM.fullmatch(env_id):
        raise MA2MLError(f"{where}: an id has the form namespace/name-v0")
    if not isinstance(body, dict):
        raise MA2MLError(f"{where}: an entry is a mapping with the keys {list(ENTRY_KEYS)}")
    for key in body:
        if key not in ENTRY_KEYS:
            raise UnknownNameError(f"{where}: unknown key {key!r}; {nearest(key, ENTRY_KEYS)}")
    missing = [key for key in ENTRY_KEYS if key not in body]
    if missing:
        raise MA2MLError(f"{where}: missing {missing}")
    if not isinstance(body["summary"], str):
        raise MA2MLError(f"{where}: summary is a sentence, not {body['summary']!r}")
    agents = body["agents"]
    if not isinstance(agents, dict) or not agents:
        raise MA2MLError(f"{where}: agents is a mapping from agent to search space, with at least one")
    specs = {f"agent {agent!r}": spec for agent, spec in agents.items()}
    for name, spec in {**specs, "evaluator": body["evaluator"], "reward": body["reward"]}.items():
        if not isinstance(spec, dict) or not isinstance(spec.get("kind"), str):
            raise MA2MLError(f"{where}, {name}: a part is a mapping with a `kind`, not {spec!r}")
    return EnvEntry(id=env_id, **body)


def shipped_file() -> Path:
    """The package's own registry, beside the package in a checkout and inside it when installed."""
    package = Path(__file__).parent
    inside = package / "envs_registry.yaml"
    return inside if inside.exists() else package.parent / "envs_registry.yaml"
