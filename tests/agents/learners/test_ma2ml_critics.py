"""MA2ML with each of its critics."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents import MA2ML, AgentSpec
from ma2ml_agents.learner import Recommender
from ma2ml_agents.testing import batch_of, check_learner, observations_of, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 3), 3), AgentSpec("hpo", (6,), 3))
GATED = (AgentSpec("all", (3, 4, 2, 2), 1, active=((), ((0, (1, 2)),), ((1, (2, 3)),), ())),)
CHEAP = {"critics": 1, "critic_hidden_size": 4, "critic_steps": 2, "actor_steps": 1, "warmup": 4, "batch_size": 3}


@pytest.mark.parametrize("specs", [SPECS, GATED])
def test_under_the_gaussian_process_policies_gather_on_what_is_good(specs) -> None:
    learner = MA2ML(specs, seed=0)
    play(learner, specs, updates=40)
    rewards = batch_of(specs, learner.sample(200)).rewards
    assert rewards.mean() > batch_of(specs, learner.layout.uniform(200, np.random.default_rng(0))).rewards.mean() + 0.2


def test_the_first_pipelines_cover_every_choice_even_if_all_are_asked_for_at_once() -> None:
    learner = MA2ML(SPECS, MA2ML.Config(warmup=6), seed=0)
    joint = learner.layout.join(learner.act(observations_of(SPECS, 6)))
    for d, size in enumerate(learner.layout.nvec):
        assert len(np.unique(joint[:, d])) == size


def test_no_pipeline_is_proposed_twice_until_all_are_known() -> None:
    specs = (AgentSpec("a", (3, 2), 1), AgentSpec("b", (4,), 1))
    joint = np.concatenate(play(MA2ML(specs, seed=0), specs, updates=24))
    assert len(np.unique(joint, axis=0)) == 24


@pytest.mark.parametrize("settings", [{}, {"critic": "ensemble", **CHEAP}])
def test_it_recommends_a_good_pipeline_that_was_evaluated(settings) -> None:
    learner = MA2ML(SPECS, MA2ML.Config(**settings), seed=0)
    assert isinstance(learner, Recommender)
    assert learner.recommend() is None
    known = np.concatenate(play(learner, SPECS, updates=15))
    recommended = learner.layout.join({agent: action[None] for agent, action in learner.recommend().items()})
    assert (known == recommended).all(axis=1).any()
    if not settings:
        assert batch_of(SPECS, recommended).rewards[0] >= np.quantile(batch_of(SPECS, known).rewards, 0.9)


@pytest.mark.parametrize("settings", [{"policy": "lstm"}, {"off_policy": False}])
def test_where_the_gaussian_process_does_not_fit_auto_takes_the_ensemble(settings) -> None:
    assert MA2ML.Config().gaussian_process
    assert not MA2ML.Config(**settings).gaussian_process
    with pytest.raises(ValueError, match="'gp' needs policy 'independent' and off_policy"):
        MA2ML.Config(critic="gp", **settings)


@pytest.mark.parametrize("kind", ["ranks", "quartiles", "top"])
@pytest.mark.parametrize("critic", ["gp", "ensemble"])
def test_either_critic_learns_from_any_standardization(critic, kind) -> None:
    settings = CHEAP if critic == "ensemble" else {}
    learner = MA2ML(SPECS, MA2ML.Config(critic=critic, standardization=kind, **settings), seed=0)
    joint = np.concatenate(play(learner, SPECS, updates=12))
    rewards = batch_of(SPECS, joint).rewards
    recommended = learner.layout.join({agent: action[None] for agent, action in learner.recommend().items()})
    assert batch_of(SPECS, recommended).rewards[0] > np.median(rewards)


def test_it_conforms_when_results_are_forgotten_and_agents_start_again() -> None:
    check_learner(MA2ML, improves=False, gp_limit=8, restart_after=5, warmup=4, pool=16, policy_scale=8)


def test_a_misspelled_critic_is_named_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="'ensemble'"):
        MA2ML.Config(critic="ensembel")


@pytest.mark.parametrize("settings", [{"single_agent": True}, {"decision_agents": True}, {"credit_assignment": False}])
def test_closed_forms_leave_nothing_to_credit(settings) -> None:
    rounds = [play(MA2ML(SPECS, MA2ML.Config(**more), seed=0), SPECS, updates=20) for more in ({}, settings)]
    assert np.array_equal(*rounds)


@pytest.mark.parametrize("settings", [{}, {"policy_scale": 1}, {"critic": "ensemble", **CHEAP}])
def test_no_proposal_exceeds_a_bound_on_cost(settings) -> None:
    """Only the last third of the choices of the first decision is cheap."""
    specs = (AgentSpec("a", (6, 4), 1), AgentSpec("b", (5, 3), 1))
    learner = MA2ML(specs, MA2ML.Config(**settings), seed=0)
    learner.use_cost(
        lambda actions: (np.where(actions["a"][:, 0] < 4, 9.0, 1.0), np.zeros(len(actions["a"]))), max_flops=5
    )
    joint = np.concatenate(play(learner, specs, updates=8))
    assert (joint[:, 0] >= 4).all()
    assert len(np.unique(joint, axis=0)) == len(joint)


@pytest.mark.parametrize(
    ("settings", "share", "distance"),
    [
        ({}, 0.5, True),
        ({"kernel": "product"}, 0.0, True),
        ({"kernel": "additive"}, 1.0, True),
        ({"ordered": False}, 0.5, False),
    ],
)
def test_the_kernel_may_lack_a_part(settings, share: float, distance: bool) -> None:
    specs = (AgentSpec("a", (6, 4, 5), 1, ordered=(True,) * 3), AgentSpec("b", (5, 3), 1))
    weights = MA2ML(specs, MA2ML.Config(**settings)).process.process.weights
    assert (weights.additive, weights.distance.any()) == (share, distance)
