"""Decisions that are active under a condition: one pipeline, one action, one key."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

import ma2ml_env
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.registry import _definition
from ma2ml_env.render import draw
from ma2ml_env.reward import accuracy
from ma2ml_env.search_spaces.autoaugment import autoaugment
from ma2ml_env.search_spaces.benchmark_table import published_spaces
from ma2ml_env.search_spaces.fbnetv3_recipe import fbnetv3_recipe
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.search_spaces.plain import plain
from ma2ml_env.testing import check_env, check_evaluator, check_search_space
from ma2ml_env.trials import TrialStore

STAGE = (
    Decision("depth", (0, 1, 2), ordered=True),
    Decision("kind", ("plain", "inverted"), active={"depth": (1, 2)}),
    Decision("expansion", (2, 3, 4), active={"kind": ("inverted",)}),
    Decision("gated", (False, True), active={"kind": ("inverted",), "depth": (2,)}),
    Decision("activation", ("relu", "silu")),
)
SPACE = SearchSpace(STAGE, dict)
ACTIONS = list(itertools.product(*(range(n) for n in SPACE.nvec)))


def by_hand(depth: int, kind: int, expansion: int, gated: int, activation: int) -> tuple[int, ...]:
    """The canonical action of `SPACE`, written out."""
    if depth == 0:
        return 0, 0, 0, 0, activation
    if kind == 0:
        return depth, 0, 0, 0, activation
    return depth, 1, expansion, gated if depth == 2 else 0, activation


def relative_sum(pipeline, *, seed):
    return Result(sum(pipeline.action["nas"]) / 20, flops=1e6, params=1e3, seconds=0.0)


def game(evaluator=relative_sum, **options):
    return AutoMLEnv({"nas": SPACE, "hpo": plain([2])}, evaluator, accuracy, draw=draw, **options)


def test_every_action_has_the_canonical_form_that_is_written_out() -> None:
    assert [SPACE.validate(action) for action in ACTIONS] == [by_hand(*action) for action in ACTIONS]


def test_the_vectorized_form_agrees_with_the_single_one() -> None:
    rows = np.array(ACTIONS)
    assert SPACE.canonical(rows).tolist() == [list(by_hand(*action)) for action in ACTIONS]
    assert SPACE.canonical(SPACE.canonical(rows)).tolist() == SPACE.canonical(rows).tolist()
    names = [decision.name for decision in STAGE]
    active = [[name in SPACE.choices(action) for name in names] for action in ACTIONS]
    assert SPACE.active(rows).tolist() == active


def test_size_counts_what_differs() -> None:
    # depth 0: 1; depth 1: plain, or inverted with 3 expansions; depth 2: plain, or inverted 3 x 2; all times 2
    assert SPACE.size == (1 + (1 + 3) + (1 + 6)) * 2 == len({SPACE.validate(action) for action in ACTIONS})
    assert len({str(SPACE.decode(action)) for action in ACTIONS}) == SPACE.size


def test_size_is_exact_for_many_stages() -> None:
    stages = [
        Decision(f"{stage}_{d.name}", d.choices, active={f"{stage}_{p}": v for p, v in dict(d.active).items()})
        for stage in range(20)
        for d in STAGE
    ]
    assert SearchSpace(stages, dict).size == 24**20


def test_size_is_that_of_an_enumeration_when_conditions_cross() -> None:
    crossed = SearchSpace(
        (
            Decision("a", (0, 1, 2)),
            Decision("b", (0, 1)),
            Decision("c", (0, 1, 2), active={"a": (0, 2)}),
            Decision("d", (0, 1), active={"b": (1,), "c": (0, 2)}),
            Decision("e", (0, 1, 2), active={"a": (1, 2), "d": (1,)}),
            Decision("f", (0, 1), active={"e": (2,)}),
        ),
        dict,
    )
    actions = itertools.product(*(range(n) for n in crossed.nvec))
    assert crossed.size == len({crossed.validate(action) for action in actions})


def test_inactive_decisions_are_neither_built_nor_said() -> None:
    assert SPACE.decode((0, 1, 2, 1, 1)) == {"depth": 0, "activation": "silu"}
    assert SPACE.decode((1, 1, 2, 1, 0)) == {"depth": 1, "kind": "inverted", "expansion": 4, "activation": "relu"}
    env = game()
    text = str(env.decode({"nas": (0, 1, 2, 1, 1), "hpo": (0,)}))
    assert "depth" in text
    assert not any(name in text for name in ("kind", "expansion", "gated"))


def test_encode_inverts_decode_and_ignores_what_is_inactive() -> None:
    assert all(SPACE.encode(SPACE.decode(action)) == by_hand(*action) for action in ACTIONS)
    said = {"depth": 0, "kind": "no kind at all", "expansion": 4, "activation": "silu"}
    assert SPACE.encode(said) == (0, 0, 0, 0, 1)
    with pytest.raises(ValueError, match="decision 'kind' has no value"):
        SPACE.encode({"depth": 1, "activation": "silu"})
    with pytest.raises(ValueError, match="no such decision: \\['width'\\]"):
        SPACE.encode({"depth": 0, "activation": "silu", "width": 3})


def test_the_default_is_canonical_but_its_values_are_kept() -> None:
    space = SearchSpace(STAGE, dict, default=(0, 1, 2, 1, 1))
    assert space.default == (0, 0, 0, 0, 1)
    assert space.default_values["expansion"] == 4
    assert space.encode({**space.default_values, "depth": 1}) == (1, 1, 2, 0, 1)


def test_pipelines_that_differ_in_inactive_decisions_are_one_pipeline() -> None:
    env = game()
    one, other = (env.decode({"nas": action, "hpo": (1,)}) for action in [(0, 0, 0, 0, 1), (0, 1, 2, 1, 1)])
    assert one == other
    assert one.key == other.key
    assert other.action["nas"] == (0, 0, 0, 0, 1)
    env.reset()
    env.step({"nas": (0, 1, 2, 1, 1), "hpo": (1,)})
    assert env.last_trial is not None
    assert env.last_trial.result.accuracy == pytest.approx(1 / 20)


def test_samples_are_canonical_and_reach_every_pipeline() -> None:
    rng = np.random.default_rng(0)
    assert {SPACE.sample(rng) for _ in range(2000)} == {by_hand(*action) for action in ACTIONS}


def test_a_conditional_space_and_its_environment_conform() -> None:
    check_search_space(SPACE)
    check_evaluator(relative_sum, {"nas": SPACE, "hpo": plain([2])})
    check_env(game(), pipelines=3)


def test_a_space_that_reads_inactive_decisions_does_not_conform() -> None:
    class Reading(SearchSpace):
        def decode(self, action, *, agent="action"):
            return self._checked(action, agent)

    with pytest.raises(AssertionError, match="an inactive decision is read"):
        check_search_space(Reading(STAGE, dict))


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([Decision("a", (1, 2), active={"b": (1,)}), Decision("b", (1, 2))], "'b', which does not come before it"),
        (
            [Decision("a", (1, 2), active={"a": (1,)})],
            r"not come before it; earlier decisions are \[\]",
        ),
        ([Decision("depth", (1,)), Decision("b", (1,), active={"dept": (1,)})], r"'dept', .*did you mean 'depth'"),
        ([Decision("a", (1, 2)), Decision("b", (1,), active={"a": (3,)})], r"'a' is 3, .* choices are \[1, 2\]"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(decisions: list[Decision], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchSpace(decisions, dict)


@pytest.mark.parametrize("values", [(), "inverted", 3, {1, 2}])
def test_the_values_of_a_condition_are_a_tuple_of_some(values: object) -> None:
    with pytest.raises(ValueError, match=r"decision 'b': the values of 'a' .* are a tuple of at least one, not"):
        Decision("b", (1, 2), active={"a": values})  # type: ignore[dict-item]


@pytest.mark.parametrize("choices", [("small", "large"), (1, 3, 2), (1, 1), (False, True)])
def test_choices_that_are_not_rising_or_falling_numbers_cannot_be_ordered(choices: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="decision 'x' cannot be ordered: its choices must be numbers"):
        Decision("x", choices, ordered=True)


def test_falling_numbers_are_ordered_too() -> None:
    assert Decision("x", (0.1, 0.01, 0.001), ordered=True).ordered


def test_numbers_of_known_spaces_are_ordered_and_names_and_inputs_are_not() -> None:
    jahs = published_spaces("jahs201")
    spaces = (jahs["aug"], jahs["nas"], jahs["hpo"], fbnetv3_recipe(), nasnet(), autoaugment())
    ordered = [{d.name for d in space.decisions if d.ordered} for space in spaces]
    assert ordered[:3] == [set(), {"N", "W", "Resolution"}, {"LearningRate", "WeightDecay"}]
    assert ordered[3] == {d.name for d in spaces[3].decisions} - {"optimizer"}
    assert ordered[4] == set(), "inputs are numbers without order"
    assert {name.rpartition("_")[2] for name in ordered[5]} == {"probability", "magnitude"}


def test_decisions_can_be_hashed_compared_and_pickled() -> None:
    assert pickle.loads(pickle.dumps(STAGE)) == STAGE
    assert len(set(STAGE)) == len(STAGE)
    assert STAGE[1] == Decision("kind", ["plain", "inverted"], active={"depth": [1, 2]})
    assert STAGE[1] != Decision("kind", ("plain", "inverted"))
    assert STAGE[0] == Decision("depth", (0, 1, 2))


def test_a_definition_depends_on_conditions_and_not_on_order() -> None:
    free = [Decision(d.name, d.choices) for d in STAGE]
    ordered = [Decision(d.name, d.choices, ordered=d.name == "depth") for d in STAGE]
    conditional, plainly, orderly = (_definition({"nas": SearchSpace(d, dict)}, {}) for d in (STAGE, free, ordered))
    assert conditional != plainly
    assert orderly == plainly


@pytest.mark.parametrize(
    ("env_id", "definition"),
    [
        ("ma2ml/synthetic-v0", "ac1b29508aea9112"),
        ("ma2ml/digits-v0", "cfdc433452bbffc8"),
        ("ma2ml/cifar10-darts-v0", "0d4ceb9a44eb162c"),
        ("ma2ml/imagenet-600m-v0", "578326d3fde3221f"),
        ("ma2ml/fcnet-protein-v0", "2ae529776723fb50"),
    ],
)
def test_definitions_are_those_of_before_there_were_conditions(env_id: str, definition: str) -> None:
    assert ma2ml_env.make(env_id).definition == definition


def test_inactive_decisions_are_no_parameters_of_an_exported_study(tmp_path) -> None:
    import optuna

    store = TrialStore(tmp_path / "run" / "trials.db")
    env = game(record=store.append)
    for action in [(0, 0, 0, 0, 1), (2, 1, 2, 1, 0)]:
        env.reset()
        env.step({"nas": action, "hpo": (0,)})
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.load_study(study_name=store.to_optuna(url, env.search_spaces), storage=url)
    assert study.trials[0].params == {"nas.depth": 0, "nas.activation": "silu", "hpo.x0": 0}
    assert study.trials[1].params["nas.expansion"] == 4
    assert len(study.trials[1].params) == 6
