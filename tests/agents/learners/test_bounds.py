"""Bounds on cost: every learner whose proposals are ours stays within them, and goes on exactly after a resume."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, learner_names, make_learner, run_search
from ma2ml_agents.building_blocks.feasibility import Feasibility
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.learner import Actions, AgentSpec, UsesCost
from ma2ml_agents.search import CostBounds
from ma2ml_agents.testing import play

ENV = ma2ml_env.make("ma2ml/fcnet-slice-v0")
"""Instant, with 9 decisions, 62,208 pipelines and their costs."""
SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
BOUND = 4e6
QUICK = {
    "bananas": {"batch_size": 10, "warmup": 10, "members": 2, "epochs": 5},
    "l2nas": {"warmup": 4, "steps": 4},
    "ma2ml_on_policy": {"critic_steps": 4},
    "nars": {"batch_size": 5, "first_round": 10, "pool_results": 20, "pool": 64, "epochs": 5, "pretraining": 64},
    "predictor_evolution": {"batch_size": 10, "warmup": 10, "members": 2, "epochs": 5, "generations": 4},
    "rmi_forest": {"trees": 10},
    "smac": {"warmup": 8, "challengers": 100, "local_searches": 2},
}
OURS = [name for name in learner_names() if not name.startswith("sb3_")]
"""All but those of stable-baselines3, whose own policy samples."""
FORMS = [(name, QUICK.get(name, {})) for name in OURS] + [
    ("ma2ml", {"critic": "ensemble", "actor_steps": 4, "critic_steps": 4}),
    ("ma2ml", {"off_policy": False, "critic_steps": 4}),
    ("ppo", {"policy": "lstm"}),
    *((name, {"distinct": False}) for name in ("cmaes", "migo", "one_plus_one", "ppo", "regularized_evolution", "tpe")),
]


def median_flops(count: int = 201) -> float:
    rng = np.random.default_rng(0)
    drawn = [{agent: space.sample(rng) for agent, space in ENV.search_spaces.items()} for _ in range(count)]
    return float(np.median([ENV.cost(ENV.decode(action)).flops for action in drawn]))


def cost(actions: Actions) -> tuple[np.ndarray, np.ndarray]:
    """FLOPs and parameters that only the agent `nas` changes."""
    size = actions["nas"].sum(axis=1).astype(np.float64)
    return 1e6 * (1 + size), 1e4 * (1 + size)


@pytest.mark.parametrize(("name", "settings"), FORMS)
def test_within_a_bound_at_the_median_every_proposal_is_feasible(name: str, settings: dict) -> None:
    learner = make_learner(name, agent_specs(ENV), seed=0, **settings)
    bound = median_flops()
    trials = run_search(ENV, learner, 40, bounds=CostBounds(max_flops=bound))
    assert max(trial.result.flops for trial in trials) <= bound, "by chance half of them would be above"
    assert not any(trial.result.infeasible for trial in trials)


@pytest.mark.parametrize(("name", "settings"), FORMS)
def test_within_bounds_a_restored_learner_goes_on_as_if_uninterrupted(name: str, settings: dict) -> None:
    first, second = (make_learner(name, SPECS, seed=seed, **settings) for seed in (0, 1))
    for learner in (first, second):
        assert isinstance(learner, UsesCost)
        learner.use_cost(cost, max_flops=BOUND)
    updates = max(1, 20 // first.batch_size)
    play(first, SPECS, updates)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    after = [np.concatenate(play(learner, SPECS, updates, ahead=2)) for learner in (first, second)]
    assert np.array_equal(*after)
    assert (cost(Layout(SPECS).split(after[0]))[0] <= BOUND).all()


def test_random_search_within_bounds_draws_every_feasible_pipeline_equally_often() -> None:
    specs = (AgentSpec("nas", (3, 3), 1),)
    learner = make_learner("random_search", specs, seed=0)
    learner.use_cost(cost, max_flops=3e6)
    drawn = learner.act({"nas": np.zeros((6000, 1))})["nas"]
    pipelines, counts = np.unique(drawn, axis=0, return_counts=True)
    assert pipelines.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [2, 0]], "those of a sum of at most 2"
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(6000 / 6 * 5 / 6)


def test_a_known_feasible_pipeline_is_preferred_to_an_infeasible_one() -> None:
    layout = Layout((AgentSpec("nas", (3, 3), 1),))
    rng, feasibility = np.random.default_rng(0), Feasibility(layout, cost, max_flops=2e6)
    proposals = NewProposals(layout)
    proposals.restrict(feasibility.admits)
    drawn = proposals.draw(lambda rows: np.full((rows, 2), 2), 20, rng.random)
    assert feasibility.admits(drawn).all()
    first = {tuple(row) for row in drawn[:3].tolist()}
    assert first == {(0, 0), (0, 1), (1, 0)}, "all that is feasible comes before a repetition"


def test_fresh_draws_come_before_neighbors() -> None:
    layout = Layout((AgentSpec("a", (2,) * 10, 1),))
    rng = np.random.default_rng(0)
    source = np.eye(10, dtype=np.int64)
    proposals = NewProposals(layout, redraws=200)
    drawn = proposals.draw(lambda rows: source[rng.integers(10, size=rows)], 10, rng.random)
    assert sorted(drawn.tolist()) == sorted(source.tolist()), "each of the ten once, though a neighbor is new, too"
