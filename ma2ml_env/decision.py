"""Decisions, the conditions under which they are active, and canonical actions under these conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest

Condition = tuple[tuple[int, tuple[int, ...]], ...]
"""Condition of a decision: pairs of the index of an earlier decision and the indices of its choices that allow this
one, all of which must hold; empty if it is always active."""

MOST_CHOICES = 1_000_000
"""Maximum number of choices of one decision."""


@dataclass(frozen=True)
class Decision:
    """One choice among a few values.

        depth = Decision("depth", (0, 1, 2, 3), ordered=True)
        kernel = Decision("kernel", (3, 5), active={"depth": (1, 2, 3)})

    Args:
        name: unique within its search space.
        choices: the values to choose from, at least one; an action holds an index into them.
        ordered: whether the choices are numbers whose order means something, such as a width; learners may use it,
            results do not depend on it.
        active: condition under which the decision is active, {name of an earlier decision of the same agent: the
            values of it that allow this one}, which must all hold; empty for always. It is data, no function, so that
            search spaces can be pickled, compared, hashed and read by learners; kept as a tuple of pairs. A decision is
            inactive too where one that it depends on is.

    Raises:
        ValueError: if there is nothing to choose from, choices are called ordered that are not rising or falling
            numbers, or a condition allows nothing.
    """

    name: str
    choices: tuple[Any, ...]
    ordered: bool = field(default=False, compare=False)
    active: Mapping[str, Sequence[Any]] | tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def __post_init__(self) -> None:
        choices = self.choices if isinstance(self.choices, tuple) else tuple(islice(self.choices, MOST_CHOICES + 1))
        object.__setattr__(self, "choices", choices)
        if len(choices) > MOST_CHOICES:
            raise MA2MLError(f"decision {self.name!r} has more than {MOST_CHOICES:,} choices, the most there may be")
        if not self.choices:
            raise MA2MLError(f"decision {self.name!r} has no choices; it needs at least one")
        if self.ordered and not rises_or_falls(self.choices):
            raise MA2MLError(
                f"decision {self.name!r} cannot be ordered: its choices must be numbers that rise or fall, "
                f"not {list(self.choices)}"
            )
        conditions = dict(self.active)
        for parent, values in conditions.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise MA2MLError(
                    f"decision {self.name!r}: the values of {parent!r} under which it is active are a tuple of at "
                    f"least one, not {values!r}"
                )
        object.__setattr__(self, "active", tuple((parent, tuple(values)) for parent, values in conditions.items()))


def rises_or_falls(choices: Sequence[Any]) -> bool:
    """True if choices are numbers, each above or each below the one before it, as an ordered decision requires."""
    if not all(isinstance(choice, Real) and not isinstance(choice, bool) for choice in choices):
        return False
    return all(a < b for a, b in pairwise(choices)) or all(a > b for a, b in pairwise(choices))


def resolve_conditions(decisions: Sequence[Decision]) -> tuple[Condition, ...]:
    """The conditions of all decisions, by index instead of by name and value.

    Args:
        decisions: decisions of one agent, in order, with different names.

    Raises:
        ValueError: if a decision depends on an unknown one or on one that is not earlier, or on a value that is not
            among its choices.
    """
    return tuple(
        tuple(_resolved(decision, decisions, parent, values) for parent, values in dict(decision.active).items())
        for decision in decisions
    )


def canonical_row(
    conditions: Sequence[Condition], choose: Callable[[int], int]
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """One action in its canonical form, in which inactive decisions have index 0.

    Args:
        conditions: conditions of all decisions.
        choose: function from a decision's place to its chosen index; called for the active ones only, in order.

    Returns:
        The indices, and which decisions are active.
    """
    indices, active = list[int](), list[bool]()
    for place, condition in enumerate(conditions):
        active.append(all(active[parent] and indices[parent] in allowed for parent, allowed in condition))
        indices.append(choose(place) if active[place] else 0)
    return tuple(indices), tuple(active)


Requirement = tuple[int, int, NDArray[np.bool_]]
"""Index of a decision, of an earlier one that it depends on, and whether each choice of the latter allows it."""


def requirements(conditions: Sequence[Condition], nvec: Sequence[int]) -> tuple[Requirement, ...]:
    """Returns the conditions of all decisions as look-up tables, in order.

    Args:
        conditions: conditions of all decisions.
        nvec: number of choices of each.
    """
    return tuple(
        (place, parent, np.isin(np.arange(nvec[parent]), allowed))
        for place, condition in enumerate(conditions)
        for parent, allowed in condition
    )


def active_rows(required: Sequence[Requirement], actions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of the active decisions of many actions, shape (B, K).

    Args:
        required: from `requirements`.
        actions: valid indices, shape (B, K).
    """
    active = np.ones(actions.shape, dtype=np.bool_)
    for place, parent, allows in required:
        active[:, place] &= active[:, parent] & allows[actions[:, parent]]
    return active


def count_actions(conditions: Sequence[Condition], nvec: Sequence[int]) -> int:
    """The number of different canonical actions, exact however large.

    Decisions are visited in order; the actions so far are counted by the choices that later conditions depend on.

    Args:
        conditions: conditions of all decisions.
        nvec: number of choices of each.
    """
    last_child = {parent: child for child, condition in enumerate(conditions) for parent, _ in condition}
    counts = Counter[tuple[tuple[int, int | None], ...]]({(): 1})
    for place, (condition, choices) in enumerate(zip(conditions, nvec, strict=True)):
        longer = Counter[tuple[tuple[int, int | None], ...]]()
        for seen, count in counts.items():
            chosen = dict(seen)
            active = all(chosen[parent] in allowed for parent, allowed in condition)
            kept = tuple(pair for pair in seen if last_child[pair[0]] > place)
            if place not in last_child:
                longer[kept] += count * (choices if active else 1)
            else:
                for choice in range(choices) if active else (None,):
                    longer[*kept, (place, choice)] += count
        counts = longer
    return counts.total()


def _resolved(
    decision: Decision, decisions: Sequence[Decision], parent: str, values: Sequence[Any]
) -> tuple[int, tuple[int, ...]]:
    """One part of a decision's condition, by index."""
    names = [other.name for other in decisions]
    if parent not in names:
        raise UnknownNameError(
            f"decision {decision.name!r} depends on {parent!r}, which is none; {nearest(parent, names)}"
        )
    if names.index(parent) >= names.index(decision.name):
        raise MA2MLError(
            f"decision {decision.name!r} depends on {parent!r}, which does not come before it; "
            f"earlier decisions are {list(names[: names.index(decision.name)])}"
        )
    choices = decisions[names.index(parent)].choices
    for value in values:
        if value not in choices:
            raise MA2MLError(
                f"decision {decision.name!r} is active where {parent!r} is {value!r}, which it cannot be; "
                f"its choices are {list(choices)}"
            )
    return names.index(parent), tuple(sorted({choices.index(value) for value in values}))
