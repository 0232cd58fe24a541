"""HPO: how the network is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace

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
        batch_size: images a step.
        schedule: one of `SCHEDULES`, over all steps of the training.
        warmup: share of the steps in which the learning rate rises from 0, in [0, 1).
        label_smoothing: in [0, 1).
        mixup: alpha of the Beta distribution, 0 for none.
        drop_path: probability of dropping a path in the deepest cell at the end of the training, in [0, 1).
        ema_decay: decay of the averaged weights that are evaluated, 0 for none.
        dropout: share of the classifier's inputs that is dropped in training, in [0, 1).

    Raises:
        ValueError: for a value out of its range.

    Source: the terms of SGD training with NASNet's scheduled drop-path; the set is ours.
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


def recipe(
    learning_rates: Sequence[float] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
    batch_sizes: Sequence[int] = (32, 64, 128),
) -> SearchSpace:
    """The HPO agent's space: 9 decisions.

    Args:
        learning_rates: to choose from.
        batch_sizes: to choose from.

    Raises:
        ValueError: if there is nothing to choose from, or a value that no `Recipe` can have.

    Source: ours; the paper only names learning rate and weight decay.
    """
    decisions = (
        Decision("learning_rate", tuple(learning_rates)),
        Decision("optimizer", OPTIMIZERS),
        Decision("momentum", (0.8, 0.9, 0.95)),
        Decision("weight_decay", (0.0, 1e-4, 5e-4, 2e-3, 1e-2)),
        Decision("batch_size", tuple(batch_sizes)),
        Decision("schedule", SCHEDULES),
        Decision("label_smoothing", (0.0, 0.05, 0.1)),
        Decision("mixup", (0.0, 0.1, 0.2)),
        Decision("drop_path", (0.0, 0.05, 0.1, 0.2)),
    )
    for decision in decisions:
        for value in decision.choices:
            Recipe(**{decision.name: value})
    usual = {**asdict(Recipe()), "learning_rate": learning_rates[len(learning_rates) // 2]}
    usual["batch_size"] = batch_sizes[len(batch_sizes) // 2]
    default = [decision.choices.index(usual[decision.name]) for decision in decisions]
    names = [decision.name for decision in decisions]
    return SearchSpace(decisions, _build, values=partial(_values, names), default=default)


def _build(chosen: Mapping[str, Any]) -> Recipe:
    return Recipe(**chosen)


def _values(names: Sequence[str], built: Recipe) -> dict[str, Any]:
    silent = [f.name for f in fields(built) if f.name not in names and getattr(built, f.name) != f.default]
    if silent:
        raise MA2MLError(f"this space has no decision for {silent}")
    return {name: getattr(built, name) for name in names}
