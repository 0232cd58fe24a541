"""Learners that fit perceptrons to all results: BANANAS, predictor-guided evolution, NARS, L2NAS."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ma2ml_agents.building_blocks.cost_encoder import CostEncoderPredictor, EncoderFitting, decisions_with_cost
from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.feasibility import Feasibility
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.losses import quantile_loss
from ma2ml_agents.building_blocks.predictors import Fitting, fit_predictor
from ma2ml_agents.learner import Actions, AgentSpec, UsesCost
from ma2ml_agents.learners.bananas import BANANAS
from ma2ml_agents.learners.l2nas import L2NAS
from ma2ml_agents.learners.nars import NARS
from ma2ml_agents.learners.predictor_evolution import PredictorEvolution
from ma2ml_agents.testing import batch_of, check_learner, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
BEST = np.array([3, 2, 1, 4, 0, 2, 5])
QUICK = {
    BANANAS: {"batch_size": 10, "warmup": 10, "members": 2, "epochs": 20},
    PredictorEvolution: {"batch_size": 10, "warmup": 10, "members": 2, "epochs": 20, "generations": 8},
    NARS: {"batch_size": 5, "first_round": 10, "pool_results": 20, "pool": 64, "epochs": 20, "pretraining": 64},
    L2NAS: {"warmup": 4, "steps": 4},
}
LEARNERS = list(QUICK)


def cost(actions: Actions) -> tuple[np.ndarray, np.ndarray]:
    """FLOPs and parameters that only the agent `nas` changes."""
    size = actions["nas"].sum(axis=1).astype(np.float64)
    return 1e6 * (1 + size), 1e4 * (1 + size)


def flops(joint: np.ndarray) -> np.ndarray:
    return cost(Layout(SPECS).split(joint))[0]


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_conforms(learner) -> None:
    check_learner(learner, budget=120, **QUICK[learner])


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_learns_a_small_game_and_repeats_nothing(learner) -> None:
    made = learner(SPECS, learner.Config(**QUICK[learner]), seed=0)
    proposals = np.concatenate(play(made, SPECS, updates=80 // made.batch_size))
    rewards = batch_of(SPECS, proposals).rewards
    assert rewards[-20:].mean() > rewards[:20].mean() + 0.1
    assert len({tuple(row) for row in proposals.tolist()}) == len(proposals)


@pytest.mark.parametrize("learner", LEARNERS)
def test_within_bounds_every_proposal_is_feasible(learner) -> None:
    made = learner(SPECS, learner.Config(**QUICK[learner]), seed=0)
    assert isinstance(made, UsesCost)
    made.use_cost(cost, max_flops=4e6)
    proposals = np.concatenate(play(made, SPECS, updates=40 // made.batch_size))
    assert (flops(proposals) <= 4e6).all(), "by chance two thirds would be"


def test_a_predictor_fits_an_additive_reward_and_depends_on_its_seed_alone() -> None:
    learner = BANANAS(SPECS, seed=0)
    joint = learner.layout.uniform(200, np.random.default_rng(0))
    rewards = batch_of(SPECS, joint).rewards
    features = one_hot(joint, learner.layout)
    fitted = [fit_predictor(features[:150], rewards[:150], Fitting(members=2), seed) for seed in (1, 1, 2)]
    means = [predictor.predict(features[150:])[0] for predictor in fitted]
    assert np.corrcoef(means[0], rewards[150:])[0, 1] > 0.95
    assert np.array_equal(means[0], means[1])
    assert not np.array_equal(means[0], means[2])


def test_the_spread_of_a_predictor_is_that_of_its_members() -> None:
    features = np.eye(6)
    predictor = fit_predictor(features, np.arange(6.0), Fitting(members=3, epochs=2), 0)
    with torch.no_grad():
        each = predictor.ensemble(torch.eye(6)).double().numpy() * predictor.spread + predictor.center
    mean, deviation = predictor.predict(features)
    np.testing.assert_allclose(mean, each.mean(axis=0))
    np.testing.assert_allclose(deviation, each.std(axis=0))


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_quantile_loss_is_minimal_at_the_quantile(quantile: float) -> None:
    rewards = torch.from_numpy(np.random.default_rng(0).normal(size=1001))
    candidates = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    losses = torch.stack([quantile_loss(value.expand(1001), rewards, quantile) for value in candidates])
    assert float(candidates[losses.argmin()]) == pytest.approx(float(rewards.quantile(quantile)), abs=0.01)


def test_the_output_of_the_actor_changes_when_the_best_do() -> None:
    learner = L2NAS(SPECS, L2NAS.Config(warmup=1000), seed=0)
    for row in learner.layout.uniform(3, np.random.default_rng(0)):
        learner.update(batch_of(SPECS, row[None]))
    before = learner.output(3)
    learner.update(batch_of(SPECS, BEST[None]))
    assert np.array_equal(before, learner.output(3))
    assert not np.array_equal(before, learner.output(4))


def test_parents_in_turn_are_mutated_until_there_are_enough_new_mutants() -> None:
    """A joint action has 3 + 2 + 1 + 4 + 2 + 5 = 17 one-decision mutants, so 20 need a second parent."""
    learner = BANANAS(SPECS, BANANAS.Config(in_turn=True, candidates=20), seed=0)
    ranked = np.stack([BEST, np.zeros_like(BEST)])
    found = learner._in_turn(ranked)
    away = (found[:, None] != ranked).sum(axis=2)
    first = away[:, 0] == 1
    assert len(found) == len(np.unique(found, axis=0)) == 20
    assert (away.min(axis=1) == 1).all()
    assert 0 < first.sum() <= 17
    assert first[: first.sum()].all(), "the best parent's come first"
    few = BANANAS(SPECS, BANANAS.Config(in_turn=True, candidates=3), seed=0)
    few.proposals.remember(few._in_turn(ranked))
    assert ((few._in_turn(ranked) != BEST).sum(axis=1) == 1).all(), "new ones of the best suffice"


@pytest.mark.parametrize("seed", range(3))
def test_the_parents_are_the_best_distinct_pipelines_of_all_generations(monkeypatch, seed: int) -> None:
    """The learner keeps the survivors of each generation; here everything seen is sorted again."""
    learner = PredictorEvolution(SPECS, PredictorEvolution.Config(population=20, generations=12), seed=seed)
    joint = learner.layout.uniform(40, learner.rng)
    predictor = fit_predictor(one_hot(joint, learner.layout), batch_of(SPECS, joint).rewards, Fitting(epochs=5), seed)
    breed, bred_from, children = learner._children, [], []

    def recorded(parents: np.ndarray, count: int) -> np.ndarray:
        bred_from.append(parents)
        children.append(breed(parents, count))
        return children[-1]

    monkeypatch.setattr(learner, "_children", recorded)
    found, scores = learner._evolve(predictor, joint[:20])
    for generation in range(1, 12):
        seen = np.unique(np.concatenate([joint[:20], *children[:generation]]), axis=0)
        best = seen[np.argsort(-learner._score(predictor, seen), kind="stable")[:5]]
        assert np.array_equal(bred_from[generation], best), "a quarter of 20"
    assert np.array_equal(found, np.unique(np.concatenate([joint[:20], *children]), axis=0))
    np.testing.assert_allclose(scores, learner._score(predictor, found), rtol=1e-5)


def test_only_the_agents_that_change_the_cost_are_read_by_the_encoder() -> None:
    learner = NARS(SPECS, NARS.Config(pretraining=16, pool=16), seed=0)
    learner.use_cost(cost)
    changes = decisions_with_cost(learner.feasibility, learner.layout, np.random.default_rng(0))
    assert changes.tolist() == [False, False, True, True, True, True, False]


def test_pretraining_learns_the_costs_and_freezing_keeps_the_encoder() -> None:
    learner = NARS(SPECS, seed=0)
    joint = learner.layout.uniform(600, np.random.default_rng(0))
    features, costs = one_hot(joint, learner.layout), np.stack(cost(learner.layout.split(joint)), axis=1)
    predictor = CostEncoderPredictor(np.ones(features.shape[1], dtype=bool), EncoderFitting(epochs=1), 0)
    assert predictor.pretrain(features, costs) < 0.2
    before = [parameter.clone() for parameter in predictor.encoder.parameters()]
    frozen = CostEncoderPredictor(np.ones(features.shape[1], dtype=bool), EncoderFitting(epochs=0), 0)
    frozen.load_state_dict(predictor.state_dict())
    frozen.fit(features, costs[:, 0])
    assert all(torch.equal(a, b) for a, b in zip(before, frozen.encoder.parameters(), strict=True)), "no epochs"
    predictor.pretrained = False
    predictor.fit(features, costs[:, 0])
    assert not all(torch.equal(a, b) for a, b in zip(before, predictor.encoder.parameters(), strict=True))


def test_where_nothing_is_feasible_the_cheapest_draws_are_taken() -> None:
    layout, rng = BANANAS(SPECS, seed=0).layout, np.random.default_rng(0)
    feasibility = Feasibility(layout, cost, max_flops=1.0)
    drawn = feasibility.draw(lambda rows: layout.uniform(rows, rng), 20)
    assert flops(drawn).mean() < flops(layout.uniform(1000, rng)).mean() / 2
    assert not Feasibility(layout, cost).bounded
    assert Feasibility(layout).excess(drawn).tolist() == [0.0] * 20


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="quantile"):
        L2NAS.Config(quantile=1.5)
    with pytest.raises(ValueError, match="population"):
        PredictorEvolution.Config(population=1)
    with pytest.raises(ValueError, match="pool"):
        NARS.Config(pool=0)
    with pytest.raises(ValueError, match="epochs"):
        BANANAS.Config(epochs=0)
