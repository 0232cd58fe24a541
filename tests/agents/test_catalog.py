"""Learners by name."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import pytest

import ma2ml_env
from ma2ml_agents import run_search
from ma2ml_agents.learner import AgentSpec, Learner, agent_specs
from ma2ml_agents.learners import learner_class, learner_names, make_learner
from ma2ml_agents.learners.ma2ml import MA2ML

SPECS = (AgentSpec("aug", (4, 3), 2), AgentSpec("nas", (2, 5), 2))


@pytest.mark.parametrize("name", learner_names())
def test_every_name_makes_a_learner_with_documented_settings(name: str) -> None:
    learner = make_learner(name, SPECS, seed=1)
    assert isinstance(learner, Learner)
    for base in inspect.getmro(learner_class(name).Config)[:-1]:
        source = inspect.getsource(base)
        for field in inspect.get_annotations(base):
            after = source[source.index(f"    {field}:") :].split("\n", 1)[1]
            assert after.lstrip().startswith('"""'), f"{base.__qualname__}.{field} lacks a docstring"


def test_settings_reach_the_learner() -> None:
    learner = make_learner("ma2ml", SPECS, batch_size=7, kl_coef=0.5)
    assert isinstance(learner, MA2ML)
    assert learner.batch_size == 7
    assert learner.config == dataclasses.replace(MA2ML.Config(), batch_size=7, kl_coef=0.5)


def test_a_learner_of_ones_own_is_found_by_module_and_class() -> None:
    assert learner_class("ma2ml_agents.learners.ma2ml:MA2ML") is MA2ML


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("ma2ml_lit", {}, "did you mean 'ma2ml_lite'"),
        ("ma2ml", {"kl_coeff": 1.0}, "did you mean 'kl_coef'"),
        ("ma2ml", {"batch_size": 0}, "at least 1"),
        ("random_search", {"population": 3}, "no setting 'population'"),
        ("no.such.module:Mine", {}, "no.such.module"),
        ("ma2ml_agents.learners.ma2ml:Mine", {}, "Mine"),
        (":Mine", {}, "not of the form package.module:Class"),
        ("ma2ml_agents.building_blocks.replay:Replay", {}, "is not a learner: it lacks"),
    ],
)
def test_mistakes_are_named(name: str, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_learner(name, SPECS, **settings)


def test_the_catalogue_loads_no_learner_before_it_is_asked_for_one() -> None:
    code = "import sys, ma2ml_agents.learners; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ma2ml_agents.learners.tpe", "ma2ml_agents.building_blocks.optuna_learner"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[optuna\]'"):
        learner_class("tpe")


def test_an_environment_of_another_form_is_answered_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="learners require MultiDiscrete"):
        agent_specs(ma2ml_env.make("ma2ml/synthetic-v0", variant="flat"))
    padded = ma2ml_env.make("ma2ml/synthetic-v0", variant="padded")
    with pytest.raises(ValueError, match="native form"):
        run_search(padded, make_learner("random_search", agent_specs(padded), seed=0), 1)
