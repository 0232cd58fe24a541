"""Catalog of the learners, and their construction by name."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ma2ml_agents.learner import AgentSpec, Learner
from ma2ml_agents.learners.presets import PRESETS, Kind, preset_settings
from ma2ml_agents.learners.presets import preset_names as preset_names
from ma2ml_env.errors import MA2MLError, UnknownNameError, missing_extra, nearest

LEARNERS = {
    "bananas": "ma2ml_agents.learners.bananas:BANANAS",
    "cmaes": "ma2ml_agents.learners.cmaes:CMAES",
    "gp": "ma2ml_agents.learners.gp:GP",
    "l2nas": "ma2ml_agents.learners.l2nas:L2NAS",
    "local_search": "ma2ml_agents.learners.local_search:LocalSearch",
    "ma2ml": "ma2ml_agents.learners.ma2ml:MA2ML",
    "ma2ml_lite": "ma2ml_agents.learners.ma2ml_lite:MA2MLLite",
    "ma2ml_on_policy": "ma2ml_agents.learners.ma2ml_on_policy:MA2MLOnPolicy",
    "mappo": "ma2ml_agents.learners.ppo:PPO",
    "migo": "ma2ml_agents.learners.migo:MIGO",
    "nars": "ma2ml_agents.learners.nars:NARS",
    "nsga2": "ma2ml_agents.learners.nsga2:NSGA2",
    "one_plus_one": "ma2ml_agents.learners.one_plus_one:OnePlusOne",
    "ppo": "ma2ml_agents.learners.ppo:PPO",
    "predictor_evolution": "ma2ml_agents.learners.predictor_evolution:PredictorEvolution",
    "random_search": "ma2ml_agents.learners.random_search:RandomSearch",
    "regularized_evolution": "ma2ml_agents.learners.regularized_evolution:RegularizedEvolution",
    "rmi_forest": "ma2ml_agents.learners.rmi_forest:RMIForest",
    "sb3_a2c": "ma2ml_agents.learners.sb3:SB3A2C",
    "sb3_ppo": "ma2ml_agents.learners.sb3:SB3PPO",
    "smac": "ma2ml_agents.learners.smac:SMAC",
    "tpe": "ma2ml_agents.learners.tpe:TPE",
    "vdn": "ma2ml_agents.learners.vdn:VDN",
}
EXTRAS = {
    "cmaes": "cmaes",
    "ConfigSpace": "smac",
    "optuna": "optuna",
    "smac": "smac",
    "stable_baselines3": "sb3",
}
"""Packages that some learners require, and this project's extra that installs each."""


def learner_names() -> list[str]:
    """Returns the names of the learners that come with this package."""
    return list(LEARNERS)


def learner_summary(name: str) -> str:
    """Returns the first line of the documentation of a learner's module, read without importing it."""
    module, _, _ = LEARNERS[name].partition(":")
    source = importlib.util.find_spec(module)
    text = "" if source is None or source.origin is None else Path(source.origin).read_text(encoding="utf-8")
    summary = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return summary.rstrip(".")


def learner_class(name: str) -> type[Learner]:
    """Returns the class of a learner.

    Args:
        name: one of `learner_names()` or `preset_names()`, or `package.module:Class` for your own.

    Raises:
        UnknownNameError: if there is none.
        MissingExtraError: if it requires a library that is not installed.
        MA2MLError: if it is not a learner, or cannot be imported.
    """
    known = {**LEARNERS, **{preset: LEARNERS[entry.learner] for preset, entry in PRESETS.items()}}
    if ":" not in name and name not in known:
        raise UnknownNameError(f"unknown learner {name!r}; {nearest(name, known)}. Your own is package.module:Class")
    module_name, _, class_name = known.get(name, name).partition(":")
    if not module_name or not class_name or module_name.startswith("."):
        raise MA2MLError(f"{name!r} is not of the form package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra and isinstance(error, ModuleNotFoundError):
            raise missing_extra(f"cannot load learner {name!r}: {error}", extra) from error
        raise MA2MLError(f"cannot load learner {name!r}: {error}") from error
    if not hasattr(module, class_name):
        raise UnknownNameError(f"cannot load learner {name!r}: module {module_name!r} has no {class_name!r}")
    found = getattr(module, class_name)
    methods = ("act", "update", "state_dict", "load_state_dict")
    missing = [method for method in methods if not callable(getattr(found, method, None))]
    if missing or not dataclasses.is_dataclass(getattr(found, "Config", None)):
        raise MA2MLError(f"{name!r} is not a learner: it lacks {missing or 'a dataclass Config'}")
    return cast("type[Learner]", found)


def make_config(name: str, settings: Mapping[str, Any], preset: Kind | None = None) -> Any:
    """Returns a learner's settings as an instance of its `Config`.

    Args:
        name: as for `learner_class`.
        settings: fields of its `Config`; others keep the preset's values, or their defaults.
        preset: `"published"` or `"tuned"`; None prefers tuned where the preset has both.

    Raises:
        UnknownNameError: for an unknown learner, setting or preset.
        MA2MLError: for a setting out of range.
    """
    kind: Any = learner_class(name).Config
    fields = [field.name for field in dataclasses.fields(kind)]
    for setting in settings:
        if setting not in fields:
            raise UnknownNameError(f"{name} has no setting {setting!r}; {nearest(setting, fields)}")
    try:
        return kind(**{**preset_settings(name, preset), **settings})
    except ValueError as error:
        raise MA2MLError(f"{name}: {error}") from error


def make_learner(name: str, specs: Sequence[AgentSpec], seed: int = 0, **settings: Any) -> Learner:
    """Makes a learner.

    Args:
        name: as for `learner_class`.
        specs: the agents, from `agent_specs(env)`.
        seed: seed of all randomness.
        **settings: fields of its `Config`.

    Raises:
        MA2MLError: for an unknown learner or setting, or a setting out of range.
    """
    return learner_from_config(name, specs, make_config(name, settings), seed)


def learner_from_config(name: str, specs: Sequence[AgentSpec], config: Any, seed: int = 0) -> Learner:
    """Makes a learner.

    Args:
        name: as for `learner_class`.
        specs: the agents, from `agent_specs(env)`.
        config: an instance of its `Config`.
        seed: seed of all randomness.
    """
    made: Any = learner_class(name)
    return cast(Learner, made(specs, config, seed=seed))
