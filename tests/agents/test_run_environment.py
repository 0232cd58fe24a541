"""The environment of a run, rebuilt from its folder."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

import ma2ml_env
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_env import registry
from ma2ml_env.errors import DamagedFileError, MA2MLError


def test_the_environment_is_that_of_the_run_with_its_settings(tmp_path) -> None:
    entry = registry.entry("ma2ml/digits-v0").override(epochs=2)
    config = {"run": {"environment": asdict(entry) | {"summary": None}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    env, expected = env_of_run(tmp_path), ma2ml_env.make("ma2ml/digits-v0", epochs=2)
    assert env.name == expected.name
    assert env.definition == expected.definition != ma2ml_env.make("ma2ml/digits-v0").definition
    assert env.evaluator == expected.evaluator


def test_a_folder_without_a_configuration_and_a_damaged_one_are_refused(tmp_path) -> None:
    with pytest.raises(MA2MLError, match=r"holds no config\.json"):
        env_of_run(tmp_path)
    for text in ("{", "[]", '{"run": {"environment": {"id": "a/b-v0"}}}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(DamagedFileError, match="damaged or not a run's"):
            env_of_run(tmp_path)
