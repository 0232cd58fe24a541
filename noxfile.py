"""The variants of the environment under each PettingZoo that is supported, and the examples of libraries.

`nox`, or `nox -s "wrappers(1.24.3)"`, `nox -s "clients(tianshou)"`: the libraries exclude each other.
"""

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


CLIENTS = {
    "agilerl": "agilerl",
    "benchmarl": "benchmarl",
    "rllib": "rllib",
    "sb3": "sb3,sb3-contrib,supersuit",
    "tianshou": "tianshou",
    "torchrl": "torchrl",
}
"""The extras of each library, whose example's name begins with the key."""


@nox.session
@nox.parametrize("client", list(CLIENTS), ids=list(CLIENTS))
def clients(session: nox.Session, client: str) -> None:
    """The example of one library, in an environment of its own."""
    session.install("-e", f".[{CLIENTS[client]}]", "pytest", "pytest-timeout", "pytest-xdist")
    session.run("pytest", "-n", "0", "tests/test_examples.py", "-k", client, *session.posargs)
