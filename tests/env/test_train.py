"""Training real networks: the data, the recipe, the evaluator, the model that is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from recipes import CHANGED
from torch import nn

import ma2ml_env
from ma2ml_env import Decision, Pipeline, SearchSpace, load_model
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.reward import accuracy
from ma2ml_env.search_spaces.recipe import Recipe, recipe
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.tasks.task import Images, Splits
from ma2ml_env.training import pipeline_training
from ma2ml_env.training.loop import DivergedError, Fit, Fitting, Normalization, fit
from ma2ml_env.training.loop import accuracy as measured

CPU = torch.device("cpu")
HERE = sorted(set(CHANGED) - {"dropout"})


class Tiny(nn.Module):
    """A linear classifier whose paths can be dropped; it notes the learning rates it was trained with."""

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.rate = drop_path
        self.progress: list[float] = []

    def set_drop_path_progress(self, progress: float) -> None:
        self.progress.append(progress)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(nn.functional.dropout(images.flatten(1), self.rate, self.training))


def digits(count: int = 128) -> Images:
    train = Digits().load().train
    return Images(train.pixels[:count], train.labels[:count])


def trained(hyper: Recipe, epochs: int = 2) -> nn.Module:
    torch.manual_seed(0)
    images = digits()
    fitting = Fitting(images, Normalization.of(images), None, hyper, epochs, 10, CPU)
    training = Fit(Tiny(hyper.drop_path), fitting, torch.Generator().manual_seed(0))
    return fit(training, lambda epoch, network: True)


def test_digits_are_split_without_overlap_stratified_and_always_alike() -> None:
    splits = Digits().load()
    parts = [splits.train, splits.validation, splits.test]
    assert sum(len(part) for part in parts) == 1797
    assert [round(len(part) / 1797, 1) for part in parts] == [0.6, 0.2, 0.2]
    for part in parts:
        shares = torch.bincount(part.labels, minlength=10) / len(part)
        assert shares.sub(0.1).abs().max() < 0.02
        assert part.pixels.dtype == torch.uint8
        assert part.pixels.shape[1:] == (1, 8, 8)
        assert part.pixels.max() == 255
    seen = [{image.numpy().tobytes() for image in part.pixels} for part in parts]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    pipeline_training._splits_on.cache_clear()
    assert torch.equal(Digits().load().test.pixels, splits.test.pixels)


@pytest.mark.parametrize("member", HERE)
def test_every_member_of_a_recipe_but_the_one_that_changes_the_network_changes_the_training(member: str) -> None:
    usual = Recipe(batch_size=32)
    before = trained(usual).state_dict()
    again = trained(usual).state_dict()
    after = trained(replace(usual, **{member: CHANGED[member]})).state_dict()
    assert all(torch.equal(before[name], again[name]) for name in before)
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("schedule", "warmup", "form"),
    [
        ("cosine", 0.0, lambda t: (1 + math.cos(math.pi * t)) / 2),
        ("linear", 0.0, lambda t: 1 - t),
        ("constant", 0.0, lambda t: 1.0),
        ("constant", 0.5, lambda t: min(1.0, t / 0.5)),
    ],
)
def test_learning_rates_follow_their_closed_form(schedule: str, warmup: float, form, monkeypatch) -> None:
    rates: list[float] = []
    step = torch.optim.SGD.step

    def note(self, closure=None):
        rates.append(self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", note)
    trained(Recipe(learning_rate=0.1, batch_size=16, schedule=schedule, warmup=warmup), epochs=2)
    assert len(rates) == 16
    assert rates == pytest.approx([0.1 * form(i / 16) for i in range(16)], abs=1e-9)


@pytest.mark.parametrize(
    "bad",
    [
        {"optimizer": "sdg"},
        {"schedule": "cos"},
        {"momentum": 1.0},
        {"warmup": -0.1},
        {"mixup": -1},
        {"learning_rate": 0},
        {"batch_size": 0},
    ],
)
def test_a_recipe_out_of_range_is_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Recipe(**bad)


def test_the_recipe_space_says_what_it_can_and_nothing_else() -> None:
    space = recipe()
    assert space.decode(space.default) == Recipe()
    assert space.decode(space.encode(Recipe(mixup=0.2))) == Recipe(mixup=0.2)
    with pytest.raises(ValueError, match="ema_decay"):
        space.encode(Recipe(ema_decay=0.9))


def test_normalization_standardizes_and_leaves_a_constant_channel_finite() -> None:
    images = digits()
    standardized = Normalization.of(images)(images.pixels)
    assert standardized.mean().item() == pytest.approx(0.0, abs=1e-4)
    assert standardized.std().item() == pytest.approx(1.0, abs=1e-4)
    flat = Images(torch.full((4, 1, 8, 8), 7, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    assert torch.isfinite(Normalization.of(flat)(flat.pixels)).all()


def test_accuracy_counts_right_answers() -> None:
    images = digits(600)
    network = Tiny(0.0)
    normalization = Normalization.of(images)
    right = (network(normalization(images.pixels)).argmax(1) == images.labels).float().mean().item()
    assert measured(network, images, normalization) == pytest.approx(right)


def quick_env(**settings) -> AutoMLEnv:
    return ma2ml_env.make("ma2ml/digits-v0", **{"epochs": 1, "filters": 2, "retrain_epochs": 1, **settings})


def default_pipeline(env: AutoMLEnv) -> Pipeline:
    return env.decode({agent: space.default for agent, space in env.search_spaces.items()})


def test_a_result_depends_on_pipeline_and_seed_alone_and_leaves_torch_as_it_was() -> None:
    env = quick_env(epochs=2)
    pipeline = default_pipeline(env)
    random_state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = env.evaluate(pipeline, seed=1)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.get_num_threads() == threads
    torch.manual_seed(99)
    second, other = env.evaluate(pipeline, seed=1), env.evaluate(pipeline, seed=2)
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)
    assert first.curve != other.curve
    assert len(first.curve) == 2
    assert first.accuracy == first.curve[-1]
    assert (first.flops, first.params) == (env.evaluator.cost(pipeline).flops, env.evaluator.cost(pipeline).params)


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (DivergedError("the loss is nan after epoch 1 of 1"), "the loss is nan"),
        (MemoryError("too large"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out of memory"),
    ],
)
def test_a_training_that_fails_is_a_failed_result(failure: Exception, says: str, monkeypatch) -> None:
    def fail(*args: object) -> None:
        raise failure

    monkeypatch.setattr(pipeline_training, "fit", fail)
    env = quick_env()
    result = env.evaluate(default_pipeline(env))
    assert result.failed
    assert says in result.error
    assert result.accuracy == env.reward(result) == 0.0


def test_an_infinite_loss_is_noticed() -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) after epoch \d of 2"):
        trained(Recipe(learning_rate=1e30, schedule="constant"))


def test_any_other_error_in_training_is_not_hidden(monkeypatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(pipeline_training, "fit", fail)
    env = quick_env()
    with pytest.raises(RuntimeError, match="a bug"):
        env.evaluate(default_pipeline(env))


def test_a_fourth_agent_does_not_disturb_the_training() -> None:
    env = quick_env()
    more = AutoMLEnv(
        {**env.search_spaces, "loss": SearchSpace((Decision("x", (0, 1)),), dict)}, env.evaluator, accuracy
    )
    result = more.evaluate(default_pipeline(more))
    assert not result.failed
    assert result.flops == env.evaluator.cost(default_pipeline(env)).flops


def test_a_model_that_was_kept_gives_the_same_logits_and_names(tmp_path: Path) -> None:
    env = quick_env()
    model, test_accuracy = env.evaluator.retrain(default_pipeline(env), seed=0)
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    test = Digits().load().test
    with torch.no_grad():
        assert torch.allclose(model(test.pixels), loaded(test.pixels), atol=1e-5), (
            "memory formats differ, weights do not"
        )
    named = loaded.predict(test.pixels)
    right = sum(name == str(label) for name, label in zip(named, test.labels.tolist(), strict=True))
    assert right / len(test) == pytest.approx(test_accuracy)
    with pytest.raises(ValueError, match=r"uint8 of shape \(N, 1, 8, 8\)"):
        loaded.predict(torch.zeros(1, 1, 9, 9, dtype=torch.uint8))


@dataclass(frozen=True)
class AdjoiningDigits(Digits):
    """Digits whose parts lie one after the other in memory, as those of a memory-mapped file do."""

    def load(self) -> Splits:
        parts = list(vars(Digits().load()).values())
        pixels = torch.split(torch.cat([part.pixels for part in parts]), [len(part) for part in parts])
        return Splits(*(Images(p, part.labels) for p, part in zip(pixels, parts, strict=True)))


def test_a_model_trained_on_a_view_of_both_parts_has_the_weights_of_one_trained_on_their_copy() -> None:
    env = quick_env()
    copied, viewed = Digits().load(), AdjoiningDigits().load()
    assert copied.train_and_validation.pixels.data_ptr() != copied.train.pixels.data_ptr()
    assert viewed.train_and_validation.pixels.data_ptr() == viewed.train.pixels.data_ptr()
    evaluators = (env.evaluator, replace(env.evaluator, task=AdjoiningDigits()))
    (one, its), (other, others) = (evaluator.retrain(default_pipeline(env), seed=0) for evaluator in evaluators)
    assert its == others
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("change", [lambda p: p[[0, 1]], lambda p: p[1:], lambda p: p.transpose(2, 3), torch.clone])
def test_parts_that_do_not_follow_one_another_in_memory_are_joined_in_a_copy(change) -> None:
    splits = AdjoiningDigits().load()
    validation = Images(change(splits.validation.pixels), splits.validation.labels)
    for parts in ((splits.train, validation), (validation, splits.train), (splits.train, splits.train)):
        both = Splits(*parts, splits.test).train_and_validation.pixels
        assert torch.equal(both, torch.cat([part.pixels for part in parts]))
        assert both.untyped_storage().data_ptr() != splits.train.pixels.untyped_storage().data_ptr()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("not a model")
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    for name in ("missing", "text", "other"):
        with pytest.raises(ValueError, match=name):
            load_model(tmp_path / name)
