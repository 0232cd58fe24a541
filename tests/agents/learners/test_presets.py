"""Published systems as settings of learners."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners import LEARNERS, learner_class, make_config, make_learner
from ma2ml_agents.learners.presets import PRESETS, SYSTEMS, preset_kinds, preset_names, preset_origin, preset_settings
from ma2ml_agents.testing import play

SPECS = (AgentSpec("aug", (4, 3), 2), AgentSpec("nas", (2, 5), 2))


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_makes_the_learner_that_it_names(name: str) -> None:
    preset = PRESETS[name]
    assert learner_class(name) is learner_class(preset.learner)
    kinds = {"published": preset.published, "tuned": preset.tuned}
    for kind, settings in kinds.items():
        if settings is not None:
            config = make_config(name, {}, kind)
            assert all(getattr(config, field) == value for field, value in settings.items())
        assert settings is None or preset_origin(name, kind)
    assert bool(preset.origin) == (preset.published is not None)
    assert not set(preset_names()) & (set(LEARNERS) - {preset.learner for preset in PRESETS.values()})


def test_every_learner_is_a_system_or_a_preset() -> None:
    assert set(SYSTEMS) == set(LEARNERS) - set(PRESETS)


def test_only_presets_without_settings_of_their_own_are_called_tuned() -> None:
    for name in preset_names():
        if "tuned" in preset_kinds(name):
            adapted = "not tuned as a preset" in preset_origin(name, "tuned")
            assert adapted == (name not in LEARNERS) == bool(preset_settings(name, "tuned"))


@pytest.mark.parametrize("name", ["nasnet", "sng", "amoebanet", "autohas"])
def test_a_preset_searches(name: str) -> None:
    assert len(np.concatenate(play(make_learner(name, SPECS, seed=0), SPECS, updates=2))) >= 2


def test_tuned_settings_are_taken_unless_published_ones_are_asked_for() -> None:
    assert make_config("amoebanet", {}).population == 10
    assert make_config("amoebanet", {}, "published").population == 100
    assert make_config("amoebanet", {"population": 7}, "published").population == 7
    assert preset_settings("random_search") == {}


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("mnasnet", "published", "no published settings"),
        ("vdn", "published", "no published"),
        ("vdn", "publisht", "did you mean 'published'"),
    ],
)
def test_settings_that_do_not_exist_are_named(name: str, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preset_settings(name, kind)
