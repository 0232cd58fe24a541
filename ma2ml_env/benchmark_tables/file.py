"""User-supplied tables: a file with a column per decision, and search spaces made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ma2ml_env.benchmark_tables.csv_columns import TextColumns, column, file_digest, indices, numbers, read_columns
from ma2ml_env.benchmark_tables.table import FACTS, Table, build_table
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.types import AgentID

Cells = Literal["values", "indices"]
AgentDecisions = tuple[tuple[AgentID, tuple[Decision, ...]], ...]


def tabular_spaces(file: str, cells: Cells = "values") -> dict[AgentID, SearchSpace]:
    """Search spaces made from a table's own columns, agents and decisions in the file's order.

    A decision's choices are the different values of its column, sorted: numbers by size, else by text. With indices
    they are 0 to the largest. What a space builds is the dict of the choices.

    Args:
        file: as `tabular` reads it.
        cells: `"values"` or `"indices"`, what the decisions' columns hold.

    Raises:
        ValueError: if the file cannot be read, has no column `<agent>.<decision>`, or an empty cell in one.
    """
    columns = _columns(file, file_digest(file))
    decisions: dict[AgentID, list[Decision]] = {}
    for name, found in columns.items():
        agent, dot, decision = name.partition(".")
        if dot:
            decisions.setdefault(agent, []).append(Decision(decision, _choices(found, cells, f"{file}, {name!r}")))
    if not decisions:
        raise MA2MLError(f"{file} has no column of the form <agent>.<decision>; its columns are {list(columns)}")
    return {agent: SearchSpace(found, dict) for agent, found in decisions.items()}


def tabular_space(
    file: str,
    agent: AgentID,
    cells: Cells = "values",
    ordered: Sequence[str] = (),
    active: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
) -> SearchSpace:
    """The search space of one agent of a table; as `tabular_spaces`, which raises the same.

    Args:
        file: as `tabular` reads it.
        agent: agent of these decisions.
        cells: `"values"` or `"indices"`, what the decisions' columns hold.
        ordered: decisions whose order of choices means something, as in `Decision`.
        active: {decision: {earlier decision: its values that allow the decision}}, as in `Decision`. Where a decision
            is inactive its column holds its first choice.

    Raises:
        ValueError: also if the table has no such agent, or the agent no such decision.
    """
    spaces, conditions = tabular_spaces(file, cells), active or {}
    if agent not in spaces:
        raise MA2MLError(f"{file} has no agent {agent!r}; its agents are {list(spaces)}")
    decisions = spaces[agent].decisions
    unknown = sorted({*ordered, *conditions} - {decision.name for decision in decisions})
    if unknown:
        raise MA2MLError(f"{file}: {agent!r} has no decisions {unknown}; it has {[d.name for d in decisions]}")
    said = [Decision(d.name, d.choices, d.name in ordered, conditions.get(d.name, ())) for d in decisions]
    return SearchSpace(said, dict)


def decisions_of(search_spaces: Mapping[AgentID, SearchSpace]) -> AgentDecisions:
    """Agents and decisions, as something that can be a key.

    Raises:
        ValueError: if a choice has no hash, as a list has none.
    """
    layout = tuple((agent, space.decisions) for agent, space in search_spaces.items())
    try:
        hash(layout)
    except TypeError as error:
        raise MA2MLError(f"the choices of a table's decisions are numbers, text or tuples: {error}") from error
    return layout


@cache
def file_table(file: str, digest: str, layout: AgentDecisions, cells: Cells) -> Table:
    """The table of a file, read once per process and content; rows that differ in inactive decisions are repeats.

    Args:
        file: as `tabular` reads it.
        digest: digest of its content, from `file_digest`.
        layout: from `decisions_of`.
        cells: content of the decisions' columns.

    Raises:
        ValueError: for a missing or unknown column, a cell that is not a choice, or a number out of range.
    """
    columns = _columns(file, digest)
    wanted = {f"{agent}.{d.name}": d.choices for agent, decisions in layout for d in decisions}
    unknown = [name for name in columns if "." in name and name not in wanted]
    if unknown:
        raise MA2MLError(f"{file} has columns {unknown} that are no decision of these agents: {[a for a, _ in layout]}")
    actions = np.array(
        [
            indices(column(columns, name, file), range(len(c)) if cells == "indices" else c, f"{file}, {name!r}")
            for name, c in wanted.items()
        ]
    ).T
    ends = np.cumsum([len(decisions) for _, decisions in layout])[:-1]
    parts = zip(layout, np.split(actions, ends, axis=1), strict=True)
    actions = np.concatenate([SearchSpace(decisions, dict).canonical(part) for (_, decisions), part in parts], axis=1)
    facts = {name: numbers(columns, name, file) for name in FACTS if name in columns or name == "accuracy"}
    if "seed" in columns:
        order = np.argsort(numbers(columns, "seed", file), kind="stable")
        actions, facts = actions[order], {name: values[order] for name, values in facts.items()}
    nvec = {agent: tuple(len(decision.choices) for decision in decisions) for agent, decisions in layout}
    try:
        return build_table(nvec, actions, **facts)
    except ValueError as error:
        raise MA2MLError(f"{Path(file).name}: {error}") from error


@cache
def _columns(file: str, digest: str) -> TextColumns:
    return read_columns(file)


def _choices(found: Any, cells: Cells, where: str) -> tuple[Any, ...]:
    values = set(found)
    if None in values or not values:
        raise MA2MLError(f"{where}: every row of a decision's column has a value")
    if cells == "indices":
        if not all(isinstance(value, int) and value >= 0 for value in values):
            raise MA2MLError(f"{where}: indices are whole numbers from 0")
        return tuple(range(max(values) + 1))
    numeric = all(isinstance(value, (int, float)) for value in values)
    return tuple(sorted(values, key=None if numeric else str))
