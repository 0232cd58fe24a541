"""HPO: the hyper-parameters of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ma2ml_env.decision import Decision, rises_or_falls
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import SearchSpace

OPTIMIZERS = ("sgd", "momentum", "adamw", "rmsprop")
SCHEDULES = ("cosine", "linear", "constant")


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of one training; each of them changes it.

    Attributes:
        learning_rate: peak learning rate, above 0.
        optimizer: one of `OPTIMIZERS`; `sgd` has Nesterov momentum, `momentum` has not.
        momentum: momentum of SGD and RMSProp, first moment of AdamW, in [0, 1).
        weight_decay: decoupled for AdamW, L2 otherwise; weights only, neither biases nor normalization.
        batch_size: images per step.
        schedule: one of `SCHEDULES`, over all steps of the training.
        warmup: share of the steps in which the learning rate rises from 0, in [0, 1).
        label_smoothing: in [0, 1).
        mixup: alpha of the Beta distribution, 0 for none.
        drop_path: probability of dropping a path in the deepest cell at the end of the training, in [0, 1).
        ema_decay: decay of the averaged weights that are evaluated, 0 for none.
        dropout: share of the classifier's inputs that is dropped in training, in [0, 1).

    Raises:
        ValueError: for a value out of its range.

    Source: the terms of SGD training with NASNet's scheduled drop-path, but not their selection.
    """

    learning_rate: float = 0.05
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 64
    schedule: str = "cosine"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    drop_path: float = 0.0
    ema_decay: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise MA2MLError(f"recipe: {name} must be one of {list(allowed)}, not {getattr(self, name)!r}")
        for name in ("momentum", "warmup", "label_smoothing", "drop_path", "ema_decay", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise MA2MLError(f"recipe: {name} must be in [0, 1), not {getattr(self, name)}")
        for name in ("weight_decay", "mixup"):
            if not getattr(self, name) >= 0:
                raise MA2MLError(f"recipe: {name} must be at least 0, not {getattr(self, name)}")
        if not self.learning_rate > 0 or self.batch_size < 1:
            raise MA2MLError("recipe: learning_rate must be above 0 and batch_size at least 1")

    def __str__(self) -> str:
        off = {f.name for f in fields(self) if f.default == 0.0 and getattr(self, f.name) == 0.0}
        chosen = {name: value for name, value in asdict(self).items() if name not in off}
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())


@dataclass(frozen=True)
class Base:
    """Usual settings of an optimizer, which a relative recipe multiplies.

    Attributes:
        learning_rate: peak, at momentum 0.9.
        weight_decay: decoupled for AdamW, L2 otherwise.
        scaled: whether the learning rate is multiplied by (1 - momentum) / 0.1, as SGD's momentum adds up its steps.

    Source: the usual values for small residual networks, but for RMSProp's.
    """

    learning_rate: float
    weight_decay: float
    scaled: bool = False


BASES = {
    "sgd": Base(0.1, 5e-4, scaled=True),
    "momentum": Base(0.1, 5e-4, scaled=True),
    "adamw": Base(0.003, 0.02),
    "rmsprop": Base(0.0005, 1e-4),
}
LEARNING_RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
WEIGHT_DECAYS = (0.0, 1e-4, 5e-4, 2e-3, 1e-2)
LEVELS = (0.25, 0.5, 1.0, 2.0)
WEIGHT_DECAY_LEVELS = (0.0, 0.3, 1.0, 3.0)
DIGITS = 6


def recipe(
    learning_rates: Sequence[float] | None = None,
    batch_sizes: Sequence[int] = (32, 64, 128),
    *,
    relative: bool = False,
    optimizers: Sequence[str] = OPTIMIZERS,
    momenta: Sequence[float] = (0.8, 0.9, 0.95),
    weight_decays: Sequence[float] | None = None,
    schedules: Sequence[str] = SCHEDULES,
    warmups: Sequence[float] = (0.0,),
    label_smoothings: Sequence[float] = (0.0, 0.05, 0.1),
    mixups: Sequence[float] = (0.0, 0.1, 0.2),
    drop_paths: Sequence[float] = (0.0, 0.05, 0.1, 0.2),
    dropouts: Sequence[float] = (0.0,),
    ema_decays: Sequence[float] = (0.0,),
) -> SearchSpace:
    """The HPO agent's space: a decision for every argument with more than one choice, 9 by default.

    An argument with a single choice is part of every recipe.

    Args:
        learning_rates: to choose from; None for `LEARNING_RATES`, or `LEVELS` if relative.
        batch_sizes: to choose from, and so on.
        relative: whether learning rates and weight decays are multiples of the optimizer's in `BASES`, so that every
            combination is a sane one. Otherwise an optimizer gets a learning rate that may be another's.
        optimizers: some of `OPTIMIZERS`.
        momenta: as `Recipe.momentum`.
        weight_decays: None for `WEIGHT_DECAYS`, or `WEIGHT_DECAY_LEVELS` if relative.
        schedules: some of `SCHEDULES`.
        warmups: as `Recipe.warmup`.
        label_smoothings: as `Recipe.label_smoothing`.
        mixups: as `Recipe.mixup`.
        drop_paths: as `Recipe.drop_path`.
        dropouts: as `Recipe.dropout`.
        ema_decays: as `Recipe.ema_decay`.

    Raises:
        ValueError: if there is nothing to choose from, or a value that no `Recipe` can have.

    Source: MA2ML, for learning rate and weight decay, the only ones that it names.
    """
    rates = (LEVELS if relative else LEARNING_RATES) if learning_rates is None else learning_rates
    decays = (WEIGHT_DECAY_LEVELS if relative else WEIGHT_DECAYS) if weight_decays is None else weight_decays
    choices: dict[str, tuple[Any, ...]] = {
        "learning_rate": tuple(rates),
        "optimizer": tuple(optimizers),
        "momentum": tuple(momenta),
        "weight_decay": tuple(decays),
        "batch_size": tuple(batch_sizes),
        "schedule": tuple(schedules),
        "label_smoothing": tuple(label_smoothings),
        "mixup": tuple(mixups),
        "drop_path": tuple(drop_paths),
        "warmup": tuple(warmups),
        "dropout": tuple(dropouts),
        "ema_decay": tuple(ema_decays),
    }
    for name, values in choices.items():
        for value in values:
            Recipe(**{name: value})
    make = _RelativeRecipes(choices) if relative else _Recipes(choices)
    decisions = [
        Decision(make.name(name), values, ordered=relative and rises_or_falls(values))
        for name, values in choices.items()
        if len(values) != 1
    ]
    usual = {**asdict(Recipe()), "learning_rate": rates[len(rates) // 2], "batch_size": _middle(batch_sizes)}
    if relative:
        usual |= {"learning_rate": 1.0, "weight_decay": 1.0}
    default = [_position(values, usual[name]) for name, values in choices.items() if len(values) != 1]
    return SearchSpace(decisions, make.build, values=make.values, default=default, fixed=make.fixed)


@dataclass(frozen=True)
class _Recipes:
    """Recipes of independent choices.

    Attributes:
        choices: choices of every field, {field: values}; with a single one there is no decision.
    """

    choices: Mapping[str, tuple[Any, ...]]

    def name(self, field: str) -> str:
        """The decision of a field of `Recipe`."""
        return field

    @property
    def fixed(self) -> dict[str, Any]:
        """Values of every recipe besides the choices, where they are not the defaults."""
        single = {name: values[0] for name, values in self.choices.items() if len(values) == 1}
        return {name: value for name, value in single.items() if value != getattr(Recipe(), name)}

    def build(self, chosen: Mapping[str, Any]) -> Recipe:
        """The recipe of {decision: value}."""
        own = {field: chosen.get(self.name(field), values[0]) for field, values in self.choices.items()}
        return self.recipe(own)

    def recipe(self, own: dict[str, Any]) -> Recipe:
        """The recipe of {field: chosen value}."""
        return Recipe(**own)

    def values(self, built: Recipe) -> dict[str, Any]:
        """The inverse of `build`.

        Raises:
            ValueError: if a field without a decision has another value.
        """
        silent = {
            field: getattr(built, field)
            for field, values in self.choices.items()
            if len(values) == 1 and values[0] != getattr(built, field)
        }
        if silent:
            raise MA2MLError(f"this space has no decision for {sorted(silent)}")
        return {self.name(field): getattr(built, field) for field, values in self.choices.items() if len(values) != 1}


class _RelativeRecipes(_Recipes):
    """Recipes whose learning rate and weight decay are multiples of the optimizer's."""

    def name(self, field: str) -> str:
        return f"{field}_level" if field in ("learning_rate", "weight_decay") else field

    @property
    def fixed(self) -> dict[str, Any]:
        return {**super().fixed, "bases": {name: list(asdict(base).values()) for name, base in BASES.items()}}

    def recipe(self, own: dict[str, Any]) -> Recipe:
        rate, decay = _unit(own["optimizer"], own["momentum"])
        levels = {"learning_rate": own["learning_rate"] * rate, "weight_decay": own["weight_decay"] * decay}
        return Recipe(**own | {name: float(f"{value:.{DIGITS}g}") for name, value in levels.items()})

    def values(self, built: Recipe) -> dict[str, Any]:
        units = dict(zip(("learning_rate", "weight_decay"), _unit(built.optimizer, built.momentum), strict=True))
        levels = {}
        for field, unit in units.items():
            level = getattr(built, field) / unit
            levels[field] = next((v for v in self.choices[field] if math.isclose(v, level, rel_tol=1e-4)), level)
        return super().values(replace(built, **levels))


def _unit(optimizer: str, momentum: float) -> tuple[float, float]:
    """Learning rate and weight decay at level 1."""
    base = BASES[optimizer]
    return base.learning_rate * ((1 - momentum) / 0.1 if base.scaled else 1.0), base.weight_decay


def _middle(values: Sequence[Any]) -> Any:
    return values[len(values) // 2]


def _position(values: Sequence[Any], usual: Any) -> int:
    """The place of the usual value; the middle if it is not offered."""
    return values.index(usual) if usual in values else len(values) // 2
