"""`ma2ml envs`: lists the environments."""

from __future__ import annotations

from collections.abc import Sequence

import tyro

import ma2ml_env
from ma2ml_env.registry import entry


def main(argv: Sequence[str], prog: str) -> None:
    """Prints every id with its summary."""
    tyro.cli(_list, args=list(argv), prog=prog)


def _list() -> None:
    """List the environments."""
    for env_id in ma2ml_env.env_ids():
        print(f"{env_id}\n    {entry(env_id).summary}")
