"""The environments on small colour images: their definitions, their constraint, and a step on small files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_files import write_cifar

import ma2ml_env
from ma2ml_env import published
from ma2ml_env.tasks import cifar

IDS = ("ma2ml/cifar10-16px-v0", "ma2ml/cifar10-16px-flops-v0", "ma2ml/cifar10-16px-darts-v0")
DEFINITION, DARTS_DEFINITION = "7a257422cff91983", "6140b1374c48bf74"
SMALL = {"train_images": 50, "validation_images": 50, "epochs": 1, "measured_epochs": []}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(cifar, "TRAIN_IMAGES", 200)
    monkeypatch.setattr(cifar, "TEST_IMAGES", 20)
    write_cifar(tmp_path, 10, train=200, test=20)
    return str(tmp_path)


@pytest.mark.parametrize("env_id", IDS)
def test_a_step_trains_the_pipeline(env_id: str, root: str) -> None:
    env = ma2ml_env.make(env_id, root=root, **SMALL)
    env.reset(seed=0)
    env.step({agent: space.default for agent, space in env.search_spaces.items()})
    assert not env.last_trial.result.failed
    assert env.last_trial.result.flops == env.cost(env.last_trial.pipeline).flops


def test_without_the_files_one_is_told_where_they_go(tmp_path: Path) -> None:
    env = ma2ml_env.make(IDS[0], root=str(tmp_path))
    with pytest.raises(ValueError, match=r"missing cifar-10-batches-bin/data_batch_1\.bin"):
        env.evaluator.prepare()


def test_about_three_of_four_architectures_exceed_the_constraint() -> None:
    env = ma2ml_env.make(IDS[1])
    constraint, rng = env.reward.constraint, np.random.default_rng(0)
    default = {agent: space.default for agent, space in env.search_spaces.items()}
    samples = (env.search_spaces["nas"].sample(rng) for _ in range(500))
    costs = [env.cost(env.decode({**default, "nas": action})).flops for action in samples]
    assert 0.65 < np.mean(np.array(costs) > constraint) < 0.85


def test_the_definitions_are_those_of_the_stored_trainings() -> None:
    assert [ma2ml_env.make(env_id).definition for env_id in IDS] == [DEFINITION, DEFINITION, DARTS_DEFINITION]


def test_the_smallest_residual_network_of_cifar_is_an_exact_action() -> None:
    env = ma2ml_env.make(IDS[0])
    action = published.action("ResNet-20", env)
    assert (action.agent, action.changes) == ("nas", ())
