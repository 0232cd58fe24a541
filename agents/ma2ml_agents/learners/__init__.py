"""The learners by name, and how one is made."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any, cast

from ma2ml_agents.learner import AgentSpec, Learner
from ma2ml_env.errors import MA2MLError, UnknownNameError, missing_extra, nearest

LEARNERS = {
    "ma2ml": "ma2ml_agents.learners.ma2ml:MA2ML",
    "ma2ml_lite": "ma2ml_agents.learners.ma2ml_lite:MA2MLLite",
    "ma2ml_on_policy": "ma2ml_agents.learners.ma2ml_on_policy:MA2MLOnPolicy",
    "mappo": "ma2ml_agents.learners.ppo:PPO",
    "nsga2": "ma2ml_agents.learners.nsga2:NSGA2",
    "one_plus_one": "ma2ml_agents.learners.one_plus_one:OnePlusOne",
    "ppo": "ma2ml_agents.learners.ppo:PPO",
    "random_search": "ma2ml_agents.learners.random_search:RandomSearch",
    "regularized_evolution": "ma2ml_agents.learners.regularized_evolution:RegularizedEvolution",
    "sb3_a2c": "ma2ml_agents.learners.sb3:SB3A2C",
    "sb3_ppo": "ma2ml_agents.learners.sb3:SB3PPO",
    "smac": "ma2ml_agents.learners.smac:SMAC",
    "tpe": "ma2ml_agents.learners.tpe:TPE",
}
EXTRAS = {
    "cmaes": "cmaes",
    "ConfigSpace": "smac",
    "optuna": "optuna",
    "smac": "smac",
    "stable_baselines3": "sb3",
}
"""Packages that some learners need, and the extra of this one that installs each."""


def learner_names() -> list[str]:
    """The names of the learners that come with this package."""
    return list(LEARNERS)


def learner_class(name: str) -> type[Learner]:
    """The class of a learner.

    Args:
        name: one of `learner_names()`, or `package.module:Class` for one of your own.

    Raises:
        ValueError: if there is none, or it is not a learner.
    """
    if ":" not in name and name not in LEARNERS:
        raise UnknownNameError(
            f"unknown learner {name!r}; {nearest(name, LEARNERS)} One of your own is package.module:Class"
        )
    module_name, _, class_name = LEARNERS.get(name, name).partition(":")
    if not (module_name and class_name) or module_name.startswith("."):
        raise MA2MLError(f"cannot load learner {name!r}: it is not of the form package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra:
            raise missing_extra(f"cannot load learner {name!r} ({error})", extra) from error
        raise MA2MLError(f"cannot load learner {name!r}: {error}") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise UnknownNameError(f"cannot load learner {name!r}: {module_name} has no {class_name!r}")
    methods = ("act", "update", "state_dict", "load_state_dict")
    missing = [method for method in methods if not callable(getattr(found, method, None))]
    if missing or not dataclasses.is_dataclass(getattr(found, "Config", None)):
        raise MA2MLError(f"{name!r} is not a learner: it lacks {missing or 'a dataclass Config'}")
    return cast("type[Learner]", found)


def make_learner(name: str, specs: Sequence[AgentSpec], seed: int = 0, **settings: Any) -> Learner:
    """Make a learner.

    Args:
        name: as for `learner_class`.
        specs: the agents, from `agent_specs(env)`.
        seed: of everything random in it.
        **settings: fields of its `Config`.

    Raises:
        ValueError: for an unknown learner or setting, or a setting out of range.
    """
    made: Any = learner_class(name)
    fields = [field.name for field in dataclasses.fields(made.Config)]
    for setting in settings:
        if setting not in fields:
            raise UnknownNameError(f"{name} has no setting {setting!r}; {nearest(setting, fields)}")
    return cast(Learner, made(specs, made.Config(**settings), seed=seed))
