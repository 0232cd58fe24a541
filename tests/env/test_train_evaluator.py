"""What the evaluator makes of a training that goes wrong, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import ma2ml_env
from ma2ml_env import Decision, SearchSpace
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.evaluators import train as train_module
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.tasks.digits import Digits


def env_with_recipe(*recipes: Recipe) -> AutoMLEnv:
    """The digits environment in small, with an HPO agent that chooses among `recipes`."""
    usual = ma2ml_env.make("ma2ml/digits-v0", epochs=2, filters=2, retrain_epochs=1)
    hpo = SearchSpace((Decision("recipe", recipes),), lambda chosen: chosen["recipe"])
    return AutoMLEnv({**usual.search_spaces, "hpo": hpo}, usual.evaluator, usual.reward)


def played(env: AutoMLEnv, hpo: int = 0):
    return {agent: space.default for agent, space in env.search_spaces.items()} | {"hpo": hpo}


def test_a_learning_rate_that_diverges_is_a_failed_trial_and_the_next_one_is_not_touched() -> None:
    env = env_with_recipe(Recipe(learning_rate=1e30, schedule="constant"), Recipe(batch_size=128))
    good = env.decode(played(env, 1))
    before = env.evaluate(good)
    env.reset()
    _, rewards, _, _, infos = env.step(played(env, 0))
    assert set(rewards.values()) == {0.0}
    assert infos["nas"]["failed"] == 1.0
    assert infos["nas"]["flops"] > 0
    assert env.last_trial.state == "failed"
    assert "the loss is" in env.last_trial.result.error
    assert replace(env.evaluate(good), seconds=0.0) == replace(before, seconds=0.0)


@pytest.mark.parametrize("failure", [ValueError("a bug"), MemoryError("too large")])
def test_torch_is_left_as_it_was_by_a_training_that_breaks_off(failure: Exception, monkeypatch) -> None:
    def break_off(*args: object) -> None:
        torch.rand(3)
        raise failure

    monkeypatch.setattr(train_module, "fit", break_off)
    env = env_with_recipe(Recipe())
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    state = torch.get_rng_state()
    try:
        if isinstance(failure, MemoryError):
            assert env.evaluate(env.decode(played(env))).failed
        else:
            with pytest.raises(ValueError, match="a bug"):
                env.evaluate(env.decode(played(env)))
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_search_never_reads_the_test_images(monkeypatch) -> None:
    class Forbidden:
        def __getattr__(self, name: str) -> None:
            raise AssertionError(f"the search read {name} of the test images")

    splits = replace(Digits().load(), test=Forbidden())
    monkeypatch.setattr(train_module, "_on_device", lambda task, device: splits)
    env = env_with_recipe(Recipe(batch_size=128))
    assert not env.evaluate(env.decode(played(env))).failed


def test_an_evaluator_asked_for_no_such_device_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown device 'gpu'; it is 'cpu', 'cuda' or 'cuda:0'"):
        ma2ml_env.make("ma2ml/digits-v0", device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch sees no CUDA device"):
            ma2ml_env.make("ma2ml/digits-v0", device="cuda")
