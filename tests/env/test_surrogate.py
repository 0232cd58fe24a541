"""Surrogates: what is learned from a closed form, the file, exact costs, noise, and what is refused."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau
from small_games import game, mean_choice

import ma2ml_env
from ma2ml_env import AutoMLEnv, Result, Trial
from ma2ml_env.evaluators.surrogate import SurrogateEvaluator
from ma2ml_env.models.nasnet import NASNetSkeleton, count
from ma2ml_env.search_spaces.autoaugment import OPERATIONS, autoaugment
from ma2ml_env.search_spaces.nasnet import NASNET_A, Genotype, nasnet, parse_cell
from ma2ml_env.search_spaces.recipe import OPTIMIZERS, recipe
from ma2ml_env.surrogate.columns import cell_columns, policy_columns
from ma2ml_env.surrogate.counts import NASNetCounter
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.fit import Data, fit, gather
from ma2ml_env.surrogate.model import Surrogate, load_surrogate
from ma2ml_env.surrogate.noise import Noise, logistic, logit, measure_noise
from ma2ml_env.surrogate.quality import Agreement, held_out_pipelines, held_out_runs, reachable, second_evaluations
from ma2ml_env.surrogate.table import read_table, write_table
from ma2ml_env.testing import check_evaluator

DIGITS = "ma2ml/digits-v0"
IDS = ["ma2ml/digits-surrogate-v0", "ma2ml/digits-flops-surrogate-v0"]


def random_actions(env: AutoMLEnv, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {agent: rng.integers(space.nvec, size=(count, len(space))) for agent, space in env.search_spaces.items()}


def row(actions: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    return {agent: chosen[number] for agent, chosen in actions.items()}


def small_env(deviation: float = 0.0) -> AutoMLEnv:
    """Accuracy is the mean relative choice, with noise of a known deviation."""

    def noisy(pipeline, *, seed):
        exact = mean_choice(pipeline, seed=seed)
        normal = np.random.default_rng(pipeline.random_seed(seed)).standard_normal()
        return replace(exact, accuracy=float(np.clip(exact.accuracy + deviation * normal, 0, 1)), seconds=2.0)

    return game(evaluator=noisy, definition="a closed form")


def small_trials(env: AutoMLEnv, count: int, seed: int = 0, env_seed: int = 0) -> list[Trial]:
    actions = random_actions(env, count, seed)
    pipelines = [env.decode(row(actions, number)) for number in range(count)]
    results = [env.evaluate(pipeline, seed=env_seed) for pipeline in pipelines]
    return [Trial(n, env_seed, p, r, r.accuracy) for n, (p, r) in enumerate(zip(pipelines, results, strict=True))]


@pytest.fixture(scope="module")
def data() -> Data:
    env = small_env(0.03)
    repeated = {f"random_search-env{seed}": small_trials(env, 60, 0, seed) for seed in range(3)}
    return gather(env, {**repeated, "search": small_trials(env, 60, 1)})


@pytest.fixture(scope="module")
def fitted(data: Data) -> Surrogate:
    return fit(small_env(), data)


def test_what_it_learns_of_a_closed_form_orders_unseen_pipelines(fitted: Surrogate) -> None:
    env = small_env()
    unseen = small_trials(env, 100, seed=7)
    actions = {agent: np.array([t.pipeline.action[agent] for t in unseen]) for agent in env.possible_agents}
    predicted, seconds = fitted.predict(Features(env.search_spaces)(actions, np.full((2, 100), 1000)))
    assert kendalltau(predicted, [t.result.accuracy for t in unseen]).statistic > 0.7
    np.testing.assert_allclose(seconds, 2.0, rtol=1e-6)


def test_held_out_predictions_agree_less_than_the_noise_allows_but_much_more_than_none(data: Data) -> None:
    predicted = Agreement.of(data.accuracy, held_out_pipelines(data))
    allowed = reachable(data.accuracy, data.noise)
    assert 0.4 < predicted.tau < allowed.tau + 0.02
    assert allowed.mae == pytest.approx(0.03 * (2 / np.pi) ** 0.5, rel=0.25), "the mean size of a normal number"
    ((name, measured, predicted_of_run),) = held_out_runs(data)
    assert name == "search"
    assert measured.tolist() == data.accuracy[data.run == "search"].tolist()
    assert kendalltau(measured, predicted_of_run).statistic > 0.4
    second = second_evaluations(data)
    assert second is not None
    assert second.mae == pytest.approx(0.03 * 2 / np.pi**0.5, rel=0.25), "of a difference of two such numbers"


@pytest.mark.parametrize("spread", [0.02, 0.06])
def test_what_the_noise_allows_is_how_well_the_truth_agrees_with_measurements(spread: float) -> None:
    rng = np.random.default_rng(0)
    noise = Noise((0.5,), (0.02,))
    allowed, actual, of_measurements = list[Agreement](), list[Agreement](), list[Agreement]()
    for seed in range(8):
        truth = 0.6 + spread * rng.standard_normal(200)
        first, second = truth + 0.02 * rng.standard_normal((2, 200))
        allowed.append(reachable(first, noise, seed))
        actual.append(Agreement.of(first, truth))
        of_measurements.append(Agreement.of(first, second))
    for figure in ("r2", "tau"):
        of_truth = getattr(Agreement.mean(actual), figure)
        assert getattr(Agreement.mean(allowed), figure) == pytest.approx(of_truth, abs=0.05)
        assert of_truth > getattr(Agreement.mean(of_measurements), figure), "a second measurement is a worse prediction"


def test_a_run_whose_pipelines_are_all_in_another_run_cannot_be_held_out() -> None:
    env = small_env()
    twice = gather(env, {"search": small_trials(env, 30), "other": small_trials(env, 30)})
    assert list(held_out_runs(twice)) == []
    assert len(twice.distinct) == len(twice) / 2


def test_a_run_that_evaluates_another_ones_pipelines_again_is_not_held_out_twice() -> None:
    env = small_env(0.03)
    runs = {"a": small_trials(env, 60), "b": small_trials(env, 60, env_seed=1), "c": small_trials(env, 60, 1)}
    assert [name for name, _, _ in held_out_runs(gather(env, runs))] == ["a", "c"]


def test_an_evaluation_that_two_runs_share_is_no_second_evaluation() -> None:
    env = small_env(0.1)
    shared = gather(env, {"one": small_trials(env, 30), "two": small_trials(env, 30)})
    assert second_evaluations(shared) is None
    assert shared.noise == Noise()


def test_fitting_twice_gives_the_same_surrogate(data: Data, fitted: Surrogate) -> None:
    assert fit(small_env(), data) == fitted


def test_a_run_that_repeats_a_pipeline_counts_it_once_and_infeasible_ones_not_at_all() -> None:
    env = small_env()
    trials = small_trials(env, 40)
    repeats = [replace(t, number=40 + t.number) for t in trials[:10]]
    infeasible = replace(trials[0], result=Result(0.0, 1, 1, 0.0, "too large", infeasible=True))
    distinct = len({t.pipeline.key for t in trials})
    assert len(gather(env, {"run": [*trials, *repeats, infeasible]})) == distinct


def test_too_few_evaluations_are_refused() -> None:
    env = small_env()
    with pytest.raises(ValueError, match="at least 20 evaluations to learn from, these are 5"):
        gather(env, {"run": small_trials(env, 5)})


def test_the_file_gives_back_the_surrogate(fitted: Surrogate, tmp_path: Path) -> None:
    fitted.save(tmp_path / "new" / "file.xz")
    loaded = load_surrogate(tmp_path / "new" / "file.xz")
    assert loaded == fitted
    assert loaded.digest == fitted.digest != replace(fitted, noise=Noise()).digest
    assert replace(fitted, quality={"tau": 1.0}).digest == fitted.digest, "figures change no prediction"


def rewritten(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def rewrite(content: bytes) -> bytes:
        document = json.loads(lzma.decompress(content))
        change(document)
        return lzma.compress(json.dumps(document).encode())

    return rewrite


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "damaged or not a surrogate"),
        (lambda content: b"PK\x03\x04 a zip archive", "damaged or not a surrogate"),
        (lambda content: lzma.compress(b"[1, 2]"), "not a file of the format"),
        (rewritten(lambda document: document.update(format="ma2ml surrogate 9")), "not a file of the format"),
        (rewritten(lambda document: document.update(definition="another")), "does not match its digest"),
        (rewritten(lambda document: document["accuracy"].pop()), "does not match its digest"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(fitted: Surrogate, tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "file.xz"
    fitted.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_surrogate(path)


def test_a_missing_file_is_refused_when_the_environment_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the surrogate"):
        ma2ml_env.make(IDS[0], file=str(tmp_path / "none.xz"))


def test_a_surrogate_of_another_definition_is_refused(fitted: Surrogate, tmp_path: Path) -> None:
    fitted.save(tmp_path / "file.xz")
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


def test_the_evaluator_conforms(env: AutoMLEnv) -> None:
    check_evaluator(env.evaluator, env.search_spaces, pipelines=5)


def test_a_batch_equals_single_evaluations(env: AutoMLEnv) -> None:
    actions = random_actions(env, 50)
    batch = env.evaluator.evaluate_batch(actions, 3)
    single = [env.evaluate(env.decode(row(actions, number)), seed=3) for number in range(50)]
    for name in batch._fields:
        np.testing.assert_allclose(getattr(batch, name), [getattr(result, name) for result in single], atol=1e-9)


def test_costs_equal_those_of_the_environment_that_it_imitates(env: AutoMLEnv) -> None:
    actions = random_actions(env, 200, seed=1)
    batch = env.evaluator.evaluate_batch(actions, 0)
    real = ma2ml_env.make(DIGITS)
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
    ],
)
def test_a_batch_of_actions_that_do_not_fit_is_refused(env: AutoMLEnv, change, message: str) -> None:
    actions = random_actions(env, 4)
    change(actions)
    with pytest.raises(ValueError, match=message):
        env.evaluator.evaluate_batch(actions, 0)


def test_the_flops_environment_pays_for_the_same_results_under_the_constraint(env: AutoMLEnv) -> None:
    constrained = ma2ml_env.make(IDS[1])
    assert constrained.definition == env.definition
    actions = random_actions(env, 20)
    for number in range(20):
        result = env.evaluate(env.decode(row(actions, number)))
        assert constrained.evaluate(constrained.decode(row(actions, number))) == result
        factor = min(1.0, (result.flops / 400_000) ** -0.07)
        assert constrained.reward(result) == pytest.approx(result.accuracy * factor)


def test_importing_the_package_loads_no_lightgbm() -> None:
    code = "import sys, ma2ml_env; print('lightgbm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_noise_is_measured_where_it_is() -> None:
    rng = np.random.default_rng(0)
    low = [list(0.3 + 0.1 * rng.standard_normal(3)) for _ in range(300)]
    high = [list(0.95 + 0.01 * rng.standard_normal(3)) for _ in range(300)]
    noise = measure_noise([*low, *high, [0.5]])
    assert noise(np.array([0.3, 0.95])) == pytest.approx([0.1, 0.01], rel=0.15)
    assert measure_noise([[0.5], [0.6]])(np.array([0.5])) == [0.0]


def test_the_logistic_undoes_the_logit() -> None:
    accuracy = np.linspace(0.03, 0.99, 50)
    np.testing.assert_allclose(logistic(logit(accuracy)), accuracy)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_a_policys_columns_do_not_depend_on_the_order_of_its_sub_policies() -> None:
    actions = np.random.default_rng(0).integers(autoaugment().nvec, size=(30, 30))
    turned = np.roll(actions.reshape(30, 5, 6), 2, axis=1).reshape(30, 30)
    for name, column in policy_columns(actions).items():
        np.testing.assert_allclose(policy_columns(turned)[name], column, atol=1e-12)


def test_a_policys_columns_hold_probability_times_magnitude() -> None:
    action = np.zeros((1, 30), dtype=int)
    action[0, :6] = [OPERATIONS.index("Rotate"), 5, 9, OPERATIONS.index("Invert"), 10, 0]
    columns = policy_columns(action)
    assert columns["aug_Rotate"] == columns["aug_geometric"] == pytest.approx(0.5 / 5)
    assert columns["aug_Invert"] == pytest.approx(1 / 5)
    assert columns["aug_total"] == pytest.approx(1.5 / 5)
    assert columns["aug_untouched"] == pytest.approx(4 / 5)


def test_cell_columns_describe_nasnet_a() -> None:
    action = nasnet().encode(Genotype(*map(parse_cell, NASNET_A)))
    columns = {name: column.item() for name, column in cell_columns(np.array([action])).items()}
    assert columns["nas_normal_sep_conv_3x3"] == 3
    assert columns["nas_sep_conv_7x7"] == 2
    assert columns["nas_normal_outputs"] == 5
    assert columns["nas_normal_deepest"] == 2, "one separable convolution"
    assert columns["nas_reduction_deepest"] == 4, "block 5 convolves block 1"
    assert columns["nas_normal_concats"] == 0


def test_a_recipes_columns_hold_numbers_one_hot_choices_and_the_step_size() -> None:
    features = Features({"hpo": recipe()})
    adamw = list(recipe().default)
    adamw[1] = OPTIMIZERS.index("adamw")
    actions = {"hpo": np.array([recipe().default, adamw])}
    columns = features(actions, np.ones((2, 2)))
    first = recipe().decode(recipe().default)
    assert columns["hpo_learning_rate"][0] == first.learning_rate
    assert columns["hpo_optimizer_adamw"].tolist() == [0.0, 1.0]
    assert columns["hpo_step_size"][0] == pytest.approx(first.learning_rate / (1 - first.momentum))
    assert columns["hpo_step_size"][1] == columns["hpo_learning_rate"][1], "its momentum is a mean"
    assert columns["hpo_step_size_adamw"].tolist() == [0.0, columns["hpo_step_size"][1]]
    assert columns["hpo_step_size_per_image"][0] == pytest.approx(columns["hpo_step_size"][0] / first.batch_size)


def test_the_shipped_table_is_what_the_shipped_surrogate_was_fitted_to(env: AutoMLEnv) -> None:
    real = ma2ml_env.make(DIGITS)
    data = gather(real, read_table(env.evaluator.file.parent / "digits-v0.csv.xz", real))
    assert load_surrogate(env.evaluator.file).quality["evaluations"] == len(data.distinct)
    assert load_surrogate(env.evaluator.file).noise == data.noise


def test_a_table_gives_back_the_trials(tmp_path: Path) -> None:
    env = small_env(0.02)
    runs = {name: small_trials(env, 12, seed) for seed, name in enumerate(("one", "two"))}
    failed = Result(0.0, 5, 6, 1.5, 'the loss is "nan",\nreally', curve=(0.25, 1 / 3))
    runs["one"][3] = replace(runs["one"][3], result=failed, reward=0.0)
    write_table(tmp_path / "table.csv.xz", env, runs)
    assert read_table(tmp_path / "table.csv.xz", env) == runs
    other = game(evaluator=mean_choice, definition="another")
    with pytest.raises(ValueError, match="evaluations of the definition a closed form, ma2ml/small-v0 is another"):
        read_table(tmp_path / "table.csv.xz", other)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "run,number\n1,2\n", "damaged or not a table"),
        (lambda text: text[: text.rindex("\n", 0, -1) + 20], r"line \d+: not an evaluation"),
        (lambda text: text.replace("one,3,0,", "one,3,0,z"), "line 6: not an evaluation of ma2ml/small-v0"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, damage, message: str) -> None:
    env = small_env()
    path = tmp_path / "table.csv.xz"
    write_table(path, env, {"one": small_trials(env, 12)})
    path.write_bytes(lzma.compress(damage(lzma.decompress(path.read_bytes()).decode()).encode()))
    with pytest.raises(ValueError, match=message):
        read_table(path, env)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="damaged or not a table"):
        read_table(path, env)


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
    evaluator = SurrogateEvaluator("ma2ml/synthetic-v0", tmp_path / "file.xz")
    batch = evaluator.evaluate_batch(actions, 0)
    assert batch.flops.tolist() == [trial.result.flops for trial in trials]
    assert kendalltau(batch.accuracy, [trial.result.accuracy for trial in trials]).statistic > 0.3
