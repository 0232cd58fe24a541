"""Codebooks: a short list of actions per module, for the variant in which an action is an index."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ma2ml_env.decision import Condition, canonical_row
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID, Pipeline

CODEBOOK_VERSION = 1
"""Changes whenever `draw_codebook` would draw other actions; results are comparable under one version only."""
DEFAULT_SIZE = 512
DRAWS = 100
"""Draws per action of a codebook, after which it is filled up in order: where conditions make some actions rare."""

Codebook = dict[AgentID, tuple[tuple[int, ...], ...]]


def draw_codebook(search_spaces: Mapping[AgentID, SearchSpace], size: int | None = None) -> Codebook:
    """Draws different actions of every module, always the same ones.

    They depend on the module's name, numbers of choices and conditions, on `size` only in how many there are (a longer
    codebook begins with the shorter one), and on nothing else: Python keeps `random.random` the same across versions.

    Args:
        search_spaces: by module.
        size: number of actions per module; 512 if not given, or all of the largest module where it has fewer.

    Returns:
        {module: `size` actions}; a module that has no more than `size` actions has all of them, in order.

    Raises:
        ValueError: if `size` is below 1 or above the number of actions of every module.
    """
    largest = max(space.size for space in search_spaces.values())
    wanted = min(DEFAULT_SIZE, largest) if size is None else size
    if not 1 <= wanted <= largest:
        raise MA2MLError(f"codebook_size is 1 to {largest}, the number of actions of the largest module, not {size}")
    return {module: _draw(module, space, wanted) for module, space in search_spaces.items()}


def codebook_of(pipelines: Iterable[Pipeline]) -> Codebook:
    """Returns the codebook of the actions that some pipelines are made of, for example the best ones of an earlier run.

    Args:
        pipelines: at least one, such as `[trial.pipeline for trial in top_k(trials, 50)]`.

    Returns:
        {module: its different actions, in the order in which they first occur}.
    """
    actions: dict[AgentID, dict[tuple[int, ...], None]] = {}
    for pipeline in pipelines:
        for module, action in pipeline.action.items():
            actions.setdefault(module, {})[tuple(action)] = None
    return {module: tuple(distinct) for module, distinct in actions.items()}


def check_codebook(codebook: Mapping[AgentID, Sequence[Any]], search_spaces: Mapping[AgentID, SearchSpace]) -> Codebook:
    """Returns a codebook of a user with its actions as tuples of ints.

    Raises:
        ValueError: if a module is missing, unknown, without actions, has one twice, or one that does not fit.
    """
    if not isinstance(codebook, Mapping) or codebook.keys() != search_spaces.keys():
        given = sorted(codebook) if isinstance(codebook, Mapping) else type(codebook).__name__
        raise MA2MLError(f"a codebook maps each of {list(search_spaces)} to a list of its actions; this one: {given}")
    checked: Codebook = {}
    for module, space in search_spaces.items():
        actions = tuple(space.validate(action, agent=f"{module}, codebook") for action in codebook[module])
        repeated = [action for i, action in enumerate(actions) if action in actions[:i]]
        if repeated or not actions:
            raise MA2MLError(
                f"codebook of {module!r}: " + (f"{repeated[0]} is in it twice" if repeated else "it is empty")
            )
        checked[module] = actions
    return checked


def _draw(module: AgentID, space: SearchSpace, size: int) -> tuple[tuple[int, ...], ...]:
    nvec = space.nvec.tolist()
    if space.size <= size:
        return tuple(_all_actions(space.conditions, nvec))
    rng = random.Random(f"{CODEBOOK_VERSION}:{module}:{nvec}")
    draws = (
        canonical_row(space.conditions, lambda place: int(rng.random() * nvec[place]))[0] for _ in range(DRAWS * size)
    )
    drawn: dict[tuple[int, ...], None] = {}
    for action in itertools.chain(draws, _all_actions(space.conditions, nvec)):
        drawn[action] = None
        if len(drawn) == size:
            break
    return tuple(drawn)


def _all_actions(
    conditions: Sequence[Condition], nvec: Sequence[int], indices: tuple[int, ...] = (), active: tuple[bool, ...] = ()
) -> Iterator[tuple[int, ...]]:
    """Yields all canonical actions that begin with some indices, in order, given which of these are active."""
    place = len(indices)
    if place == len(nvec):
        yield indices
        return
    is_active = all(active[parent] and indices[parent] in allowed for parent, allowed in conditions[place])
    for choice in range(nvec[place] if is_active else 1):
        yield from _all_actions(conditions, nvec, (*indices, choice), (*active, is_active))
