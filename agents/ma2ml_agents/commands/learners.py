"""`ma2ml learners`: list the learners, and the published systems that are settings of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tyro
from rich.console import Console
from rich.table import Table

from ma2ml_agents.learners import learner_names, learner_summary
from ma2ml_agents.learners.presets import PRESETS, preset_kinds

COLUMNS = ("name", "system", "searches with", "presets", "origin of the published settings")


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
            yield name, "", learner_summary(name), "default", ""
    for name in PRESETS:
        if name not in learner_names():
            yield _of_preset(name)


def _of_preset(name: str) -> tuple[str, str, str, str, str]:
    preset = PRESETS[name]
    return name, preset.system, preset.searches_with, ", ".join(preset_kinds(name)), preset.origin
