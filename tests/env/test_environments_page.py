"""`docs/environments.md` and `docs/environments/` are what their generator writes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import ma2ml_env

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_environments.py"
NAVIGATION = GENERATOR.parents[1] / "mkdocs.yml"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(GENERATOR))


def test_the_pages_are_current(generator):
    pages = generator["pages"]()
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"run python {GENERATOR}"
    assert set(generator["FOLDER"].iterdir()) < set(pages), "a page of no environment"


def test_every_shipped_environment_has_a_page_in_the_overview_and_the_navigation(generator):
    overview, navigation = generator["pages"]()[generator["OVERVIEW"]], NAVIGATION.read_text(encoding="utf-8")
    assert generator["SHIPPED"]
    for env_id in generator["SHIPPED"]:
        link = f"environments/{env_id.rpartition('/')[2]}.md"
        assert overview.count(f"({link})") == 1
        assert navigation.count(link) == 1


def test_a_page_lists_every_decision_with_its_choices(generator):
    env = ma2ml_env.make("ma2ml/cifar10-16px-v0")
    page = generator["page"](env.name)
    for agent, space in env.search_spaces.items():
        for decision in space.decisions:
            choices = ", ".join(map(str, decision.choices))
            assert f"| `{agent}` | {decision.name} | {choices} |" in page
    assert "depth" in page.partition("## Decisions")[2]
