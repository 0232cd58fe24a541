"""What the evaluator makes of a training that goes wrong, and what it leaves behind."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ma2ml_env
from ma2ml_env import Decision, SearchSpace
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.models.modules import DropPath
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.search_space import decode_joint
from ma2ml_env.search_spaces import trivialaugment
from ma2ml_env.search_spaces.autoaugment import autoaugment
from ma2ml_env.search_spaces.recipe import OPTIMIZERS, Recipe
from ma2ml_env.search_spaces.residual import residual
from ma2ml_env.search_spaces.trivialaugment import trivial_augment
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.tasks.task import Images
from ma2ml_env.training import pipeline_training
from ma2ml_env.training.checkpoint import Checkpoint
from ma2ml_env.training.loop import Fit, Fitting, Normalization, batches
from ma2ml_env.training.optimization import make_optimizer
from ma2ml_env.training.precision import autocast, precision


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

    monkeypatch.setattr(pipeline_training, "fit", break_off)
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
    monkeypatch.setattr(pipeline_training, "_splits_on", lambda task, device: splits)
    env = env_with_recipe(Recipe(batch_size=128))
    assert not env.evaluate(env.decode(played(env))).failed


def test_an_evaluator_asked_for_no_such_device_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown device 'gpu'; it is 'cpu', 'cuda' or 'cuda:0'"):
        ma2ml_env.make("ma2ml/digits-v0", device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch sees no CUDA device"):
            ma2ml_env.make("ma2ml/digits-v0", device="cuda")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updating_all_weights_in_one_call_changes_no_bit(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer, learning_rate=0.01, weight_decay=0.01)
    after = []
    for foreach in (True, False):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 10))
        network.to(memory_format=torch.channels_last)
        updates = make_optimizer(network, recipe)
        for group in updates.param_groups:
            assert group["foreach"]
            group["foreach"] = foreach
        for step in range(20):
            updates.zero_grad()
            loss = network(torch.randn(4, 3, 8, 8)).square().mean() * 10.0 ** -(step % 5)
            loss.backward()
            updates.step()
        after.append(network.state_dict())
    assert all(torch.isfinite(value).all() for value in after[0].values())
    assert all(torch.equal(after[0][name], after[1][name]) for name in after[0])


def test_the_progress_of_drop_path_reaches_every_path_of_a_network_and_of_its_copy_alone() -> None:
    env = env_with_recipe(Recipe(drop_path=0.2))
    network = env.evaluator.build(env.decode(played(env)))
    network.set_drop_path_progress(0.25)
    copy = deepcopy(network)
    copy.set_drop_path_progress(0.75)
    for whole, progress in ((network, 0.25), (copy, 0.75)):
        paths = [module for module in whole.modules() if isinstance(module, DropPath)]
        assert paths
        assert {path.progress for path in paths} == {progress}


def test_batches_are_whole_and_hold_each_image_at_most_once() -> None:
    images = Images(torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1), torch.arange(10))
    fitting = Fitting(images, Normalization((0.0,), (1 / 255,)), None, Recipe(batch_size=4), 1, 10, torch.device("cpu"))
    first, second = batches(fitting, torch.Generator().manual_seed(0))
    assert fitting.batches_per_epoch == 2
    seen = torch.cat([first[1], second[1]])
    assert len(seen.unique()) == 8
    assert torch.equal(torch.cat([first[0], second[0]]).flatten().round().long(), seen)
    small = replace(fitting, recipe=Recipe(batch_size=64))
    ((_, labels),) = batches(small, torch.Generator().manual_seed(0))
    assert sorted(labels.tolist()) == list(range(10))


def residual_on_digits(stem_stride: int, **settings: object) -> TrainEvaluator:
    lengths: dict[str, Any] = {"epochs": 1, "retrain_epochs": 2}
    return TrainEvaluator(Digits(), ResidualSkeleton(stem_stride), **lengths | settings)


def test_a_search_may_train_a_coarser_stem_than_the_final_model_which_the_costs_are_of() -> None:
    space = residual(widths=[[8], [8]], stems=[8])
    pipeline = decode_joint({"nas": space}, {"nas": space.default})
    fine, coarse, both = residual_on_digits(1), residual_on_digits(2), residual_on_digits(1, search_stem_stride=2)
    assert both.cost(pipeline) == fine.cost(pipeline) != coarse.cost(pipeline)
    results = [evaluator(pipeline, seed=0) for evaluator in (fine, coarse, both)]
    assert results[2].accuracy == results[1].accuracy != results[0].accuracy
    assert (results[2].flops, results[2].params) == (results[0].flops, results[0].params)
    (model, test_accuracy), (expected, expected_accuracy) = (each.retrain(pipeline, seed=0) for each in (both, fine))
    assert test_accuracy == expected_accuracy
    for ours, theirs in zip(model.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert both.definition == fine.definition | {"search_stem_stride": 2}
    assert fine.retrain_length() < both.retrain_length() < 4 * fine.retrain_length()


def test_the_final_training_may_have_trivial_augment_in_place_of_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = {"aug": autoaugment(), "nas": residual(widths=[[8]], stems=[8])}
    pipeline = decode_joint(spaces, {name: space.default for name, space in spaces.items()})
    policies, fit = [], pipeline_training.Fit

    def seen(network: nn.Module, fitting: Fitting, *rest: Any, **how: Any) -> Fit:
        policies.append(fitting.policy)
        return fit(network, fitting, *rest, **how)

    monkeypatch.setattr(pipeline_training, "Fit", seen)
    plain, other = residual_on_digits(1), residual_on_digits(1, retrain_augmentation="trivial")
    assert other.definition == plain.definition
    assert other(pipeline, seed=0).accuracy == plain(pipeline, seed=0).accuracy
    plain.retrain(pipeline, seed=0)
    other.retrain(pipeline, seed=0)
    other.retrain(decode_joint({"nas": spaces["nas"]}, {"nas": spaces["nas"].default}), seed=0)
    own = pipeline["aug"]
    assert policies == [own, own, own, trivial_augment(), trivial_augment()]


@pytest.mark.parametrize(("epochs", "shown", "expected"), [(2, 2, True), (3, 2, False), (2, 3, False)])
def test_a_long_enough_final_training_has_it(
    monkeypatch: pytest.MonkeyPatch, epochs: int, shown: float, expected: bool
) -> None:
    evaluator = residual_on_digits(1, retrain_epochs=2, retrain_augmentation="auto")
    monkeypatch.setattr(trivialaugment, "LEAST_EPOCHS", epochs)
    monkeypatch.setattr(trivialaugment, "LEAST_SHOWN", shown * evaluator.task.load().final_images)
    assert evaluator.retrains_with_trivial_augment() == expected
    assert not evaluator.retrains_with_trivial_augment(epochs=1)


def test_a_checkpoint_of_another_final_augmentation_is_not_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_training, "Checkpoint", partial(Checkpoint, seconds=0.0))
    space = residual(widths=[[8]], stems=[8])
    pipeline = decode_joint({"nas": space}, {"nas": space.default})
    plain, trivial = residual_on_digits(1), residual_on_digits(1, retrain_augmentation="trivial")
    plain.retrain_observed(pipeline, seed=0, checkpoint=tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint").exists()
    _, expected = trivial.retrain(pipeline, seed=0)
    _, found = trivial.retrain_observed(pipeline, seed=0, checkpoint=tmp_path / "checkpoint")
    assert found == expected


def test_an_unknown_final_augmentation_is_refused() -> None:
    with pytest.raises(MA2MLError, match="trivial"):
        residual_on_digits(1, retrain_augmentation="trivail")


def test_a_stem_stride_of_the_search_is_refused_where_there_is_none() -> None:
    with pytest.raises(MA2MLError, match="not for a NASNetSkeleton"):
        TrainEvaluator(Digits(), NASNetSkeleton(1, 2), epochs=1, retrain_epochs=1, search_stem_stride=2)
    with pytest.raises(MA2MLError, match="stem_stride is 1, 2 or 4, not 3"):
        residual_on_digits(1, search_stem_stride=3)


def test_the_final_training_may_have_more_threads_than_a_training_of_the_search(monkeypatch) -> None:
    threads = []
    start = pipeline_training.Fit.run_epoch

    def run_epoch(self, *arguments) -> None:
        threads.append(torch.get_num_threads())
        start(self, *arguments)

    monkeypatch.setattr(pipeline_training.Fit, "run_epoch", run_epoch)
    space = residual(widths=[[8]], stems=[8])
    pipeline = decode_joint({"nas": space}, {"nas": space.default})
    evaluator = residual_on_digits(2, retrain_threads=2)
    assert not evaluator(pipeline, seed=0).failed
    evaluator.retrain(pipeline, seed=0)
    assert threads == [1, 2, 2]
    with pytest.raises(MA2MLError, match="retrain_threads"):
        residual_on_digits(2, retrain_threads=0)


@pytest.mark.parametrize(("name", "on_gpu"), [("auto", torch.bfloat16), ("float32", torch.float32)])
def test_the_precision_decides_on_autocast_and_tf32_within_a_training_alone(name: str, on_gpu, monkeypatch) -> None:
    seen, tf32 = [], torch.backends.cudnn.allow_tf32

    def note(device_type: str, dtype: torch.dtype, enabled: bool):
        seen.append(dtype if enabled else torch.float32)
        return nullcontext()

    monkeypatch.setattr(torch, "autocast", note)
    with precision(name):
        assert torch.backends.cudnn.allow_tf32 == (tf32 and name == "auto")
        for device in ("cuda", "cpu"):
            with autocast(torch.device(device)):
                pass
    assert seen == [on_gpu, torch.float32]
    assert torch.backends.cudnn.allow_tf32 == tf32


def test_the_precision_reaches_the_training_and_changes_nothing_on_a_cpu() -> None:
    usual, single = residual_on_digits(2), residual_on_digits(2, precision="float32")
    assert single._training.precision == "float32"
    assert usual.definition == single.definition
    space = residual(widths=[[8], [8]], stems=[8])
    pipeline = decode_joint({"nas": space}, {"nas": space.default})
    assert usual(pipeline, seed=0).accuracy == single(pipeline, seed=0).accuracy
    with pytest.raises(MA2MLError, match="float16"):
        residual_on_digits(2, precision="float16")
