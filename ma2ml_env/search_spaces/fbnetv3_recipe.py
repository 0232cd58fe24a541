"""HPO as in FBNetV3's joint search: the recipe that is searched along with the architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces.recipe import Recipe

SEARCHED = {
    "learning_rate": tuple(step / 1000 for step in range(20, 31, 2)),
    "optimizer": ("rmsprop", "sgd"),
    "dropout": tuple(step / 100 for step in range(1, 32, 5)),
    "drop_path": tuple(step / 100 for step in range(10, 32, 3)),
    "mixup": tuple(step / 100 for step in (0, *range(1, 42, 10))),
    "weight_decay": tuple(step / 1_000_000 for step in range(7, 22, 2)),
}


def fbnetv3_recipe(batch_size: int = 256, ema_decay: float = 0.999) -> SearchSpace:
    """The HPO agent's space beside FBNetV3's architectures: 7 decisions.

    Stochastic depth is the recipe's `drop_path`, the averaged weights (EMA) are its `ema_decay`, on or off. What is
    not searched is usual on ImageNet: momentum 0.9, a cosine schedule, label smoothing 0.1.

    Args:
        batch_size: batch size of every recipe, at least 1.
        ema_decay: decay of the averaged weights where they are on, in (0, 1).

    Raises:
        ValueError: for a batch size or a decay out of range.

    Source: FBNetV3's ranges as remembered, but neither their steps nor the values that are not searched.
    """
    if not 0 < ema_decay < 1:
        raise MA2MLError(f"ema_decay must be in (0, 1), not {ema_decay}; the space itself offers 0, for none")
    fixed = Recipe(batch_size=batch_size, label_smoothing=0.1)
    choices = {**SEARCHED, "ema_decay": (0.0, ema_decay)}
    usual = {name: values[len(values) // 2] for name, values in choices.items()}

    def build(chosen: Mapping[str, Any]) -> Recipe:
        return replace(fixed, **chosen)

    def values(built: Recipe) -> dict[str, Any]:
        given, kept = asdict(built), asdict(fixed)
        silent = {name: kept[name] for name in kept if name not in choices and given[name] != kept[name]}
        if silent:
            raise MA2MLError(f"this space has no decision for {sorted(silent)}; its recipes have {silent}")
        return {name: given[name] for name in choices}

    decisions = [Decision(name, values, ordered=name != "optimizer") for name, values in choices.items()]
    default = [decision.choices.index(usual[decision.name]) for decision in decisions]
    return SearchSpace(decisions, build, values=values, default=default, fixed={"recipe": str(fixed)})
