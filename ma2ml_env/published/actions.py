"""Published architectures and policies, encoded as actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ma2ml_env.errors import MA2MLError
from ma2ml_env.families import FAMILIES
from ma2ml_env.published.networks import architecture, entry
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID

Closest = Callable[[Any, SearchSpace], list[tuple[Any, list[str]]]]
"""Function from a published object and a search space to its nearest objects in that space, each with its changes."""


class HasSearchSpaces(Protocol):
    """An object with search spaces, such as an environment."""

    @property
    def search_spaces(self) -> Any:
        """Search space of each agent, {agent: search space}."""
        ...


class Action(tuple[int, ...]):
    """An action that encodes a published architecture or policy: a tuple of ints, one per decision.

    Attributes:
        agent: whose action it is.
        changes: what had to be changed to represent it, in words; empty if it is exact.
    """

    agent: AgentID
    changes: tuple[str, ...]

    @classmethod
    def of(cls, indices: Iterable[int], agent: AgentID, changes: Iterable[str]) -> Action:
        """An action with its agent and its changes."""
        action = cls(indices)
        action.agent, action.changes = agent, tuple(changes)
        return action


def action(name: str, env: HasSearchSpaces, *, nearest: bool = False) -> Action:
    """The action that encodes a published architecture or policy.

    Args:
        name: as `names` lists them.
        env: an environment; one of its agents chooses what was published.
        nearest: return the closest action where there is no exact one; its `changes` list what differs.

    Returns:
        A tuple of ints, with `agent` and `changes`.

    Raises:
        ValueError: for an unknown name, an environment without such an agent, or, unless `nearest`, an
            architecture that its space cannot represent, with the reason; also if `nearest` where the numbers of stages
            differ, as nothing would be near.
    """
    return actions(name, env, nearest=nearest)[0]


def actions(name: str, env: HasSearchSpaces, *, nearest: bool = False) -> list[Action]:
    """The actions that together encode a published architecture or policy.

    An architecture is one action. A policy of 25 sub-policies is encoded by five actions of five sub-policies each,
    every one a part of it; all are returned if `nearest`.

    Args, Raises: as for `action`.

    Returns:
        At least one action; what differs from what was published is in its `changes`.
    """
    what = architecture(name)
    agent, space = _agent(name, what, env)
    closest = _closest(entry(name).family)
    try:
        return [Action.of(space.encode(what), agent, ())]
    except ValueError as error:
        if not nearest or closest is None:
            hint = "; nearest=True returns the closest that it can represent" if closest else ""
            raise MA2MLError(
                f"the search space of agent {agent!r} cannot represent {name} exactly: {error}{hint}"
            ) from error
    return [Action.of(space.encode(sayable), agent, changes) for sayable, changes in closest(what, space)]


def _agent(name: str, what: Any, env: HasSearchSpaces) -> tuple[AgentID, SearchSpace]:
    chosen: dict[AgentID, str] = {}
    for agent, space in env.search_spaces.items():
        part = space.decode(space.default)
        if type(part) is type(what):
            return agent, space
        chosen[agent] = f"{type(part).__module__.rpartition('.')[2]}.{type(part).__name__}"
    kind = f"{type(what).__module__.rpartition('.')[2]}.{type(what).__name__}"
    if entry(name).family == "timm":
        kind = "network of timm"
    raise MA2MLError(f"{name} is a {kind}, which no agent of this environment chooses; they choose {chosen}")


def _some_subpolicies(what: Any, space: SearchSpace) -> list[tuple[Any, list[str]]]:
    """The sub-policies in groups of as many as one action encodes."""
    from ma2ml_env.search_spaces.autoaugment import SUBPOLICIES, Policy

    total = len(what.subpolicies)
    parts = []
    for first in range(0, total - SUBPOLICIES + 1, SUBPOLICIES):
        words = f"sub-policies {first + 1} to {first + SUBPOLICIES} of {total}"
        parts.append((Policy(what.subpolicies[first : first + SUBPOLICIES]), [words]))
    return parts


def _closest(family: str) -> Closest | None:
    """Function from a published object to its nearest ones in a space; None where the family has no such function."""
    if family == "policy":
        return _some_subpolicies
    nearest = FAMILIES[family].load("nearest") if family in FAMILIES and FAMILIES[family].nearest else None
    return None if nearest is None else lambda what, space: [nearest(what, space)]
