"""One thread per test process, since the suite runs in several; and a registry that no test changes for the others."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def restored_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments that a test registers are forgotten after it."""
    from ma2ml_env import registry

    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
