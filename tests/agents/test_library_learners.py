"""The learners that wrap stable-baselines3, SMAC and Optuna do what those libraries do."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from smac import HyperparameterOptimizationFacade
from stable_baselines3 import A2C, PPO

import ma2ml_agents.learners.smac
import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.learner import AgentSpec, Batch
from ma2ml_agents.learners import learner_class
from ma2ml_agents.learners.nsga2 import NSGA2
from ma2ml_agents.learners.random_search import RandomSearch
from ma2ml_agents.learners.sb3 import SB3A2C, SB3PPO
from ma2ml_agents.learners.smac import SMAC
from ma2ml_agents.learners.tpe import TPE
from ma2ml_agents.testing import batch_of, check_learner, observations_of, play
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
SEED = 3
CHEAP_SMAC = {"warmup": 8, "challengers": 200, "local_searches": 2}
SMAC_IN_A_PROCESS = f"""
from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.smac import SMAC
from ma2ml_agents.testing import play
specs = (AgentSpec("a", (8,) * 6, 1),)
print(play(SMAC(specs, SMAC.Config(**{CHEAP_SMAC}), seed=0), specs, updates=24))
"""


def drive(learner, env, rollouts: int) -> None:
    """Let a learner of one agent, that sees the joint form's observation, play that form."""
    env.reset(seed=SEED)
    for _ in range(rollouts):
        seen = {"all": np.tile(env.reset()[0], (learner.batch_size, 1))}
        joint = learner.act(seen)["all"]
        rewards = []
        for action in joint:
            env.reset()
            rewards.append(env.step(action)[1])
        learner.update(Batch(seen, {"all": joint}, np.array(rewards), [Result(r, 1.0, 1.0, 0.0) for r in rewards]))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SB3PPO, lambda env: PPO("MlpPolicy", env, n_steps=10, batch_size=10, seed=SEED, device="cpu")),
        (SB3A2C, lambda env: A2C("MlpPolicy", env, seed=SEED, device="cpu")),
    ],
)
def test_the_policy_is_that_of_stable_baselines_learning_on_the_joint_environment(ours, theirs) -> None:
    env = ma2ml_env.make_joint("ma2ml/synthetic-v0")
    spec = AgentSpec("all", tuple(env.action_space.nvec.tolist()), env.observation_space.shape[0])
    learner = ours((spec,), seed=SEED)
    before = {name: value.clone() for name, value in learner.model.policy.state_dict().items()}
    drive(learner, env, rollouts=2)
    with torch.random.fork_rng():
        model = theirs(ma2ml_env.make_joint("ma2ml/synthetic-v0")).learn(2 * learner.batch_size)
    found = learner.model.policy.state_dict()
    for name, value in model.policy.state_dict().items():
        assert torch.equal(found[name], value), name
    assert any(not torch.equal(found[name], value) for name, value in before.items())


@pytest.mark.parametrize(("learner", "rate"), [(SB3PPO, 3e-3), (SB3A2C, 3e-3)])
def test_stable_baselines_learns_a_small_game(learner, rate: float) -> None:
    made = learner(SPECS, learner.Config(learning_rate=rate), seed=0)
    rewards = batch_of(SPECS, np.concatenate(play(made, SPECS, updates=250 // made.batch_size))).rewards
    assert rewards[-50:].mean() > rewards[:50].mean() + 0.1


def test_the_figures_of_stable_baselines_are_entropy_and_error() -> None:
    learner = SB3A2C(SPECS, SB3A2C.Config(learning_rate=0.0), seed=0)
    joint = learner.layout.uniform(5, np.random.default_rng(0))
    batch = batch_of(SPECS, joint)
    figures = learner.update(batch)
    uniform = sum(np.log(size) for spec in SPECS for size in spec.nvec)
    assert figures["entropy"] == pytest.approx(uniform, abs=0.01), "its first policy is nearly uniform"
    assert figures["value_loss"] == pytest.approx(np.mean(batch.rewards**2), rel=1e-4), "zeros are valued zero"


@pytest.mark.parametrize("name", ["sb3_ppo", "sb3_a2c"])
def test_stable_baselines_conforms(name: str) -> None:
    check_learner(learner_class(name), improves=False, batch_size=3)


def test_smac_conforms_where_its_forest_proposes() -> None:
    check_learner(SMAC, improves=False, **{**CHEAP_SMAC, "warmup": 3})


def test_smac_finds_the_best_pipeline_of_a_small_game() -> None:
    """Of 2160 pipelines, 32 are tried: by chance, one search in 68 finds it. What comes after the best explores."""
    found = []
    for seed in range(3):
        learner = SMAC(SPECS, SMAC.Config(warmup=8, challengers=200, local_searches=4, retrain_after=2), seed=seed)
        proposals = np.concatenate(play(learner, SPECS, updates=32))
        found.append(bool((proposals == learner.layout.nvec - 1).all(axis=1).any()))
    assert sum(found) >= 2


def test_a_cheaper_forest_proposes_what_the_facades_does(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SMAC.Config(warmup=4, challengers=100, local_searches=1)
    cheaper = play(SMAC(SPECS, settings, seed=1), SPECS, updates=13)
    monkeypatch.setattr(ma2ml_agents.learners.smac, "make_forest", HyperparameterOptimizationFacade.get_model)
    assert np.array_equal(cheaper, play(SMAC(SPECS, settings, seed=1), SPECS, updates=13))


def test_smac_repeats_nothing_before_all_is_proposed_and_then_goes_on() -> None:
    specs = (AgentSpec("a", (2, 3), 1), AgentSpec("b", (1, 2), 1))
    proposals = np.concatenate(play(SMAC(specs, SMAC.Config(**CHEAP_SMAC), seed=0), specs, updates=20, ahead=3))
    assert len({tuple(row) for row in proposals[:12].tolist()}) == 12, "2 x 3 x 1 x 2 pipelines"
    assert len(proposals) == 23


def test_smac_proposes_the_same_in_processes_that_hash_differently() -> None:
    first, second = (
        subprocess.run(
            [sys.executable, "-c", SMAC_IN_A_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    )
    assert first == second


def test_smac_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    play(SMAC(SPECS, SMAC.Config(**CHEAP_SMAC), seed=0), SPECS, updates=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize(("name", "settings"), [("smac", {**CHEAP_SMAC, "warmup": 2}), ("nsga2", {}), ("tpe", {})])
def test_a_warm_start_is_told_resumed_or_not(name: str, settings: dict, window: int, tmp_path: Path) -> None:
    env = small_env(lambda pipeline, *, seed: Result(sum(pipeline["all"].values()) / 12, 1.0, 1.0, 0.0))
    first = [{"all": (3, 3, 3, n)} for n in range(3)]

    def search(budget: int, **options):
        learner = make_learner(name, agent_specs(env), seed=0, **settings)
        return run_search(env, learner, budget, window=window, warm_start=first, **options)

    trials = search(14)
    assert [trial.pipeline.action for trial in trials[:3]] == first
    search(8, out=tmp_path)
    assert search(14, out=tmp_path) == trials


def after_good_ones(learner) -> np.ndarray:
    """What a learner proposes in a game of 512 pipelines, told of good ones, not the best, that it did not propose."""
    specs = (AgentSpec("a", (8, 8, 8), 1),)
    made = learner(specs)
    for choice in itertools.product((6, 7), (6, 7), range(7)):
        made.update(batch_of(specs, np.array([choice])))
    return np.concatenate(play(made, specs, updates=30))


def test_what_tpe_did_not_propose_is_data_too() -> None:
    proposals = after_good_ones(lambda specs: TPE(specs, TPE.Config(distinct=False)))
    assert (proposals / 7).mean() > 0.6, "0.5 by chance"


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_optuna_waits_for_no_proposal_that_was_replaced_by_a_new_one(name: str) -> None:
    specs = (AgentSpec("a", (3, 3, 2), 1),)
    learner = make_learner(name, specs, seed=0)
    proposals = np.concatenate(play(learner, specs, updates=16))
    assert len(np.unique(proposals, axis=0)) == len(proposals), "of 18 pipelines"
    states = Counter(trial.state.name for trial in learner._study.trials)
    assert states["COMPLETE"] == 16
    assert states["FAIL"] > 0, "replaced"
    assert states["RUNNING"] == len(proposals) - 16


def test_what_smac_did_not_propose_is_data_too() -> None:
    proposals = after_good_ones(lambda specs: SMAC(specs, SMAC.Config(**CHEAP_SMAC)))
    assert [7, 7, 7] in proposals.tolist(), "6 % by chance"


@dataclass(frozen=True)
class Front:
    """A game of 4 ** 6 pipelines, in which what is accurate costs more."""

    gain: np.ndarray
    cost: np.ndarray

    def __call__(self, pipeline, *, seed: int) -> Result:
        choices = np.array(list(pipeline["all"].values()))
        return self.score(choices)

    def score(self, choices: np.ndarray) -> Result:
        where = np.arange(len(choices)), choices
        return Result(float(self.gain[where].mean()), float(self.cost[where].sum()), 1.0, 0.0)

    def optimal(self) -> set[tuple[float, float]]:
        """Accuracy and FLOPs of all pipelines that none is at least as good as in both and better in one."""
        every = [self.score(np.array(choices)) for choices in itertools.product(range(4), repeat=6)]
        best, front = -1.0, set()
        for result in sorted(every, key=lambda result: (result.flops, -result.accuracy)):
            if result.accuracy > best:
                best = result.accuracy
                front.add((result.accuracy, result.flops))
        return front


def small_env(evaluator: Callable, decisions: int = 4) -> AutoMLEnv:
    space = SearchSpace(tuple(Decision(f"d{i}", range(4)) for i in range(decisions)), dict)
    return AutoMLEnv({"all": space}, evaluator, lambda result: result.accuracy)


def test_nsga2_finds_more_of_the_pareto_front_than_random_search() -> None:
    rng = np.random.default_rng(0)
    game = Front(np.sort(rng.random((6, 4))), np.sort(rng.integers(1, 50, size=(6, 4))).astype(float))
    env, front = small_env(game, decisions=6), game.optimal()

    def share(learner) -> float:
        trials = run_search(env, learner, 400)
        return len(front & {(trial.result.accuracy, trial.result.flops) for trial in trials}) / len(front)

    settings = NSGA2.Config(population=20, objectives="accuracy_and_flops", distinct=False)
    specs, seeds = agent_specs(env), range(3)
    both = [share(NSGA2(specs, settings, seed=seed)) for seed in seeds]
    by_chance = [share(RandomSearch(specs, seed=seed)) for seed in seeds]
    reward_alone = [share(NSGA2(specs, NSGA2.Config(population=20, distinct=False), seed=seed)) for seed in seeds]
    assert min(both) > max(by_chance)
    assert np.mean(both) > np.mean(reward_alone)


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (lambda: NSGA2.Config(objectives="flops"), "accuracy_and_flops"),
        (lambda: SB3PPO.Config(batch_size=1), "at least 2"),
        (lambda: SB3A2C.Config(learning_rate=-1.0), "learning_rate"),
        (lambda: SMAC.Config(warmup=0), "warmup"),
    ],
)
def test_settings_out_of_range_are_named(config, setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        config()


@pytest.mark.parametrize("package", ["smac", "ConfigSpace"])
def test_the_extra_that_smac_needs_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ma2ml_agents.learners.smac")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[smac\]'"):
        learner_class("smac")


def test_nothing_is_drawn_from_the_seed_of_the_process() -> None:
    """Two learners that take turns do not disturb one another."""
    alone = play(SB3A2C(SPECS, seed=5), SPECS, updates=2)
    one, other = SB3A2C(SPECS, seed=5), SB3A2C(SPECS, seed=6)
    for expected in alone:
        joint = np.concatenate(list(one.act(observations_of(SPECS, 5)).values()), axis=1)
        other.act(observations_of(SPECS, 2))
        assert np.array_equal(joint, expected)
        one.update(batch_of(SPECS, joint))


@pytest.mark.parametrize("name", ["tpe", "nsga2", "smac", "sb3_ppo", "sb3_a2c"])
def test_seeds_larger_than_a_librarys_own_are_accepted_and_repeatable(name: str) -> None:
    seen = observations_of(SPECS, 1)
    first, again = (make_learner(name, SPECS, seed=2**63 - 1).act(seen) for _ in range(2))
    np.testing.assert_equal(first, again)
