"""Code shared by the readers of published tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ma2ml_env.benchmark_tables.file import decisions_of
from ma2ml_env.benchmark_tables.table import Table, build_table
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.search_spaces.benchmark_table import TABLES, published_spaces
from ma2ml_env.types import AgentID

PICKLED = {".pkl", ".pickle", ".pbz2", ".p"}


def choice_table(name: str, chosen: Mapping[str, ArrayLike], accuracy: ArrayLike, **facts: Any) -> Table:
    """The table of R trainings of a published search space.

    Args:
        name: name of the published table.
        chosen: by decision, the index of what was chosen, integers of shape (R,).
        accuracy: shape (R,), as for `build_table`.
        **facts: `flops`, `params`, `seconds`, as for `build_table`.

    Raises:
        ValueError: as `build_table` does.
    """
    agents = TABLES[name]
    nvec = {agent: tuple(len(choices) for choices in decisions.values()) for agent, decisions in agents.items()}
    actions = np.stack([np.asarray(chosen[d]) for decisions in agents.values() for d in decisions], axis=1)
    return build_table(nvec, actions, accuracy, **facts)


def check_spaces(name: str, search_spaces: Mapping[AgentID, SearchSpace]) -> None:
    """Raises a ValueError if these are not the search spaces of a published table, in its order."""
    given, wanted = decisions_of(search_spaces), decisions_of(published_spaces(name))
    if given != wanted:
        different = [agent for agent, decisions in given if (agent, decisions) not in wanted]
        raise MA2MLError(
            f"the table {name!r} has the agents {[agent for agent, _ in wanted]} in that order, each with "
            f"{{kind: published_table, table: {name}, agent: ...}}; these differ: {different or list(search_spaces)}"
        )


def refuse_pickle(file: str, recipe: str) -> None:
    """Raises a ValueError with the recipe if a file is a directory or named like a pickle.

    Reading a pickle can execute arbitrary code.
    """
    if Path(file).is_dir() or PICKLED & set(Path(file).suffixes):
        raise MA2MLError(
            f"{file} is pickled or a directory of pickles, and reading a pickle can execute arbitrary code, so it "
            f"is not read; write a CSV where the benchmark's own library is installed, and pass that:\n\n{recipe}"
        )
