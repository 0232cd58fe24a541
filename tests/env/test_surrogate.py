"""Surrogates: what is learned from a closed form, how well, and the file that it is kept in."""

from __future__ import annotations

import copy
import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lightgbm import Booster
from scipy.stats import kendalltau
from surrogate_data import random_actions, small_env, small_trials

from ma2ml_env import Result
from ma2ml_env.surrogate import model
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.fit import Data, fit, fit_accuracy, fit_seconds, gather, slowness
from ma2ml_env.surrogate.image_changes import assumed_changes, table_of_changes
from ma2ml_env.surrogate.model import Surrogate, load_surrogate
from ma2ml_env.surrogate.noise import Noise, logistic, logit
from ma2ml_env.surrogate.noise_floor import SCORES, reachable, repeatable, smallest_step, true_accuracies
from ma2ml_env.surrogate.quality import (
    Agreement,
    held_out,
    held_out_pipelines,
    held_out_runs,
    second_evaluations,
)


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


def test_seconds_are_those_of_the_typical_machine() -> None:
    rng = np.random.default_rng(0)
    factors = {"first": 1.0, "typical": 1.25, "slow": 4.0}
    run = np.repeat(list(factors), (40, 80, 60))
    log_flops = rng.uniform(10.0, 13.0, 180) + (run == "slow")
    own = 0.7 * log_flops + 0.05 * rng.standard_normal(180)
    slower = slowness(own + np.log([factors[name] for name in run]), log_flops, run)
    for name, factor in factors.items():
        (of_run,) = set(slower[run == name].tolist())
        assert of_run == pytest.approx(np.log(factor / 1.25), abs=0.05), name


def test_machines_of_different_speed_do_not_show_in_predicted_seconds(data: Data) -> None:
    slow = np.where(data.run == "search", 3.0, 1.0)
    loaded = replace(data, seconds=data.seconds * slow)
    predicted, as_before = (Booster(model_str=fit_seconds(given)).predict(data.table) for given in (loaded, data))
    np.testing.assert_allclose(predicted, as_before, atol=1e-6)


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


@pytest.mark.parametrize(
    ("spread", "apart"),
    [(0.02, 0.0), (0.06, 0.0), (0.01, 0.0), (0.01, 0.1)],
    ids=["as the noise", "more than the noise", "less than the noise", "clusters"],
)
def test_what_the_noise_allows_is_how_well_the_truth_agrees_with_measurements(spread: float, apart: float) -> None:
    rng = np.random.default_rng(0)
    noise = Noise((0.5,), (0.02,))
    allowed, actual, twice, of_measurements = (list[Agreement]() for _ in range(4))
    for seed in range(12):
        truth = 0.6 + spread * rng.standard_normal(200) + apart * rng.integers(3, size=200)
        first, second = (truth + 0.02 * rng.standard_normal((2, 200))).round(2)
        allowed.append(reachable(first, noise, 0.01, seed))
        actual.append(Agreement.of(first, truth))
        twice.append(repeatable(first, noise, 0.01, seed))
        of_measurements.append(Agreement.of(first, second))
    for figure in ("r2", "tau", "mae"):
        of_truth = getattr(Agreement.mean(actual), figure)
        tolerance = 0.1 if spread < 0.02 and not apart else 0.05
        assert getattr(Agreement.mean(allowed), figure) == pytest.approx(of_truth, abs=tolerance)
        of_second = getattr(Agreement.mean(of_measurements), figure)
        assert getattr(Agreement.mean(twice), figure) == pytest.approx(of_second, abs=2 * tolerance)
        assert (of_second > of_truth) == (figure == "mae"), "a second measurement is a worse prediction"


def test_noise_that_falls_and_coarse_steps_are_taken_into_account() -> None:
    rng = np.random.default_rng(0)
    noise = Noise((0.5, 0.8, 0.9, 0.98), (0.12, 0.06, 0.03, 0.008))
    said, reached = list[Agreement](), list[Agreement]()
    for seed in range(12):
        truth = logistic(2.5 + 0.8 * rng.standard_normal(200))
        measured = np.clip((truth + noise(truth) * rng.standard_normal(200)) / 0.02, 0, 50).round() * 0.02
        said.append(reachable(measured, noise, 0.02, seed))
        reached.append(Agreement.of(measured, truth))
    for figure in ("r2", "tau"):
        assert getattr(Agreement.mean(said), figure) == pytest.approx(
            getattr(Agreement.mean(reached), figure), abs=0.02
        )
    assert Agreement.mean(said).mae == pytest.approx(Agreement.mean(reached).mae, rel=0.05)


def test_measurements_that_are_all_equal_are_off_by_the_noise() -> None:
    equal = np.full(30, 0.5)
    step = smallest_step(equal)
    assert step == 0.0
    assert reachable(equal, Noise((0.5,), (0.01,)), step).mae == pytest.approx(0.008, abs=0.003)


def test_noise_of_nothing_somewhere_is_no_error() -> None:
    measured = np.linspace(0.05, 0.95, 40)
    allowed = reachable(measured, Noise((0.3, 0.5, 0.9), (0.0, 0.0, 0.02)))
    assert 0.8 < allowed.tau < 1.0


def test_the_step_of_measurements_is_one_test_image() -> None:
    assert smallest_step(np.array([3, 5, 3, 4, 90]) / 359) == pytest.approx(1 / 359)


def test_a_constant_orders_nothing() -> None:
    assert Agreement.of(np.array([0.1, 0.2, 0.3]), np.full(3, 0.2)).tau == 0.0


def test_pipelines_can_only_be_held_out_where_there_are_some() -> None:
    env = small_env(0.03)
    trials = [t for seed in range(10) for t in small_trials(env, 3, 0, seed)]
    with pytest.raises(ValueError, match="at least 5 pipelines, these are 3"):
        held_out_pipelines(gather(env, {"run": trials}))


def test_without_noise_everything_can_be_reached() -> None:
    measured = np.linspace(0.1, 0.9, 30)
    assert reachable(measured, Noise()) == Agreement(r2=1.0, tau=1.0, mae=0.0)


def test_true_accuracies_are_spread_less_than_measured_ones_by_the_noise() -> None:
    rng = np.random.default_rng(0)
    measured = 0.6 + 0.04 * rng.standard_normal(4000) + 0.03 * rng.standard_normal(4000)
    chance = true_accuracies(measured, Noise((0.5,), (0.03,)))
    assert chance.sum() == pytest.approx(1.0)
    truth = logistic(SCORES)
    mean = chance @ truth
    assert mean == pytest.approx(0.6, abs=0.003)
    assert (chance @ (truth - mean) ** 2) ** 0.5 == pytest.approx(0.04, rel=0.05)


def test_a_run_whose_pipelines_are_all_in_another_run_cannot_be_held_out() -> None:
    env = small_env()
    twice = gather(env, {"search": small_trials(env, 30), "other": small_trials(env, 30)})
    assert list(held_out_runs(twice)) == []
    assert len(twice.distinct) == len(twice) / 2


def test_a_run_that_evaluates_another_ones_pipelines_again_is_not_held_out_twice() -> None:
    env = small_env(0.03)
    runs = {"a": small_trials(env, 60), "b": small_trials(env, 60, env_seed=1), "c": small_trials(env, 60, 1)}
    assert [name for name, _, _ in held_out_runs(gather(env, runs))] == ["a", "c"]


def test_what_a_held_out_run_measured_under_any_seed_does_not_show_in_its_predictions(data: Data) -> None:
    of_run, of_pipelines = data.run == "random_search-env0", data.key[data.run == "random_search-env0"]
    changed = replace(data, accuracy=np.where(np.isin(data.key, of_pipelines), 0.5, data.accuracy))
    predicted = held_out(data, data[of_run])
    np.testing.assert_array_equal(held_out(changed, changed[of_run]), predicted)
    assert len(np.unique(predicted)) > len(predicted) / 2


def test_an_evaluation_that_two_runs_share_is_no_second_evaluation() -> None:
    env = small_env(0.1)
    shared = gather(env, {"one": small_trials(env, 30), "two": small_trials(env, 30)})
    assert second_evaluations(shared) is None
    assert shared.noise == Noise()


def test_what_was_evaluated_again_of_a_run_counts_only_if_it_is_most_of_it() -> None:
    env = small_env(0.1)
    runs = {
        "whole": small_trials(env, 60),
        "again": small_trials(env, 60, env_seed=1),
        "other": small_trials(env, 90, 1),
    }
    runs["other"] += [replace(trial, number=90 + trial.number) for trial in runs["whole"][:30]]
    data = gather(env, runs)
    of_whole, of_other = (
        second_evaluations(data.distinct, of=data.key[data.run == name]) for name in ("whole", "other")
    )
    assert of_whole == second_evaluations(data.distinct)
    assert of_other is None, "only thirty of its pipelines, which another run has"


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


def test_a_cost_that_is_not_finite_is_a_failed_trial_of_finite_columns() -> None:
    env = small_env()
    trials = small_trials(env, 30)
    trials[4] = replace(trials[4], result=replace(trials[4].result, flops=float("inf")))
    assert trials[4].result.failed
    assert np.isfinite(gather(env, {"run": trials}).table).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": 93.0}, r"accuracy is in \[0, 1\], but 93 in 1 of 30 evaluations"),
        ({"accuracy": float("nan")}, r"accuracy is in \[0, 1\], but nan"),
        ({"seconds": -1.0}, r"seconds is in \[0, inf\], but -1"),
    ],
)
def test_results_that_cannot_be_are_refused(change: dict[str, float], message: str) -> None:
    env = small_env()
    trials = small_trials(env, 30)
    impossible = copy.copy(trials[4].result)
    for name, value in change.items():
        object.__setattr__(impossible, name, value)
    trials[4] = replace(trials[4], result=impossible)
    with pytest.raises(ValueError, match=message):
        gather(env, {"run": trials})


def test_a_surrogate_keeps_how_images_change(data: Data) -> None:
    changes = assumed_changes()
    assert fit(small_env(), data).image_changes is None
    kept = fit(small_env(), replace(data, image_changes=changes)).image_changes
    assert kept == tuple(map(tuple, changes.tolist()))


def test_the_file_gives_back_the_surrogate(fitted: Surrogate, tmp_path: Path) -> None:
    fitted.save(tmp_path / "new" / "file.xz")
    loaded = load_surrogate(tmp_path / "new" / "file.xz")
    assert loaded == fitted
    assert loaded.digest == fitted.digest != replace(fitted, noise=Noise()).digest
    with_images = replace(fitted, image_changes=table_of_changes(assumed_changes().tolist()))
    with_images.save(tmp_path / "images.xz")
    assert load_surrogate(tmp_path / "images.xz") == with_images
    assert with_images.digest != fitted.digest
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
        (rewritten(lambda document: document.update(format="ma2ml surrogate 2")), "but 'ma2ml surrogate 2'"),
        (rewritten(lambda document: document.update(definition="another")), "does not match its digest"),
        (rewritten(lambda document: document["accuracy"]["weights"].pop()), "does not match its digest"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(fitted: Surrogate, tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "file.xz"
    fitted.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_surrogate(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("accuracy"),
        lambda body: body.update(more=1),
        lambda body: body.update(accuracy=["text"]),
        lambda body: body["accuracy"]["weights"].pop(),
        lambda body: body["accuracy"]["points"][0].pop(),
        lambda body: body["accuracy"]["terms"][0]["scale"].pop(),
        lambda body: body["accuracy"]["terms"][0]["columns"].__setitem__(0, 10_000),
        lambda body: body["accuracy"]["weights"].__setitem__(0, float("nan")),
        lambda body: body["accuracy"]["center"].__setitem__(0, float("inf")),
        lambda body: body["accuracy"]["points"][0].__setitem__(0, float("nan")),
        lambda body: body["accuracy"].update(mean=float("nan")),
        lambda body: body["accuracy"].update(terms=[]),
        lambda body: body["columns"].pop(),
        lambda body: body.update(image_changes=[[0.5]]),
        lambda body: body["noise"].update(more=[1.0]),
    ],
)
def test_a_file_of_another_content_with_its_own_digest_is_refused(fitted: Surrogate, tmp_path: Path, change) -> None:
    def rewrite(document: dict) -> None:
        document.pop("digest")
        given = document.pop("format")
        change(document)
        document.update(digest=model._digest(document), format=given)

    fitted.save(tmp_path / "file.xz")
    (tmp_path / "file.xz").write_bytes(rewritten(rewrite)((tmp_path / "file.xz").read_bytes()))
    with pytest.raises(ValueError, match="does not hold a surrogate"):
        load_surrogate(tmp_path / "file.xz")


def test_the_noise_of_a_logit_is_that_of_the_accuracy_by_its_slope(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple] = []
    monkeypatch.setattr("ma2ml_env.surrogate.fit.fit_gaussian_process", lambda *given: seen.append(given))
    fit_accuracy(data)
    ((_, target, noise, groups),) = seen
    np.testing.assert_allclose(target, logit(data.accuracy))
    by_slope = (logit(data.accuracy + 1e-6) - logit(data.accuracy)) / 1e-6
    np.testing.assert_allclose(noise(target), data.noise(data.accuracy) * by_slope, rtol=1e-3)
    assert noise(np.array([50.0])) == noise(logit(np.array([1.0]))), "beyond what a logit can be there is no more noise"
    own = [[data.columns[column].partition("_")[0] for column in group] for group in groups]
    assert [set(names) for names in own] == [{"aug"}, {"nas"}, {"hpo"}]


def test_predictions_are_rounded_so_that_the_batch_does_not_show(fitted: Surrogate) -> None:
    env = small_env()
    actions = random_actions(env, 300)
    columns = Features(env.search_spaces)(actions, np.full((2, 300), 1000))
    together, _ = fitted.predict(columns)
    alone = [fitted.predict({name: column[[row]] for name, column in columns.items()})[0].item() for row in range(300)]
    assert together.tolist() == alone == together.round(6).tolist()
