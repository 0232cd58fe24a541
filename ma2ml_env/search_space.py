"""What agents can choose: a list of decisions each, and what a choice of all of them means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray

from ma2ml_env.types import AgentID, JointAction, Pipeline


@dataclass(frozen=True)
class Decision:
    """One choice among a few values.

    Args:
        name: unique within its search space.
        choices: the values to choose from, at least one; an action holds an index into them.

    Raises:
        ValueError: if there is nothing to choose from.

    Source: ours.
    """

    name: str
    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if not self.choices:
            raise ValueError(f"decision {self.name!r} has no choices; it needs at least one")


class SearchSpace:
    """A product of decisions, and the function that builds what they describe.

    Args:
        decisions: a tuple of `Decision(name, choices)`, at least one, names unique.
        build: from {decision name: chosen value} to what the evaluator reads in `pipeline[agent]`;
            `dict` is a valid one.
        values: the inverse of `build`, from what it made to {decision name: chosen value}. Needed only
            for `encode` of built objects; a mapping is its own inverse.
        default: the action that stands for "nothing special", one index per decision; the first
            choice of each if not given. An agent whose part nobody named plays it.
        fixed: what `build` puts into every part beside the choices, {name: value}; results depend on it, so it
            belongs to an environment's definition.

    Raises:
        ValueError: if two decisions share a name, there is none, or the default does not fit.

    Source: ours.
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
            raise ValueError("a search space needs at least one decision")
        names = [decision.name for decision in self.decisions]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"decision names must be unique, these are repeated: {repeated}")
        self.default: tuple[int, ...] = self.validate([0] * len(names) if default is None else default, agent="default")

    @cached_property
    def nvec(self) -> NDArray[np.int64]:
        """Number of choices per decision, shape (decisions,)."""
        return np.array([len(decision.choices) for decision in self.decisions], dtype=np.int64)

    @cached_property
    def action_space(self) -> MultiDiscrete:
        """The Gymnasium space of this agent's actions."""
        return MultiDiscrete(self.nvec)

    @property
    def size(self) -> int:
        """The number of different actions, exact however large."""
        return math.prod(len(decision.choices) for decision in self.decisions)

    def __len__(self) -> int:
        return len(self.decisions)

    def validate(self, action: Any, *, agent: AgentID = "action") -> tuple[int, ...]:
        """Turn any integer form of an action into a tuple of ints.

        Args:
            action: an int, a list, a NumPy scalar or array (0-d or 1-d) of any integer type.
            agent: whose action it is, for the message.

        Returns:
            One index per decision.

        Raises:
            ValueError: if type, length or range do not fit; the message names agent, decision, value and range.
        """
        array = _array(action)
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise ValueError(
                f"agent {agent!r}: an action is {len(self)} whole numbers, "
                f"one per decision, not {_short(action)} ({array.dtype}, shape {array.shape})"
            )
        if len(array) != len(self):
            raise ValueError(
                f"agent {agent!r}: an action has {len(self)} whole numbers, one per decision, not {len(array)}"
            )
        indices = tuple(int(index) for index in array)
        for decision, index in zip(self.decisions, indices, strict=True):
            if not 0 <= index < len(decision.choices):
                raise ValueError(
                    f"agent {agent!r}, decision {decision.name!r}: {index} is not in 0..{len(decision.choices) - 1}"
                )
        return indices

    def choices(self, action: Any, *, agent: AgentID = "action") -> dict[str, Any]:
        """The chosen value of every decision, {decision name: value}; raises as `validate` does."""
        indices = self.validate(action, agent=agent)
        return {d.name: d.choices[index] for d, index in zip(self.decisions, indices, strict=True)}

    def decode(self, action: Any, *, agent: AgentID = "action") -> Any:
        """Build what an action describes; raises as `validate` does."""
        return self.build(self.choices(action, agent=agent))

    def encode(self, built: Any) -> tuple[int, ...]:
        """The action that describes `built`: the inverse of `decode`.

        Args:
            built: what `decode` returned, or a mapping {decision name: chosen value}.

        Raises:
            ValueError: if this space cannot say it, with the decision and value that do not fit.
        """
        if isinstance(built, Mapping):
            chosen: Mapping[str, Any] = built
        elif self.values is not None:
            chosen = self.values(built)
        else:
            raise ValueError(f"this space has no `values` function, so it cannot encode a {type(built).__name__}")
        unknown = sorted(set(chosen) - {decision.name for decision in self.decisions})
        if unknown:
            raise ValueError(f"no such decision: {unknown}; decisions are {[d.name for d in self.decisions]}")
        return tuple(_index(decision, chosen) for decision in self.decisions)

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        """A uniformly random action."""
        return tuple(int(index) for index in rng.integers(self.nvec))


def decode_joint(search_spaces: Mapping[AgentID, SearchSpace], actions: Mapping[AgentID, Any]) -> Pipeline:
    """The pipeline that a joint action describes.

    Args:
        search_spaces: {agent: search space}.
        actions: {agent: action}, in any form that `SearchSpace.validate` takes.

    Raises:
        ValueError: for a missing or unknown agent, or an action of wrong type, length or range.

    Source: ours.
    """
    if not isinstance(actions, Mapping):
        raise ValueError(f"actions are a dict with one entry per agent, not a {type(actions).__name__}")
    missing = [agent for agent in search_spaces if agent not in actions]
    unknown = [agent for agent in actions if agent not in search_spaces]
    if missing or unknown:
        raise ValueError(f"actions are for {list(search_spaces)}; missing: {missing}, unknown: {unknown}")
    action = {agent: space.validate(actions[agent], agent=agent) for agent, space in search_spaces.items()}
    return Pipeline(action, {agent: search_spaces[agent].decode(a, agent=agent) for agent, a in action.items()})


class PackedAction(Mapping[AgentID, tuple[int, ...]]):
    """A joint action in as few bytes as its largest index needs; its tuples are made whenever they are asked for.

    Args:
        action: indices of at least 0.

    Source: ours.
    """

    __slots__ = ("_agents", "_dtype", "_packed")

    def __init__(self, action: JointAction) -> None:
        self._agents = tuple(action)
        self._dtype = np.min_scalar_type(max((max(part, default=0) for part in action.values()), default=0))
        self._packed = tuple(np.array(action[agent], dtype=self._dtype).tobytes() for agent in action)

    def __getitem__(self, agent: AgentID) -> tuple[int, ...]:
        if agent not in self._agents:
            raise KeyError(agent)
        return tuple(np.frombuffer(self._packed[self._agents.index(agent)], dtype=self._dtype).tolist())

    def __iter__(self) -> Iterator[AgentID]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)


class PartsOnDemand(Mapping[AgentID, Any]):
    """The decoded choices of a joint action, built again whenever they are asked for: a tenth of the memory.

    Args:
        search_spaces: {agent: search space}.
        action: valid in them.

    Source: ours.
    """

    __slots__ = ("_action", "_search_spaces")

    def __init__(self, search_spaces: Mapping[AgentID, SearchSpace], action: JointAction) -> None:
        self._search_spaces = search_spaces
        self._action = action

    def __getitem__(self, agent: AgentID) -> Any:
        return self._search_spaces[agent].decode(self._action[agent], agent=agent)

    def __iter__(self) -> Iterator[AgentID]:
        return iter(self._action)

    def __len__(self) -> int:
        return len(self._action)


def _array(action: Any) -> NDArray[Any]:
    """`action` as NumPy sees it; without a type where NumPy can make nothing of it, as of a ragged list."""
    try:
        return np.atleast_1d(np.asarray(action))
    except (TypeError, ValueError, RuntimeError):
        return np.array([None])


def _index(decision: Decision, chosen: Mapping[str, Any]) -> int:
    if decision.name not in chosen:
        raise ValueError(f"decision {decision.name!r} has no value")
    value = chosen[decision.name]
    if value not in decision.choices:
        raise ValueError(f"decision {decision.name!r} cannot be {value!r}; its choices are {list(decision.choices)}")
    return decision.choices.index(value)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
