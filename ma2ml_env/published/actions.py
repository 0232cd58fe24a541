"""What is published, said as actions of an environment's agents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ma2ml_env.errors import MA2MLError
from ma2ml_env.families import FAMILIES
from ma2ml_env.published.networks import architecture, entry
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID

Closest = Callable[[Any, SearchSpace], list[tuple[Any, list[str]]]]
"""From something published and a search space to what the space can represent of it, each with what had to change."""


class HasSearchSpaces(Protocol):
    """An environment, as far as it matters here."""

    @property
    def search_spaces(self) -> Any:
        """What each agent chooses from, {agent: search space}."""
        ...


class Action(tuple[int, ...]):
    """An action that stands for something published: a tuple of ints, one per decision.

    Attributes:
        agent: whose action it is.
        changes: what had to be changed to say it, in words; empty if it is exact.
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
    """The action that says a published architecture or policy.

    Args:
        name: as `names` lists them.
        env: an environment; one of its agents chooses what was published.
        nearest: give the closest action where there is no exact one; its `changes` say what differs.

    Returns:
        A tuple of ints, with `agent` and `changes`.

    Raises:
        ValueError: for an unknown name, an environment without such an agent, or, unless `nearest`, an
            architecture that its space cannot say, with the reason.
    """
    return actions(name, env, nearest=nearest)[0]


def actions(name: str, env: HasSearchSpaces, *, nearest: bool = False) -> list[Action]:
    """The actions that say a published architecture or policy between them.

    An architecture is one action. A policy of 25 sub-policies is said five at a time, by five actions, each of which
    is a part of it: they are all given where `nearest` is.

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
            hint = "; nearest=True gives the closest that it can say" if closest else ""
            raise MA2MLError(f"the agent {agent!r} cannot say {name} exactly: {error}{hint}") from error
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
    """As many sub-policies at a time as an action says."""
    from ma2ml_env.search_spaces.autoaugment import SUBPOLICIES, Policy

    total = len(what.subpolicies)
    parts = []
    for first in range(0, total - SUBPOLICIES + 1, SUBPOLICIES):
        words = f"sub-policies {first + 1} to {first + SUBPOLICIES} of {total}"
        parts.append((Policy(what.subpolicies[first : first + SUBPOLICIES]), [words]))
    return parts


def _closest(family: str) -> Closest | None:
    """From what was published to what a space can represent of it; None where the family has no such function."""
    if family == "policy":
        return _some_subpolicies
    nearest = FAMILIES[family].load("nearest") if family in FAMILIES and FAMILIES[family].nearest else None
    return None if nearest is None else lambda what, space: [nearest(what, space)]
