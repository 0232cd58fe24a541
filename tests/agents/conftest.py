"""What tests of several files here use."""

from __future__ import annotations

import pytest


@pytest.fixture
def few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bootstrap intervals from 20 repetitions: fast, and as good where no test looks at them."""
    monkeypatch.setattr("ma2ml_agents.benchmark.statistics.REPETITIONS", 20)
