"""`ma2ml published`: lists the published architectures and policies with their cost."""

from __future__ import annotations

from collections.abc import Sequence

import tyro
from rich.console import Console
from rich.table import Table

from ma2ml_env import published

COLUMNS = ("name", "from", "pixels", "params", "published", "ratio", "MACs", "published", "ratio")


def main(argv: Sequence[str], prog: str) -> None:
    """Prints the table."""
    tyro.cli(_show, args=list(argv), prog=prog)


def _show() -> None:
    """List published architectures and policies: parameters and multiply-accumulates, computed and published."""
    table = Table(*COLUMNS, box=None, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    rows = published.sizes()
    for row in rows:
        table.add_row(
            row.name,
            row.source,
            "" if row.image_size is None else str(row.image_size),
            _millions(row.params),
            _millions(row.published_params),
            _ratio(row.params_ratio),
            _millions(row.flops),
            _millions(row.published_flops),
            _ratio(row.flops_ratio),
        )
    console = Console(width=max(140, Console().width), highlight=False)
    console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.name}: {row.note}", soft_wrap=True)


def _millions(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:.2f} M" if value < 1e8 else f"{value / 1e6:.0f} M"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
