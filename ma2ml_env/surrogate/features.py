"""Feature columns of joint actions, as read by a surrogate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces.autoaugment import autoaugment
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.search_spaces.residual import Architecture
from ma2ml_env.surrogate.columns import Columns, Integers, cell_columns, policy_columns
from ma2ml_env.surrogate.image_changes import assumed_changes
from ma2ml_env.surrogate.noise import Floats
from ma2ml_env.surrogate.residual_columns import ResidualColumns
from ma2ml_env.types import AgentID

ONE_HOT_LIMIT = 16
RULES = {"momentum": "sgd"}
"""Update rules of optimizers; any other optimizer has a rule of its own name."""


class Features:
    """The columns of some search spaces.

    Spaces that are known here are described by the effects of their choices; in any other, each decision is a column
    with the chosen number, or a column for every choice that is not a number. An inactive decision has the mean of its
    numbers and none of its other choices, so that only the decisions it depends on matter.

    Args:
        search_spaces: by agent.
        changes: changes of an image by each augmentation at each magnitude, shape (16, 10); None for the assumed ones.
    """

    def __init__(self, search_spaces: Mapping[AgentID, SearchSpace], changes: Floats | None = None) -> None:
        changes = assumed_changes() if changes is None else changes
        self._describe = {agent: _describer(space, changes) for agent, space in search_spaces.items()}

    def __call__(self, actions: Mapping[AgentID, Integers], costs: Integers) -> Columns:
        """The columns by name, each of shape (B,).

        Args:
            actions: by agent, shape (B, decisions) each.
            costs: FLOPs and parameters, shape (2, B).
        """
        columns: Columns = {}
        for of_agent in self.of_agents(actions).values():
            columns |= of_agent
        return columns | dict(zip(("log_flops", "log_params"), np.log1p(costs.astype(float)), strict=True))

    def of_agents(self, actions: Mapping[AgentID, Integers]) -> dict[AgentID, Columns]:
        """The columns that an agent decides alone, by agent: all but those of the costs.

        Args:
            actions: by agent, shape (B, decisions) each.
        """
        return {
            agent: {f"{agent}_{name}": column for name, column in describe(np.asarray(actions[agent])).items()}
            for agent, describe in self._describe.items()
        }


def _describer(space: SearchSpace, changes: Floats) -> Callable[[Integers], Columns]:
    if space.decisions == autoaugment().decisions:
        return partial(policy_columns, changes=changes)
    if space.decisions == nasnet().decisions:
        return cell_columns
    if isinstance(space.decode(space.default), Architecture):
        return ResidualColumns(space)
    plain = [_values(decision) for decision in space.decisions]
    training = _training_describer(space)

    def describe(actions: Integers) -> Columns:
        columns: Columns = {}
        active = space.active(actions) if space.conditional else None
        for position, values in enumerate(plain):
            for name, of_choice in values.items():
                column = of_choice[actions[:, position]]
                if active is not None:
                    absent = of_choice.mean() if len(values) == 1 else 0.0
                    column = np.where(active[:, position], column, absent)
                columns[name] = column
        return columns | training(columns)

    return describe


def _values(decision: Decision) -> dict[str, NDArray[np.float64]]:
    """Value of each choice of a decision in each of its columns."""
    name = decision.name
    if all(isinstance(choice, Real) for choice in decision.choices):
        return {name: np.array(decision.choices, dtype=float)}
    if len(decision.choices) > ONE_HOT_LIMIT:
        return {name: np.arange(len(decision.choices), dtype=float)}
    rows = np.eye(len(decision.choices))
    return {f"{name}_{choice}": row for choice, row in zip(decision.choices, rows, strict=True)}


def _training_describer(space: SearchSpace) -> Callable[[Columns], Columns]:
    """Columns of effective step size and weight decay, on logarithmic scales.

    The effective step size is lr / (1 - momentum), or lr for AdamW, whose momentum averages gradients. An update rule
    is an optimizer; SGD with and without Nesterov momentum are one rule, since their steps are equally long. A relative
    step is measured from the mean over all learning rates and momenta that can be chosen with the rule.

    - `log_step`: logarithm of the effective step size, comparable across optimizers.
    - `log_step_<rule>`: relative step; 0 if another rule is chosen.
    - `log_step_constant`: relative step; 0 if the schedule is not constant.
    - `log_path`: relative length of the path of all steps, which every schedule but the constant one halves.
    - `log_weight_decay`: decimal logarithm of weight decay + 1e-5, finite without weight decay.

    Args:
        space: space of one agent.

    Returns:
        Function from the columns of its decisions to these columns; to none if the decisions are not a recipe's.
    """
    choices = {decision.name: decision.choices for decision in space.decisions}
    if "learning_rate_level" in choices:
        return _level_columns
    if not _of_a_recipe(choices):
        return lambda columns: {}
    rates, momenta = np.meshgrid(np.array(choices["learning_rate"], float), np.array(choices["momentum"], float))
    rules = {name: RULES.get(name, name) for name in choices["optimizer"]}
    middles = {rule: (np.log(rates) - _adds_up(rule) * np.log1p(-momenta)).mean() for rule in rules.values()}

    def describe(columns: Columns) -> Columns:
        rate, momentum = (columns[name] for name in ("learning_rate", "momentum"))
        chosen = {rule: np.zeros_like(rate) for rule in middles}
        for name, rule in rules.items():
            chosen[rule] = chosen[rule] + columns[f"optimizer_{name}"]
        adds = np.sum([one * _adds_up(rule) for rule, one in chosen.items()], axis=0)
        step = np.log(rate) - adds * np.log1p(-momentum)
        relative = step - np.sum([one * middles[rule] for rule, one in chosen.items()], axis=0)
        made = {"step": step} | {f"step_{rule}": one * relative for rule, one in chosen.items()}
        if "constant" in choices.get("schedule", ()):
            constant = columns["schedule_constant"]
            made |= {"step_constant": constant * relative, "path": relative + np.log(2.0) * constant}
        if "weight_decay" in choices:
            made["weight_decay"] = np.log10(columns["weight_decay"] + 1e-5)
        return {f"log_{name}": column for name, column in made.items()}

    return describe


def _level_columns(columns: Columns) -> Columns:
    """The levels of a relative recipe on logarithmic scales; of a decay the level and 0.1, as 0 has no logarithm."""
    made = {"log_learning_rate_level": np.log2(columns["learning_rate_level"])}
    if "weight_decay_level" in columns:
        made["log_weight_decay_level"] = np.log2(columns["weight_decay_level"] + 0.1)
    return made


def _adds_up(rule: str) -> bool:
    """True if momentum adds steps up, instead of averaging them."""
    return rule != "adamw"


def _of_a_recipe(choices: Mapping[str, tuple[Any, ...]]) -> bool:
    """True if optimizer, learning rate and momentum are chosen, and all choices behind the columns fit a `Recipe`."""
    names = ("learning_rate", "momentum", "optimizer", "schedule", "weight_decay")
    if not set(names[:3]) <= set(choices):
        return False
    try:
        for name in set(names) & set(choices):
            for choice in choices[name]:
                Recipe(**{name: choice})
    except (TypeError, ValueError):
        return False
    return True
