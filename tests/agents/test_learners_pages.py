"""The pages in `docs/learners/` are what their generator writes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ma2ml_agents.learners import LEARNERS, learner_class

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_learners.py"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(GENERATOR))


def test_the_pages_are_current(generator):
    results = generator["stored"]()
    for name in generator["names"]():
        text = (generator["PAGES"] / f"{name}.md").read_text(encoding="utf-8")
        assert text == generator["page"](name, results), f"run python {GENERATOR}"


def test_every_learner_has_a_page_in_the_navigation_and_nothing_else_has(generator):
    names = generator["names"]()
    assert {LEARNERS[name] for name in names} == set(LEARNERS.values())
    assert {path.stem for path in generator["PAGES"].glob("*.md")} == set(names)
    navigation = (GENERATOR.parents[1] / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f"learners/{name}.md\n" in navigation for name in names)


def test_every_learner_of_the_stored_results_has_a_small_figure(generator):
    shown = set(generator["stored"]().runs.algo) & set(generator["names"]())
    figures = {path.stem: path.stat().st_size for path in generator["IMAGES"].glob("*.png")}
    assert figures.keys() == shown
    assert max(figures.values()) < 30_000


def test_settings_are_told_with_their_defaults_and_origins(generator):
    found = {setting.name: setting for setting in generator["settings"](learner_class("ppo").Config)}
    assert found["clip"].default == "0.2"
    assert found["clip"].meaning == "Clip range of probability ratios around 1."
    assert found["clip"].origin == "tuned; the PPO paper's is the same"
    assert found["value_decay"].origin == "ours"
    assert found["policy"].meaning, "a field of the base class"
