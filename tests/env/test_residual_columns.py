"""What surrogates learn from where decisions are conditional: residual networks, relative recipes, other spaces."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces.recipe import recipe
from ma2ml_env.search_spaces.residual import residual
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.residual_columns import LAYERS, ResidualColumns

SPACE = residual(((8, 16), (16, 32), (32, 64)), stems=(8, 16))
RNG = np.random.default_rng(0)
ACTIONS = np.array([SPACE.sample(RNG) for _ in range(200)])


def test_the_columns_of_a_network_are_those_of_its_blocks() -> None:
    columns = ResidualColumns(SPACE)(ACTIONS)
    for row, action in enumerate(ACTIONS):
        built = SPACE.decode(action)
        blocks = [stage.kind for stage in built.stages for _ in range(stage.depth)]
        assert columns["stem"][row] == built.stem
        assert columns[f"activation_{built.activation}"][row] == 1
        assert columns["layers"][row] == sum(LAYERS[kind] for kind in blocks)
        assert {kind: columns[kind][row] for kind in LAYERS} == {kind: blocks.count(kind) for kind in LAYERS}
        assert columns["squeezed"][row] == sum(stage.depth for stage in built.stages if stage.squeeze)
        assert columns["last_width"][row] == [stage.width for stage in built.stages if stage.depth][-1]
        assert columns["late"][row] == next(number for number, stage in enumerate(built.stages) if stage.depth)
        for number, stage in enumerate(built.stages, start=1):
            assert columns[f"stage{number}_width"][row] == stage.width
            assert columns[f"stage{number}_expansion"][row] == (stage.expansion if stage.expansion > 1 else 0)


def test_inactive_decisions_change_no_column() -> None:
    free = RNG.integers(SPACE.nvec, size=(200, len(SPACE)))
    assert (SPACE.canonical(free) != free).any()
    one, other = ResidualColumns(SPACE)(free), ResidualColumns(SPACE)(SPACE.canonical(free))
    assert all((one[name] == other[name]).all() for name in one)


def test_different_networks_have_different_columns() -> None:
    matrix = np.stack(list(ResidualColumns(SPACE)(ACTIONS).values()), axis=1)
    assert len(np.unique(matrix, axis=0)) == len({SPACE.decode(action) for action in ACTIONS})


def test_levels_are_columns_on_a_logarithmic_scale() -> None:
    space = recipe(relative=True)
    actions = np.array([space.sample(RNG) for _ in range(50)])
    columns = Features({"hpo": space}).of_agents({"hpo": actions})["hpo"]
    levels = [space.choices(action)["learning_rate_level"] for action in actions]
    assert columns["hpo_log_learning_rate_level"] == pytest.approx(np.log2(levels))
    assert np.isfinite(columns["hpo_log_weight_decay_level"]).all()


def test_an_inactive_decision_of_any_space_is_a_mean_or_no_choice() -> None:
    space = SearchSpace(
        (
            Decision("on", (False, True)),
            Decision("size", (2, 4), active={"on": (True,)}),
            Decision("shape", ("round", "flat"), active={"on": (True,)}),
        ),
        dict,
    )
    actions = np.array([[0, 0, 0], [0, 1, 1], [1, 1, 1]])
    columns = Features({"a": space}).of_agents({"a": actions})["a"]
    assert columns["a_size"].tolist() == [3, 3, 4]
    assert columns["a_shape_round"].tolist() == [0, 0, 0]
    assert columns["a_shape_flat"].tolist() == [0, 0, 1]
