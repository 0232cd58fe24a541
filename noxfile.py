"""The forms under each PettingZoo that is supported: `nox`, or `nox -s "forms-1.24.3"`."""

from __future__ import annotations

import nox

OLDEST, SECOND_NEWEST, NEWEST = "1.24.3", "1.26.1", None
FORMS = ["tests/env/test_conventions.py", *(f"tests/env/test_forms_{part}.py" for part in (
    "actions", "libraries", "make", "tokens", "turns",
))]  # fmt: skip


@nox.session
@nox.parametrize("pettingzoo", [OLDEST, SECOND_NEWEST, NEWEST], ids=["1.24.3", "1.26.1", "newest"])
def forms(session: nox.Session, pettingzoo: str | None) -> None:
    """PettingZoo's tests, Gymnasium's, and the conventions, on every form."""
    session.install("-e", ".[test]")
    session.install("--upgrade", f"pettingzoo=={pettingzoo}" if pettingzoo else "pettingzoo")
    session.run("pytest", "-n", "0", *FORMS, *session.posargs)
