"""The variants of the environment under each PettingZoo that is supported: `nox`, or `nox -s "wrappers-1.24.3"`."""

from __future__ import annotations

import nox

OLDEST, SECOND_NEWEST, NEWEST = "1.24.3", "1.26.1", None
TESTS = ["tests/env/test_conventions.py", *(f"tests/env/test_wrappers_{part}.py" for part in (
    "actions", "libraries", "make", "tokens", "turns",
))]  # fmt: skip


@nox.session
@nox.parametrize("pettingzoo", [OLDEST, SECOND_NEWEST, NEWEST], ids=["1.24.3", "1.26.1", "newest"])
def wrappers(session: nox.Session, pettingzoo: str | None) -> None:
    """PettingZoo's tests, Gymnasium's, and the conventions, on every variant."""
    session.install("-e", ".[test]")
    session.install("--upgrade", f"pettingzoo=={pettingzoo}" if pettingzoo else "pettingzoo")
    session.run("pytest", "-n", "0", *TESTS, *session.posargs)
