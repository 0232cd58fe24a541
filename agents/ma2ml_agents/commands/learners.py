"""`ma2ml learners`: list the learners, and the published systems that are settings of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tyro
from rich.console import Console
from rich.table import Table

from ma2ml_agents.learners import learner_names, learner_summary
from ma2ml_agents.learners.presets import PRESETS, SYSTEMS, preset_kinds, preset_origin

COLUMNS = ("name", "system", "searches with", "presets", "origin of the settings")


def main(argv: Sequence[str], prog: str) -> None:
    """Prints a row per learner and per preset."""
    tyro.cli(_list, args=list(argv), prog=prog)


def _list() -> None:
    """List the learners."""
    table = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0))
    for row in rows():
        table.add_row(*row)
    Console().print(table)


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """Yields the cells of `COLUMNS`: learners first, then the presets with a name of their own."""
    for name in learner_names():
        if name in PRESETS:
            yield _of_preset(name)
        else:
            system, origin = SYSTEMS[name]
            yield name, system, learner_summary(name), "default", origin
    for name in PRESETS:
        if name not in learner_names():
            yield _of_preset(name)


def _of_preset(name: str) -> tuple[str, str, str, str, str]:
    preset, kinds = PRESETS[name], preset_kinds(name)
    origins = "; ".join(f"{kind}: {preset_origin(name, kind)}" for kind in kinds)
    return name, preset.system, preset.searches_with, ", ".join(kinds), origins
