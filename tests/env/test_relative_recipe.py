"""Recipes whose learning rate and weight decay are multiples of what the optimizer is usually run with."""

from __future__ import annotations

import itertools

import pytest

from ma2ml_env.search_spaces.recipe import LEVELS, OPTIMIZERS, Recipe, recipe

SPACE = recipe(relative=True, dropouts=(0.0, 0.2), ema_decays=(0.99,), warmups=(0.1,))


def test_the_default_is_the_usual_recipe_of_sgd() -> None:
    built = SPACE.decode(SPACE.default)
    expected = Recipe(0.1, "sgd", 0.9, 5e-4, 64, "cosine", warmup=0.1, ema_decay=0.99)
    assert built == expected


@pytest.mark.parametrize(
    ("optimizer", "momentum", "rate", "decay"),
    [
        ("sgd", 0.95, 0.05, 5e-4),
        ("momentum", 0.8, 0.2, 5e-4),
        ("adamw", 0.8, 0.003, 0.02),
        ("rmsprop", 0.95, 0.0005, 1e-4),
    ],
)
def test_level_one_is_the_optimizer_s_base_and_sgd_s_follows_its_momentum(optimizer, momentum, rate, decay) -> None:
    chosen = {"optimizer": optimizer, "momentum": momentum, "learning_rate_level": 1.0, "weight_decay_level": 1.0}
    built = SPACE.build({**SPACE.choices(SPACE.default), **chosen})
    assert (built.learning_rate, built.weight_decay) == pytest.approx((rate, decay))
    doubled = SPACE.build({**SPACE.choices(SPACE.default), **chosen, "learning_rate_level": 2.0})
    assert doubled.learning_rate == pytest.approx(2 * rate)


def test_every_recipe_is_encoded_back() -> None:
    names = ("learning_rate_level", "optimizer", "momentum", "weight_decay_level")
    places = {decision.name: (number, len(decision.choices)) for number, decision in enumerate(SPACE.decisions)}
    for indices in itertools.product(*(range(places[name][1]) for name in names)):
        action = list(SPACE.default)
        for name, index in zip(names, indices, strict=True):
            action[places[name][0]] = index
        assert SPACE.encode(SPACE.decode(action)) == tuple(action)


def test_what_has_one_choice_is_no_decision_but_part_of_every_recipe_and_of_the_definition() -> None:
    names = [decision.name for decision in SPACE.decisions]
    assert "dropout" in names
    assert not {"ema_decay", "warmup"} & set(names)
    assert (SPACE.fixed["ema_decay"], SPACE.fixed["warmup"]) == (0.99, 0.1)
    assert set(SPACE.fixed["bases"]) == set(OPTIMIZERS)
    with pytest.raises(ValueError, match=r"no decision for \['warmup'\]"):
        SPACE.encode(Recipe(0.1, ema_decay=0.99))


def test_an_absolute_recipe_has_its_nine_decisions_and_nothing_beside_them() -> None:
    space = recipe()
    assert len(space) == 9
    assert space.fixed == {}
    assert space.decisions[0].name == "learning_rate"
    assert not any(decision.ordered for decision in space.decisions)


def test_a_level_between_those_offered_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'learning_rate_level' cannot be 0\.7"):
        SPACE.encode(Recipe(0.07, ema_decay=0.99, warmup=0.1))
    assert {d.name: d.choices for d in SPACE.decisions}["learning_rate_level"] == LEVELS


@pytest.mark.parametrize(("bad", "says"), [({"dropouts": (1.0,)}, "dropout"), ({"optimizers": ("adam",)}, "optimizer")])
def test_an_impossible_choice_is_refused_when_the_space_is_made(bad, says) -> None:
    with pytest.raises(ValueError, match=says):
        recipe(relative=True, **bad)
