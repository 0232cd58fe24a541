"""From joint actions to the columns that a surrogate reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces.autoaugment import autoaugment
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.surrogate.columns import Columns, Integers, cell_columns, policy_columns
from ma2ml_env.types import AgentID

KNOWN: tuple[tuple[Callable[[], SearchSpace], Callable[[Integers], Columns]], ...] = (
    (autoaugment, policy_columns),
    (nasnet, cell_columns),
)
ONE_HOT_LIMIT = 16


class Features:
    """The columns of some search spaces.

    Spaces that are known here are described by what their choices do; of any other, each decision is a column: the
    chosen number, or the index of what is not a number, with one column more for every such choice.

    Args:
        search_spaces: by agent.

    Source: ours.
    """

    def __init__(self, search_spaces: Mapping[AgentID, SearchSpace]) -> None:
        self._describe = {agent: _describer(agent, space) for agent, space in search_spaces.items()}

    def __call__(self, actions: Mapping[AgentID, Integers], costs: Integers) -> Columns:
        """The columns by name, each of shape (B,).

        Args:
            actions: by agent, shape (B, decisions) each.
            costs: FLOPs and parameters, shape (2, B).
        """
        columns: Columns = {}
        for agent, describe in self._describe.items():
            columns |= describe(np.asarray(actions[agent]))
        return columns | dict(zip(("log_flops", "log_params"), np.log1p(costs.astype(float)), strict=True))


def _describer(agent: AgentID, space: SearchSpace) -> Callable[[Integers], Columns]:
    for known, columns in KNOWN:
        if space.decisions == known().decisions:
            return columns
    plain = [_values(f"{agent}_{decision.name}", decision) for decision in space.decisions]

    def describe(actions: Integers) -> Columns:
        columns: Columns = {}
        for position, values in enumerate(plain):
            columns |= {name: of_choice[actions[:, position]] for name, of_choice in values.items()}
        return columns | _step_size(agent, columns)

    return describe


def _values(name: str, decision: Decision) -> dict[str, NDArray[np.float64]]:
    """What each choice of a decision is worth in each of its columns."""
    if all(isinstance(choice, Real) for choice in decision.choices):
        return {name: np.array(decision.choices, dtype=float)}
    index = {name: np.arange(len(decision.choices), dtype=float)}
    if len(decision.choices) > ONE_HOT_LIMIT:
        return index
    rows = np.eye(len(decision.choices))
    return index | {f"{name}_{choice}": row for choice, row in zip(decision.choices, rows, strict=True)}


def _step_size(agent: AgentID, columns: Columns) -> Columns:
    """A gradient's total effect on the weights, which is how learning rate and momentum interact.

    Alone, per image, and for each optimizer, 0 where another one is chosen.
    """
    rate, momentum, batch = (columns.get(f"{agent}_{name}") for name in ("learning_rate", "momentum", "batch_size"))
    if rate is None or momentum is None:
        return {}
    optimizer = f"{agent}_optimizer_"
    adaptive = columns.get(f"{optimizer}adamw", np.zeros(len(rate)))
    size = rate / np.where(adaptive > 0, 1.0, 1.0 - momentum)
    chosen = {name.removeprefix(optimizer): column for name, column in columns.items() if name.startswith(optimizer)}
    sizes = {f"{agent}_step_size_{name}": size * column for name, column in chosen.items()}
    per_image = {} if batch is None else {f"{agent}_step_size_per_image": size / batch}
    return {f"{agent}_step_size": size, **per_image, **sizes}
