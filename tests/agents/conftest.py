"""What tests of several files here use."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

BROWSER = shutil.which("chromium") and shutil.which("chromedriver") and importlib.util.find_spec("selenium")
collect_ignore = [] if BROWSER else ["test_html_report_in_browser.py"]


@pytest.fixture
def few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bootstrap intervals from 20 repetitions: fast, and as good where no test looks at them."""
    monkeypatch.setattr("ma2ml_agents.benchmark.statistics.REPETITIONS", 20)
