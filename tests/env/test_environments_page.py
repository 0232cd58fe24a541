"""`docs/environments.md` is what its generator writes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_environments.py"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(GENERATOR))


def test_the_page_is_current(generator):
    assert generator["PAGE"].read_text(encoding="utf-8") == generator["page"](), f"run python {GENERATOR}"


def test_the_page_has_a_section_per_shipped_environment(generator):
    page = generator["page"]()
    assert generator["SHIPPED"]
    for env_id in generator["SHIPPED"]:
        assert page.count(f"\n## {env_id}\n") == 1
