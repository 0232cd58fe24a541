"""What surrogates learn from: columns of policies, cells and recipes, and the size of the noise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import ma2ml_env
from ma2ml_env import AutoMLEnv
from ma2ml_env.reward import accuracy
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces.autoaugment import MAGNITUDES, OPERATIONS, autoaugment
from ma2ml_env.search_spaces.nasnet import NASNET_A, Genotype, nasnet, parse_cell
from ma2ml_env.search_spaces.recipe import OPTIMIZERS, recipe
from ma2ml_env.surrogate.columns import VISIBLE, cell_columns, policy_columns
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.image_changes import (
    VALUES,
    assumed_changes,
    changes_in,
    measured_changes,
    table_of_changes,
)
from ma2ml_env.surrogate.noise import logistic, logit, measure_noise, slope


def test_noise_is_measured_where_it_is() -> None:
    rng = np.random.default_rng(0)
    low = [list(0.3 + 0.1 * rng.standard_normal(3)) for _ in range(300)]
    high = [list(0.95 + 0.01 * rng.standard_normal(3)) for _ in range(300)]
    noise = measure_noise([*low, *high, [0.5]])
    assert noise(np.array([0.3, 0.95])) == pytest.approx([0.1, 0.01], rel=0.15)
    assert measure_noise([[0.5], [0.6]])(np.array([0.5])) == [0.0]


def test_noise_near_one_is_not_taken_from_where_there_is_more() -> None:
    rng = np.random.default_rng(0)
    true = logistic(rng.uniform(1.0, 5.0, 3000))
    noise = measure_noise([list(np.clip(a + 0.3 * a * (1 - a) * rng.standard_normal(2), 0, 1)) for a in true])
    at = np.array([0.8, 0.9, 0.95, 0.98, 0.99])
    np.testing.assert_allclose(noise(at), 0.3 * at * (1 - at), rtol=0.2)


def test_the_slope_is_the_logistics_derivative() -> None:
    score = np.linspace(-4.0, 6.0, 30)
    np.testing.assert_allclose(slope(score), (logistic(score + 1e-5) - logistic(score - 1e-5)) / 2e-5, rtol=1e-6)


def test_the_logistic_undoes_the_logit() -> None:
    accuracy = np.linspace(0.03, 0.99, 50)
    np.testing.assert_allclose(logistic(logit(accuracy)), accuracy)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_a_policys_columns_do_not_depend_on_the_order_of_its_sub_policies() -> None:
    actions = np.random.default_rng(0).integers(autoaugment().nvec, size=(30, 30))
    turned = np.roll(actions.reshape(30, 5, 6), 2, axis=1).reshape(30, 30)
    changes = np.random.default_rng(1).uniform(size=(len(OPERATIONS), len(MAGNITUDES)))
    for name, column in policy_columns(actions, changes).items():
        np.testing.assert_allclose(policy_columns(turned, changes)[name], column, atol=1e-12)


def one_sub_policy(*slots: tuple[str, int, int]) -> np.ndarray:
    """A policy whose other sub-policies do nothing, shape (1, 30)."""
    action = np.zeros((1, 30), dtype=int)
    action[0, : 3 * len(slots)] = [
        number for name, probability, magnitude in slots for number in (OPERATIONS.index(name), probability, magnitude)
    ]
    return action


def test_a_policys_columns_hold_probability_times_magnitude_where_no_image_is_known() -> None:
    columns = policy_columns(one_sub_policy(("Rotate", 5, 9), ("Invert", 10, 0)), assumed_changes())
    assert columns["Rotate"] == columns["geometric"] == pytest.approx(0.5 / 5)
    assert columns["Invert"] == pytest.approx(1 / 5)
    assert columns["total"] == pytest.approx(1.5 / 5)
    assert columns["untouched"] == pytest.approx(4 / 5)


def test_a_policys_columns_hold_probability_times_change() -> None:
    changes = np.zeros((len(OPERATIONS), len(MAGNITUDES)))
    rotate, color, cutout = (OPERATIONS.index(name) for name in ("Rotate", "Color", "Cutout"))
    changes[rotate, 3], changes[cutout, 2] = 0.2, 0.9 * VISIBLE
    columns = policy_columns(one_sub_policy(("Rotate", 5, 3), ("Color", 10, 9)), changes)
    assert columns["Rotate"] == columns["geometric"] == columns["total"] == columns["strongest"]
    assert columns["Rotate"] == pytest.approx(0.5 * 0.2 / 5)
    assert columns["Color"] == changes[color].sum() == 0.0
    assert columns["untouched"] == pytest.approx((4 + 0.5) / 5)
    both = policy_columns(one_sub_policy(("Rotate", 1, 3), ("Rotate", 5, 3)), changes)
    assert both["strongest"] == columns["strongest"], "of the two operations"
    assert both["untouched"] == pytest.approx((4 + 0.9 * 0.5) / 5)
    changes[rotate, 4] = 5 * VISIBLE
    rarely = policy_columns(one_sub_policy(("Rotate", 1, 4)), changes)
    assert rarely["untouched"] == pytest.approx((4 + 0.9) / 5), "visible, however rare"
    hardly = policy_columns(one_sub_policy(("Cutout", 10, 2)), changes)
    assert hardly["untouched"] == 1.0, "by less than a gray level"
    assert hardly["Cutout"] == pytest.approx(0.9 * VISIBLE / 5)


def test_changes_are_measured_on_the_images() -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(256, size=(40, 1, 8, 8), dtype=np.uint8))
    changes = measured_changes(images)
    named = dict(zip(OPERATIONS, changes, strict=True))
    pixels = images.double().numpy()
    assert (named["Color"] == 0.0).all(), "gray images have no colors"
    assert named["TranslateX"][:3].tolist() == [0.0] * 3, "by less than a pixel"
    assert named["TranslateX"][3] > 0.2
    np.testing.assert_allclose(named["Invert"], np.abs(255.0 - 2.0 * pixels).mean() / 255.0, atol=1e-4)
    four_bits_left = pixels - pixels // 16 * 16
    assert named["Posterize"][9] == pytest.approx(four_bits_left.mean() / 255.0, abs=1e-4)
    left, right = (np.zeros_like(pixels) for _ in range(2))
    left[..., :-1], right[..., 1:] = pixels[..., 1:], pixels[..., :-1]
    by_one_pixel = np.mean([np.abs(moved - pixels).mean() for moved in (left, right)]) / 255.0
    assert named["TranslateX"][3] == pytest.approx(by_one_pixel, abs=1e-4)
    np.testing.assert_allclose(measured_changes(images.double() / 255.0)[6], changes[6], atol=1e-4)
    assert changes.tolist() == changes.round(4).tolist()
    colored = torch.from_numpy(rng.integers(256, size=(40, 3, 8, 8), dtype=np.uint8))
    by_color = measured_changes(colored)[OPERATIONS.index("Color")]
    assert by_color[0] == 0.0
    assert (np.diff(by_color) > 0).all()
    with pytest.raises(ValueError, match="at least one image"):
        measured_changes(images[:0])


def test_of_large_images_fewer_are_looked_at() -> None:
    asked: list[int] = []

    def sample_images(count: int) -> torch.Tensor:
        asked.append(count)
        return torch.zeros((min(count, 2), 3, 256, 256), dtype=torch.uint8)

    evaluate = SimpleNamespace(sample_images=sample_images)
    changes_in(AutoMLEnv({"aug": autoaugment()}, evaluate, accuracy))
    assert asked == [1, VALUES // (3 * 256 * 256)]


def test_changes_are_measured_where_there_are_policies_and_images() -> None:
    real = ma2ml_env.make("ma2ml/digits-v0")
    changes = changes_in(real)
    assert changes is not None
    np.testing.assert_array_equal(changes, measured_changes(real.evaluator.sample_images(1000)))
    assert changes_in(ma2ml_env.make("ma2ml/synthetic-v0")) is None
    assert changes_in(AutoMLEnv({"nas": nasnet()}, real.evaluator, real.reward)) is None


@pytest.mark.parametrize("wrong", [[[0.5] * 10] * 15, [[0.5] * 9] * 16, [[1.5] * 10] * 16, [[float("nan")] * 10] * 16])
def test_a_table_of_changes_that_cannot_be_is_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="16 x 10 numbers in"):
        table_of_changes(wrong)


def test_cell_columns_describe_nasnet_a() -> None:
    action = nasnet().encode(Genotype(*map(parse_cell, NASNET_A)))
    columns = {name: column.item() for name, column in cell_columns(np.array([action])).items()}
    assert columns["normal_sep_conv_3x3"] == 3
    assert columns["sep_conv_7x7"] == 2
    assert columns["normal_outputs"] == 5
    assert columns["normal_deepest"] == 2, "one separable convolution"
    assert columns["reduction_deepest"] == 4, "block 5 convolves block 1"
    assert columns["normal_concats"] == 0


def test_a_recipes_columns_hold_numbers_one_hot_choices_and_logarithms_of_the_step() -> None:
    space = recipe()
    rng = np.random.default_rng(0)
    actions = rng.integers(space.nvec, size=(40, len(space)))
    columns = Features({"hpo": space})({"hpo": actions}, np.ones((2, 40)))
    rates, momenta = (space.decisions[i].choices for i in (0, 2))
    rules = {"sgd": ("sgd", "momentum"), "adamw": ("adamw",), "rmsprop": ("rmsprop",)}
    assert sum(rules.values(), ()) == OPTIMIZERS
    for number, action in enumerate(actions):
        chosen = space.decode(action)
        seen = {name: column[number] for name, column in columns.items()}
        assert seen["hpo_learning_rate"] == chosen.learning_rate
        assert [seen[f"hpo_optimizer_{name}"] for name in OPTIMIZERS] == [
            name == chosen.optimizer for name in OPTIMIZERS
        ]

        def step(rate: float, momentum: float, optimizer: str = chosen.optimizer) -> float:
            return np.log(rate if optimizer == "adamw" else rate / (1 - momentum))

        own = step(chosen.learning_rate, chosen.momentum)
        from_middle = own - np.mean([step(rate, momentum) for rate in rates for momentum in momenta])
        assert seen["hpo_log_step"] == pytest.approx(own)
        for rule, optimizers in rules.items():
            assert seen[f"hpo_log_step_{rule}"] == pytest.approx(from_middle if chosen.optimizer in optimizers else 0)
        constant = chosen.schedule == "constant"
        assert seen["hpo_log_step_constant"] == pytest.approx(from_middle if constant else 0)
        assert seen["hpo_log_path"] == pytest.approx(from_middle + (np.log(2) if constant else 0))
        assert seen["hpo_log_weight_decay"] == pytest.approx(np.log10(chosen.weight_decay + 1e-5))


def test_agents_of_equal_spaces_have_columns_of_their_own() -> None:
    spaces = {"one": nasnet(), "two": nasnet()}
    actions = {agent: np.full((1, 50), number) for number, agent in enumerate(spaces)}
    one, two = Features(spaces).of_agents(actions).values()
    assert not set(one) & set(two)
    assert one["one_normal_concats"] != two["two_normal_concats"]


def test_the_columns_of_agents_are_all_but_those_of_the_costs() -> None:
    spaces = {"hpo": recipe(), "nas": nasnet()}
    actions = {agent: np.zeros((1, len(space)), dtype=int) for agent, space in spaces.items()}
    features = Features(spaces)
    own = features.of_agents(actions)
    assert list(own) == ["hpo", "nas"]
    assert [*own["hpo"], *own["nas"], "log_flops", "log_params"] == list(features(actions, np.ones((2, 1))))


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": None},
        {"learning_rate": ("low", "high")},
        {"learning_rate": (0.0, 0.1)},
        {"momentum": (0.5, 1.0)},
        {"momentum": (None, 0.9)},
        {"optimizer": (0, 1)},
        {"optimizer": tuple(f"o{number}" for number in range(17))},
        {"schedule": (1, 2)},
        {"weight_decay": (-1.0, 0.0)},
    ],
)
def test_a_space_that_is_no_recipe_has_its_choices_for_columns(change: dict[str, tuple | None]) -> None:
    usual = {"learning_rate": (0.1, 0.2), "momentum": (0.8, 0.9), "optimizer": ("sgd", "adamw")}
    decisions = tuple(Decision(name, choices) for name, choices in {**usual, **change}.items() if choices)
    actions = np.array([[0] * len(decisions), [1] * len(decisions)])
    columns = Features({"hpo": SearchSpace(decisions, dict)})({"hpo": actions}, np.ones((2, 2)))
    assert not [name for name in columns if name.startswith("hpo_log")]
    assert all(np.isfinite(column).all() for column in columns.values())
