"""Environments that answer by a surrogate: conformity, exact costs, noise, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau
from surrogate_data import random_actions, row, small_env, small_trials

import ma2ml_env
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluators.surrogate import SHIPPED, SurrogateEvaluator
from ma2ml_env.models.nasnet import NASNetSkeleton, count
from ma2ml_env.models.nasnet_counter import NASNetCounter
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.surrogate.evaluations_file import read_evaluations
from ma2ml_env.surrogate.fit import evaluations, fit, gather
from ma2ml_env.surrogate.model import load_surrogate
from ma2ml_env.testing import check_evaluator

DIGITS = "ma2ml/digits-v0"
COLOUR = "ma2ml/cifar10-16px-v0"
IDS = ["ma2ml/digits-surrogate-v0", "ma2ml/digits-flops-surrogate-v0"]
COLOUR_IDS = ["ma2ml/cifar10-16px-surrogate-v0", "ma2ml/cifar10-16px-flops-surrogate-v0"]


def test_surrogates_stay_those_of_stored_results() -> None:
    for ids, definition in ((IDS, "ba83808fee7b925f"), (COLOUR_IDS, "40dcfbd76f842ccc")):
        assert [ma2ml_env.make(env_id).definition for env_id in ids] == [definition, definition]


def test_a_missing_file_is_refused_when_the_environment_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the surrogate"):
        ma2ml_env.make(IDS[0], file=str(tmp_path / "none.xz"))


def test_a_surrogate_of_another_definition_is_refused(tmp_path: Path) -> None:
    fit(small_env(), gather(small_env(), {"run": small_trials(small_env(), 30)})).save(tmp_path / "file.xz")
    with pytest.raises(
        ValueError, match=r"under the definition a closed form, but ma2ml/digits-v0 is cfdc433452bbffc8"
    ):
        ma2ml_env.make(IDS[0], file=str(tmp_path / "file.xz"))


def test_an_environment_of_other_decisions_cannot_use_it() -> None:
    entry = ma2ml_env.registry.entry(IDS[0])
    other = replace(entry, agents={**entry.agents, "hpo": {"kind": "recipe"}})
    with pytest.raises(ValueError, match=r"these differ: \['hpo'\]"):
        other.build()


@pytest.fixture(scope="module")
def env() -> AutoMLEnv:
    return ma2ml_env.make(IDS[0])


@pytest.fixture(scope="module", params=[(IDS[0], DIGITS), (COLOUR_IDS[0], COLOUR)], ids=["digits", "colour"])
def pair(request: pytest.FixtureRequest) -> tuple[AutoMLEnv, AutoMLEnv]:
    """An environment and the one that it imitates."""
    imitating, real = request.param
    return ma2ml_env.make(imitating), ma2ml_env.make(real)


def test_the_evaluator_conforms(pair: tuple[AutoMLEnv, AutoMLEnv]) -> None:
    env, _ = pair
    check_evaluator(env.evaluator, env.search_spaces, pipelines=5)


def test_it_answers_what_its_surrogate_predicts_of_the_trials(env: AutoMLEnv) -> None:
    real = ma2ml_env.make(DIGITS)
    run = read_evaluations(SHIPPED / "digits-v0.csv.xz", real)["ma2ml-seed1-env0"][:60]
    data, surrogate = gather(real, {"run": run}), load_surrogate(SHIPPED / "digits-v0.surrogate.xz")
    assert data.image_changes is not None
    assert data.image_changes.tolist() == np.array(surrogate.image_changes).tolist()
    predicted, seconds = surrogate.predict(dict(zip(data.columns, data.table.T, strict=True)))
    expected = [env.expected(real.decode(trial.pipeline.action)) for trial in evaluations(run)]
    assert [result.accuracy for result in expected] == predicted.tolist()
    np.testing.assert_allclose([result.seconds for result in expected], seconds)


def test_a_batch_equals_single_evaluations(pair: tuple[AutoMLEnv, AutoMLEnv]) -> None:
    env, _ = pair
    actions = random_actions(env, 50)
    batch = env.evaluator.evaluate_batch(actions, 3)
    single = [env.evaluate(env.decode(row(actions, number)), seed=3) for number in range(50)]
    for name in batch._fields:
        np.testing.assert_allclose(getattr(batch, name), [getattr(result, name) for result in single], atol=1e-9)


def test_costs_equal_those_of_the_environment_that_it_imitates(pair: tuple[AutoMLEnv, AutoMLEnv]) -> None:
    env, real = pair
    actions = random_actions(env, 200, seed=1)
    batch = env.evaluator.evaluate_batch(actions, 0)
    for number in range(200):
        cost = real.cost(real.decode(row(actions, number)))
        assert (cost.flops, cost.params) == (batch.flops[number], batch.params[number])
        assert env.cost(env.decode(row(actions, number))) == cost


@pytest.mark.parametrize(
    ("skeleton", "size"),
    [
        (NASNetSkeleton(5, 2, 3, skip_reduction_input=True), 9),
        (NASNetSkeleton(6, 2, 3, style="enas"), 33),
        (NASNetSkeleton(9, 1, 3, stem="imagenet", stem_multiplier=0.5), 65),
    ],
)
def test_costs_are_exact_for_any_skeleton(skeleton: NASNetSkeleton, size: int) -> None:
    space, rng = nasnet(), np.random.default_rng(2)
    actions = rng.integers(space.nvec, size=(60, len(space)))
    shape = {"image_size": size, "in_channels": 3, "num_classes": 7}
    counted = NASNetCounter(skeleton, **shape)(actions)
    expected = [count(space.decode(action), skeleton, **shape) for action in actions]
    assert counted.T.tolist() == [[cost.flops, cost.params] for cost in expected]


def test_the_noise_is_seeded_of_the_stated_size_and_around_the_expected_accuracy(env: AutoMLEnv) -> None:
    pipeline = env.decode({agent: space.default for agent, space in env.search_spaces.items()})
    exact = env.expected(pipeline)
    deviation = load_surrogate(env.evaluator.file).noise(np.array([exact.accuracy])).item()
    seen = np.array([env.evaluate(pipeline, seed=seed).accuracy for seed in range(400)])
    inside = seen[(seen > 0) & (seen < 1)]
    assert np.median(seen) == pytest.approx(exact.accuracy, abs=4 * deviation / 400**0.5)
    assert np.subtract(*np.percentile(inside, [75, 25])) == pytest.approx(1.349 * deviation, rel=0.25)
    assert seen[7] == env.evaluate(pipeline, seed=7).accuracy != seen[8]
    assert ma2ml_env.make(IDS[0], noisy=False).evaluate(pipeline) == exact


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda actions: actions.pop("hpo"), r"actions are for \['aug', 'nas', 'hpo'\], not for"),
        (lambda actions: actions.update(nas=actions["nas"][:, :-1]), r"integers of shape \(B, 50\), not \(4, 49\)"),
        (lambda actions: actions.update(nas=actions["nas"] + 0.5), "actions are integers"),
        (lambda actions: actions.update(aug=actions["aug"] + 16), "agent 'aug': an index is out of range"),
        (lambda actions: actions.update(aug=actions["aug"][:3]), "different numbers of actions"),
        (lambda actions: actions.update(aug=actions["aug"][:0]), "at least one action, this one is empty"),
    ],
)
def test_a_batch_of_actions_that_do_not_fit_is_refused(env: AutoMLEnv, change, message: str) -> None:
    actions = random_actions(env, 4)
    change(actions)
    with pytest.raises(ValueError, match=message):
        env.evaluator.evaluate_batch(actions, 0)


def test_inactive_decisions_change_no_prediction() -> None:
    env = ma2ml_env.make(COLOUR_IDS[0])
    space, rng = env.search_spaces["nas"], np.random.default_rng(3)
    actions = random_actions(env, 50)
    others = rng.integers(space.nvec, size=actions["nas"].shape)
    changed = actions | {"nas": np.where(space.active(actions["nas"]), actions["nas"], others)}
    assert (changed["nas"] != actions["nas"]).any()
    one, other = (env.evaluator.evaluate_batch(chosen, 0) for chosen in (actions, changed))
    assert [column.tolist() for column in one] == [column.tolist() for column in other]


@pytest.mark.parametrize(
    ("ids", "constraint", "exponent"), [(IDS, 400_000, -0.07), (COLOUR_IDS, 3_000_000, -0.05)], ids=["digits", "colour"]
)
def test_the_flops_environment_pays_for_the_same_results_under_the_constraint(
    ids: list[str], constraint: int, exponent: float
) -> None:
    env, constrained = map(ma2ml_env.make, ids)
    assert constrained.definition == env.definition
    actions = random_actions(env, 20)
    for number in range(20):
        result = env.evaluate(env.decode(row(actions, number)))
        assert constrained.evaluate(constrained.decode(row(actions, number))) == result
        factor = min(1.0, (result.flops / constraint) ** exponent)
        assert constrained.reward(result) == pytest.approx(result.accuracy * factor)


def test_importing_the_package_loads_no_lightgbm() -> None:
    code = "import sys, ma2ml_env; print('lightgbm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_surrogate_of_another_environment_is_made_from_its_own_trials(tmp_path: Path) -> None:
    """Costs of what is no NASNet come from the environment itself."""
    real = ma2ml_env.make("ma2ml/synthetic-v0", noise=0.0)
    actions = random_actions(real, 60)
    trials = []
    for number in range(60):
        pipeline = real.decode(row(actions, number))
        result = real.evaluate(pipeline)
        trials.append(Trial(number, 0, pipeline, result, result.accuracy))
    real.definition = ma2ml_env.make("ma2ml/synthetic-v0").definition
    fit(real, gather(real, {"run": trials})).save(tmp_path / "file.xz")
    evaluator = SurrogateEvaluator(ma2ml_env.make("ma2ml/synthetic-v0"), tmp_path / "file.xz")
    batch = evaluator.evaluate_batch(actions, 0)
    assert batch.flops.tolist() == [trial.result.flops for trial in trials]
    assert kendalltau(batch.accuracy, [trial.result.accuracy for trial in trials]).statistic > 0.3
