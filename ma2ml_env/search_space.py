"""Search spaces: the decisions of each agent, and the objects that its actions describe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray

from ma2ml_env.decision import (
    Condition,
    Decision,
    Requirement,
    active_rows,
    canonical_row,
    count_actions,
    requirements,
    resolve_conditions,
)
from ma2ml_env.errors import MA2MLError
from ma2ml_env.types import AgentID, JointAction, Pipeline


class SearchSpace:
    """A product of decisions, and the function that builds what they describe.

    Decisions may be active under a condition only. Actions that differ in inactive decisions are one action, whose
    canonical form has index 0 there; the others are accepted everywhere and turned into it.

    Args:
        decisions: a tuple of `Decision(name, choices)`, at least one, names unique.
        build: from {decision name: chosen value} to what the evaluator reads in `pipeline[agent]`;
            `dict` is a valid one. Inactive decisions are left out, so that no meaningless value can be read.
        values: the inverse of `build`, from what it made to {decision name: chosen value}. Needed only
            for `encode` of built objects; a mapping is its own inverse. Values of inactive decisions are ignored.
        default: the default action, one index per decision, played by agents that a warm start does not mention; the
            first choice of each decision if not given.
        fixed: values that `build` puts into every part besides the choices, {name: value}; results depend on it, so it
            belongs to an environment's definition.

    Attributes:
        conditions: condition of each decision, by index; see `Condition`.
        default: the default, canonical.
        default_values: the default's value of every decision, {decision name: value}, of inactive ones too.

    Raises:
        ValueError: if two decisions share a name, there is none, a condition names a decision that is not an earlier
            one or a value that it cannot have, or the default does not fit.
    """

    def __init__(
        self,
        decisions: Iterable[Decision],
        build: Callable[[Mapping[str, Any]], Any],
        *,
        values: Callable[[Any], Mapping[str, Any]] | None = None,
        default: Sequence[int] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        self.decisions: tuple[Decision, ...] = tuple(decisions)
        self.build = build
        self.values = values
        self.fixed: dict[str, Any] = dict(fixed or {})
        if not self.decisions:
            raise MA2MLError("a search space needs at least one decision")
        names = [decision.name for decision in self.decisions]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise MA2MLError(f"decision names must be unique, these are repeated: {repeated}")
        self.conditions: tuple[Condition, ...] = resolve_conditions(self.decisions)
        indices = self._checked([0] * len(names) if default is None else default, "default")
        self.default: tuple[int, ...] = self.validate(indices)
        self.default_values = {d.name: d.choices[index] for d, index in zip(self.decisions, indices, strict=True)}

    @cached_property
    def nvec(self) -> NDArray[np.int64]:
        """Number of choices per decision, shape (decisions,)."""
        return np.array([len(decision.choices) for decision in self.decisions], dtype=np.int64)

    @cached_property
    def action_space(self) -> MultiDiscrete:
        """The Gymnasium space of this agent's actions."""
        return MultiDiscrete(self.nvec)

    @cached_property
    def conditional(self) -> bool:
        """True if any decision can be inactive."""
        return any(self.conditions)

    @cached_property
    def size(self) -> int:
        """The number of different actions, exact however large; those that differ in inactive decisions are one."""
        return count_actions(self.conditions, self.nvec.tolist())

    def __len__(self) -> int:
        return len(self.decisions)

    def validate(self, action: Any, *, agent: AgentID = "action") -> tuple[int, ...]:
        """Returns any integer form of an action as a tuple of ints, in its canonical form.

        Args:
            action: an int, a list, a NumPy scalar or array (0-d or 1-d) of any integer type.
            agent: whose action it is, for the message.

        Returns:
            One index per decision, 0 for inactive ones.

        Raises:
            ValueError: if type, length or range do not fit; the message names agent, decision, value and range.
        """
        indices = self._checked(action, agent)
        return canonical_row(self.conditions, indices.__getitem__)[0] if self.conditional else indices

    def active(self, actions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the active decisions in B actions of valid indices, shape (B, K) to (B, K)."""
        return active_rows(self._requirements, actions)

    def canonical(self, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """B actions of valid indices in their canonical form, index 0 for inactive decisions, shape (B, K)."""
        return np.where(self.active(actions), actions, 0) if self.conditional else actions

    def choices(self, action: Any, *, agent: AgentID = "action") -> dict[str, Any]:
        """The chosen value of every active decision, {decision name: value}; raises as `validate` does."""
        return self._values(self._checked(action, agent))

    def decode(self, action: Any, *, agent: AgentID = "action") -> Any:
        """Builds the object that an action describes; raises as `validate` does."""
        return self.build(self.choices(action, agent=agent))

    def encode(self, built: Any) -> tuple[int, ...]:
        """The action that describes `built`, canonical: the inverse of `decode`.

        Args:
            built: what `decode` returned, or a mapping {decision name: chosen value}, in which inactive decisions may
                be missing or have any value.

        Raises:
            ValueError: if this space cannot represent it, with the decision and value that do not fit.
        """
        if isinstance(built, Mapping):
            chosen: Mapping[str, Any] = built
        elif self.values is not None:
            chosen = self.values(built)
        else:
            raise MA2MLError(f"this space has no `values` function, so it cannot encode a {type(built).__name__}")
        unknown = sorted(set(chosen) - {decision.name for decision in self.decisions})
        if unknown:
            raise MA2MLError(f"no such decision: {unknown}; decisions are {[d.name for d in self.decisions]}")
        return canonical_row(self.conditions, lambda place: _index(self.decisions[place], chosen))[0]

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        """A random action: every decision uniform, then canonical."""
        return self.validate(rng.integers(self.nvec))

    @cached_property
    def _requirements(self) -> tuple[Requirement, ...]:
        return requirements(self.conditions, self.nvec.tolist())

    def _checked(self, action: Any, agent: AgentID) -> tuple[int, ...]:
        """`validate`, before it is made canonical."""
        array = _array(action)
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise MA2MLError(
                f"agent {agent!r}: an action is {len(self)} whole numbers, "
                f"one per decision, not {_short(action)} ({array.dtype}, shape {array.shape})"
            )
        if len(array) != len(self):
            raise MA2MLError(
                f"agent {agent!r}: an action has {len(self)} whole numbers, one per decision, not {len(array)}"
            )
        if ((array < 0) | (array >= self.nvec)).any():
            decision, index = next(
                (decision, int(index))
                for decision, index in zip(self.decisions, array, strict=True)
                if not 0 <= index < len(decision.choices)
            )
            raise MA2MLError(
                f"agent {agent!r}, decision {decision.name!r}: {index} is not in 0..{len(decision.choices) - 1}"
            )
        return tuple(array.tolist())

    def _values(self, indices: tuple[int, ...]) -> dict[str, Any]:
        """`choices` of valid indices."""
        chosen = {d.name: d.choices[index] for d, index in zip(self.decisions, indices, strict=True)}
        if not self.conditional:
            return chosen
        _, active = canonical_row(self.conditions, indices.__getitem__)
        return {name: value for (name, value), is_active in zip(chosen.items(), active, strict=True) if is_active}


def decode_joint(search_spaces: Mapping[AgentID, SearchSpace], actions: Mapping[AgentID, Any]) -> Pipeline:
    """The pipeline that a joint action describes.

    Args:
        search_spaces: {agent: search space}.
        actions: {agent: action}, in any form that `SearchSpace.validate` accepts.

    Raises:
        ValueError: for a missing or unknown agent, or an action of wrong type, length or range.
    """
    check_agents(actions, search_spaces)
    action = {agent: space.validate(actions[agent], agent=agent) for agent, space in search_spaces.items()}
    return Pipeline(
        action, {agent: space.build(space._values(action[agent])) for agent, space in search_spaces.items()}
    )


def check_agents(actions: Any, agents: Collection[AgentID]) -> None:
    """Checks that there is an action for each of `agents` and for no other.

    Raises:
        ValueError: if not; the message names the agents.
    """
    if not isinstance(actions, Mapping):
        raise MA2MLError(f"actions are a dict with one entry per agent, not a {type(actions).__name__}")
    if len(actions) != len(agents) or not all(agent in actions for agent in agents):
        missing = [agent for agent in agents if agent not in actions]
        unknown = [agent for agent in actions if agent not in agents]
        raise MA2MLError(f"actions are for {list(agents)}; missing: {missing}, unknown: {unknown}")


@dataclass(frozen=True)
class JointSpace:
    """The decisions of all agents in one row of D integers, agent after agent.

        joint = JointSpace({"aug": (2, 3), "nas": (4,)})
        joint.split([1, 2, 0])                          # {"aug": (1, 2), "nas": (0,)}
        joint.join({"aug": (1, 2), "nas": (0,)})        # (1, 2, 0)

    Args:
        nvec: number of choices of each decision, by agent.
    """

    nvec: Mapping[AgentID, Sequence[int]]

    @classmethod
    def of(cls, search_spaces: Mapping[AgentID, SearchSpace]) -> JointSpace:
        """Returns the joint space of some agents."""
        return cls({agent: tuple(space.nvec.tolist()) for agent, space in search_spaces.items()})

    def __len__(self) -> int:
        return sum(len(sizes) for sizes in self.nvec.values())

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of choices of each of the D decisions."""
        return tuple(n for sizes in self.nvec.values() for n in sizes)

    def join(self, action: JointAction) -> tuple[int, ...]:
        """Returns a joint action as one row, shape (D,)."""
        return tuple(index for agent in self.nvec for index in action[agent])

    def split(self, row: Any) -> dict[AgentID, tuple[int, ...]]:
        """Returns a row as a joint action, the inverse of `join`; ranges are not checked.

        Args:
            row: D integers, as a sequence or an array of shape (D,).

        Raises:
            ValueError: if it is anything else.
        """
        array = _array(row)
        if array.dtype.kind not in "iu" or array.shape != (len(self),):
            raise MA2MLError(
                f"an action is {len(self)} whole numbers, one per decision of all agents, "
                f"not {_short(row)} ({array.dtype}, shape {array.shape})"
            )
        indices = iter(array.tolist())
        return {agent: tuple(islice(indices, len(sizes))) for agent, sizes in self.nvec.items()}


def _array(action: Any) -> NDArray[Any]:
    """`action` as NumPy sees it; without a type where NumPy can make nothing of it, as of a ragged list."""
    try:
        return np.atleast_1d(np.asarray(action))
    except (TypeError, ValueError, RuntimeError):
        return np.array([None])


def _index(decision: Decision, chosen: Mapping[str, Any]) -> int:
    if decision.name not in chosen:
        raise MA2MLError(f"decision {decision.name!r} has no value")
    value = chosen[decision.name]
    if value not in decision.choices:
        raise MA2MLError(f"decision {decision.name!r} cannot be {value!r}; its choices are {list(decision.choices)}")
    return decision.choices.index(value)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


__all__ = ["Decision", "JointSpace", "SearchSpace", "check_agents", "decode_joint"]
