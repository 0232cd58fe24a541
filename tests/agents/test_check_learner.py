"""`check_learner`: our learners pass it, and each kind of fault is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ma2ml_agents.learners import learner_class, learner_names
from ma2ml_agents.learners.random_search import RandomSearch
from ma2ml_agents.testing import check_learner

CRITIC = {"critic_steps": 5, "critics": 2, "critic_hidden_size": 16}
CHEAP = {"ma2ml": {**CRITIC, "actor_steps": 3, "actor_samples": 16}, "ma2ml_on_policy": CRITIC}
LEARN_LATER = ("random_search", "sb3_ppo", "sb3_a2c", "smac")
"""Random search never; stable-baselines3 at its own learning rates after 500; SMAC takes minutes."""

WITH_OTHER_SETTINGS = (
    "bananas", "cmaes", "gp", "l2nas", "local_search", "migo", "nars", "predictor_evolution", "rmi_forest", "vdn",
)  # fmt: skip
"""Checked by their own tests, in the folder `learners`."""


@pytest.mark.parametrize("name", [name for name in learner_names() if name not in WITH_OTHER_SETTINGS])
def test_our_learners_conform(name: str) -> None:
    check_learner(learner_class(name), budget=200, improves=name not in LEARN_LATER)


@pytest.mark.parametrize("name", ["ma2ml", "ma2ml_lite", "ma2ml_on_policy"])
@pytest.mark.parametrize("settings", [{"policy": "lstm"}, {"single_agent": True}])
def test_other_forms_conform(name: str, settings: dict) -> None:
    check_learner(learner_class(name), improves=False, **CHEAP.get(name, {}), **settings)


def test_ablations_conform() -> None:
    for settings in ({"off_policy": False}, {"target": "previous"}, {"credit_assignment": False}):
        check_learner(learner_class("ma2ml"), improves=False, critic="ensemble", **CHEAP["ma2ml"], **settings)


class OutOfRange(RandomSearch):
    def act(self, observations):
        return {agent: action + 1 for agent, action in super().act(observations).items()}


class OneRow(RandomSearch):
    def act(self, observations):
        return {agent: action[:1] for agent, action in super().act(observations).items()}


class Halves(RandomSearch):
    def act(self, observations):
        return {agent: action.astype(float) for agent, action in super().act(observations).items()}


class Forgetful(RandomSearch):
    def act(self, observations):
        return dict(list(super().act(observations).items())[:1])


class Global(RandomSearch):
    def act(self, observations):
        self.rng = np.random.default_rng(int(torch.randint(1_000_000, ())))
        return super().act(observations)


class Untidy(RandomSearch):
    def update(self, batch):
        torch.rand(1)
        return {}


class Stateless(RandomSearch):
    def load_state_dict(self, state):
        pass


class Arrays(RandomSearch):
    def state_dict(self):
        return super().state_dict() | {"values": [np.zeros(3)]}


class NoSize(RandomSearch):
    batch_size = 0


class NeedsSetting(RandomSearch):
    @dataclass
    class Config:
        rate: float


@pytest.mark.parametrize(
    ("faulty", "complaint"),
    [
        (OutOfRange, "out of range"),
        (OneRow, "returned shape"),
        (Halves, "must be integers"),
        (Forgetful, "must return the actions of"),
        (Global, "global random state"),
        (Untidy, "global random states"),
        (Stateless, "as if it had not been interrupted"),
        (NoSize, "batch_size must be"),
        (NeedsSetting, "Config.rate requires a default"),
        (object, "dataclass `Config`"),
        (Arrays, r"state_dict\(\)\['values'\]\[0\] is of type ndarray; a checkpoint holds tensors"),
    ],
)
def test_a_fault_is_found_and_named(faulty: type, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_learner(faulty, improves=False)


def test_learning_nothing_is_found_out() -> None:
    with pytest.raises(AssertionError, match="random search"):
        check_learner(RandomSearch, budget=100)
