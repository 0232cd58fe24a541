"""Search methods of published systems, as settings of learners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest

Kind = Literal["published", "tuned"]


@dataclass(frozen=True)
class Preset:
    """Settings under which a learner matches the search method of a published system.

    Attributes:
        learner: name of the learner.
        system: the system, with its publication.
        searches_with: short description of its method.
        origin: source of the published settings; empty if unknown.
        published: settings as published; None if unknown.
        tuned: settings for a few hundred pipelines, beside the learner's defaults; None if there are none.
        left_out: parts of the original that the settings do not cover.
        tuned_origin: source of the settings for a few hundred pipelines.
    """

    learner: str
    system: str
    searches_with: str
    origin: str
    published: Mapping[str, Any] | None = None
    tuned: Mapping[str, Any] | None = field(default_factory=dict)
    left_out: str = ""
    tuned_origin: str = "the learner's defaults, tuned"


_UNTUNED = "ours, the learner's defaults adapted for a few hundred pipelines; not tuned as a preset"
_UNTUNED_STEP = f"{_UNTUNED}; migo's step before its tuning, which was for ten samples an update"
_CONTROLLER = {"single_agent": True, "policy": "lstm"}
_NASNET = {
    **_CONTROLLER,
    "distinct": False,
    "batch_size": 20,
    "learning_rate": 3.5e-4,
    "entropy_coef": 1e-5,
    "value_decay": 0.95,
}
_PPO_CONTROLLER = {**_CONTROLLER, "learning_rate": 0.001}
_SNG = {"batch_size": 2, "step": 0.6, "utility": "piecewise", "momentum": 0.0}
_ASNG = {"batch_size": 6, "step": 0.6, "utility": "piecewise", "momentum": 0.0, "adaptive": True}
_AS_PUBLISHED = {"step": 1.0, "step_grows": False, "distinct": False}

PRESETS: dict[str, Preset] = {
    "enas_controller": Preset(
        "ma2ml_lite",
        "ENAS (Pham et al., 2018)",
        "REINFORCE, one LSTM for all decisions",
        "the authors' code",
        {**_CONTROLLER, "distinct": False, "batch_size": 10, "learning_rate": 3.5e-3, "baseline_decay": 0.99},
        {**_CONTROLLER, "learning_rate": 0.01},
        "weight sharing; its 64 units (here 100); a baseline that is updated before its use (here after it); the "
        "entropy in the reward; bounded logits",
        _UNTUNED,
    ),
    "nasnet": Preset(
        "ppo",
        "NASNet (Zoph et al., 2018)",
        "PPO, one LSTM for all decisions",
        "the paper; clip range and epochs are not in it",
        _NASNET,
        _PPO_CONTROLLER,
        tuned_origin=_UNTUNED,
    ),
    "autoaugment": Preset(
        "ppo",
        "AutoAugment (Cubuk et al., 2019)",
        "PPO, one LSTM for all decisions",
        "the paper; clip range and epochs are not in it",
        _NASNET,
        _PPO_CONTROLLER,
        tuned_origin=_UNTUNED,
    ),
    "mnasnet": Preset(
        "ppo",
        "MnasNet (Tan et al., 2019), the search of EfficientNet",
        "PPO, one LSTM for all decisions",
        "",
        None,
        _PPO_CONTROLLER,
        "its reward, accuracy times a power of the cost, belongs to the environment",
        _UNTUNED,
    ),
    "autohas": Preset(
        "ma2ml_lite",
        "AutoHAS (Dong et al., 2020)",
        "REINFORCE, one softmax per decision",
        "a public re-implementation",
        {"single_agent": True, "distinct": False, "batch_size": 5, "learning_rate": 1e-3, "baseline_decay": 0.0},
        {"single_agent": True},
        "weight sharing; a baseline that is the batch's mean (here the last reward)",
        _UNTUNED,
    ),
    "amoebanet": Preset(
        "regularized_evolution",
        "AmoebaNet (Real et al., 2019)",
        "tournaments in an aging population",
        "as commonly reported, not checked against the paper",
        {"population": 100, "sample": 25, "mutation": "by_kind", "distinct": False},
        {"mutation": "by_kind"},
        "rare identical children",
        _UNTUNED,
    ),
    "sng": Preset(
        "migo",
        "SNG (Akimoto et al., 2019)",
        "stochastic natural gradient on categorical distributions",
        "the authors' code",
        {**_SNG, **_AS_PUBLISHED},
        _SNG,
        tuned_origin=_UNTUNED_STEP,
    ),
    "asng": Preset(
        "migo",
        "ASNG-NAS (Akimoto et al., 2019)",
        "natural gradient with adaptive step on categorical distributions",
        "the authors' code",
        {**_ASNG, **_AS_PUBLISHED},
        _ASNG,
        "weight sharing",
        _UNTUNED_STEP,
    ),
    "migo": Preset(
        "migo",
        "MIGO-NAS (Zheng et al., 2021)",
        "natural gradient with momentum on categorical distributions",
        "the authors' code",
        {**_AS_PUBLISHED, "batch_size": 8, "momentum": 0.5},
        {},
        "every operation drawn once per batch",
    ),
    "bananas": Preset(
        "bananas",
        "BANANAS (White et al., 2021)",
        "an ensemble of perceptrons and independent Thompson sampling",
        "the authors' code",
        {
            "warmup": 10,
            "parents": 5,
            "in_turn": True,
            "batch_size": 10,
            "epochs": 150,
            "learning_rate": 0.01,
            "weight_decay": 0.0,
        },
        {},
        "ten layers of 20 units; path encoding of cells; the mean absolute error; Adam's betas of 0.9 and 0.99",
    ),
    "rmi_forest": Preset(
        "rmi_forest",
        "RMI-NAS (Zheng et al., 2022)",
        "a random forest that tells good pipelines from the others",
        "the authors' code",
        {"warmup": 100, "good": 0.05, "candidates": 1000, "mutants": 0, "trees": 98},
        {},
        "mutual information with a teacher in place of the reward; a threshold that is fixed after the warm-up; the "
        "final answer, the most frequent choice of each decision among the best 50 of 100 good pipelines, which need "
        "not have been evaluated",
    ),
    "predictor_evolution": Preset(
        "predictor_evolution",
        "Once-for-All (Cai et al., 2020)",
        "evolution on a predictor's values",
        "the authors' code",
        {"generations": 500, "optimism": 0.0, "members": 1, "hidden_size": 400},
        {},
        "weight sharing; a single fit to 16,000 measured sub-networks (here one of 60 epochs, with weight decay, after "
        "every 10 results); a third hidden layer",
    ),
    "local_search": Preset(
        "local_search",
        "local search (White et al., 2021)",
        "complete one-decision neighborhoods",
        "the paper",
        {"starts": 10},
        {},
    ),
}
"""Presets by name. A preset with a learner's name holds the published settings, beside the learner's tuned defaults."""

SYSTEMS: dict[str, tuple[str, str]] = {
    "cmaes": ("CatCMA with margin (Hamano et al., 2025), package cmaes", "tuned"),
    "gp": ("efficient global optimization (Jones et al., 1998)", "tuned"),
    "l2nas": ("L2NAS (Mills et al., 2021)", "tuned; its settings are not published"),
    "ma2ml": ("MA2ML (Wang et al., 2023)", "chosen on the tuning problems; with an ensemble, tuned"),
    "ma2ml_lite": ("MA2ML-Lite (Wang et al., 2023)", "tuned"),
    "ma2ml_on_policy": ("MA2ML on-policy (Wang et al., 2023)", "tuned"),
    "mappo": ("MAPPO (Yu et al., 2022)", "tuned, as `ppo`"),
    "nars": ("FBNetV3 (Dai et al., 2021)", "tuned; its authors published no code"),
    "nsga2": ("NSGA-II (Deb et al., 2002), Optuna", "tuned"),
    "one_plus_one": ("the (1+1) evolutionary algorithm", "tuned"),
    "ppo": ("PPO (Schulman et al., 2017)", "tuned"),
    "random_search": ("random search", "it has no settings"),
    "regularized_evolution": ("regularized evolution (Real et al., 2019)", "tuned"),
    "sb3_a2c": ("A2C (Mnih et al., 2016), stable-baselines3", "the library's defaults"),
    "sb3_ppo": ("PPO (Schulman et al., 2017), stable-baselines3", "the library's defaults; the batch size is ours"),
    "smac": ("SMAC3 (Lindauer et al., 2022)", "the library's defaults"),
    "tpe": ("TPE (Bergstra et al., 2011), Optuna", "the library's defaults"),
    "vdn": ("VDN (Sunehag et al., 2018)", "tuned"),
}
"""System behind each learner that is no preset, and the origin of the learner's settings."""


def preset_kinds(name: str) -> list[Kind]:
    """Returns the kinds of settings that a preset has, of `"published"` and `"tuned"`."""
    return [kind for kind in get_args(Kind) if getattr(PRESETS[name], kind) is not None]


def preset_origin(name: str, kind: Kind) -> str:
    """Returns the origin of a preset's settings of a kind."""
    return PRESETS[name].origin if kind == "published" else PRESETS[name].tuned_origin


def preset_names() -> list[str]:
    """Returns the names of the presets."""
    return list(PRESETS)


def preset_settings(name: str, kind: Kind | None = None) -> dict[str, Any]:
    """Returns the settings of a preset.

    Args:
        name: a preset or a learner; a learner without a preset has its defaults, which are tuned.
        kind: `"published"` or `"tuned"`; None prefers tuned where they exist.

    Raises:
        UnknownNameError: for another kind.
        MA2MLError: if there are no such settings.
    """
    if kind is not None and kind not in get_args(Kind):
        raise UnknownNameError(f"unknown preset {kind!r}; {nearest(kind, get_args(Kind))}")
    preset = PRESETS.get(name)
    offered: dict[str, Mapping[str, Any] | None] = {
        "tuned": {} if preset is None else preset.tuned,
        "published": None if preset is None else preset.published,
    }
    if kind is None:
        kind = "published" if offered["tuned"] is None else "tuned"
    settings = offered[kind]
    if settings is None:
        raise MA2MLError(f"{name} has no {kind} settings; it has {[k for k, s in offered.items() if s is not None]}")
    return dict(settings)
