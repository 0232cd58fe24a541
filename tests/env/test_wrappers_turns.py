"""The AEC and joint variants, beyond what PettingZoo and Gymnasium test."""

from __future__ import annotations

import numpy as np
import pytest
from small_games import NVECS, four_agents, game

from ma2ml_env.testing import play, rollout
from ma2ml_env.wrappers import AECNativeEnv, AECTokensEnv, JointEnv

ACTION = {"aug": (1, 2, 3), "nas": (2, 1, 0, 4, 1), "hpo": (2,), "data": (3, 1)}


def turns(env):
    """Who moved, in order, until nobody was left."""
    env.reset()
    seen = []
    for agent in env.agent_iter():
        _, _, terminated, truncated, _ = env.last()
        seen.append((agent, terminated))
        env.step(None if terminated or truncated else env.action_space(agent).sample())
    return seen


def test_modules_move_one_after_the_other_and_then_leave():
    seen = turns(AECNativeEnv(four_agents()))
    assert seen == [(agent, ended) for ended in (False, True) for agent in ("aug", "nas", "hpo", "data")]


def test_tokens_are_all_decisions_of_a_module_before_those_of_the_next():
    seen = turns(AECTokensEnv(four_agents()))
    lengths = [len(NVECS[module]) for module in ("aug", "nas", "hpo", "data")]
    moved = [(f"agent_{i}", False) for i, length in enumerate(lengths) for _ in range(length)]
    assert seen == moved + [(f"agent_{i}", True) for i in range(4)]


def test_an_agent_learns_nothing_of_what_others_chose_before():
    one, other = AECTokensEnv(four_agents()), AECTokensEnv(four_agents())
    pair = zip(rollout(one, ACTION), rollout(other, {**ACTION, "aug": (0, 0, 0)}), strict=True)
    for ours, theirs in list(pair)[:-1]:
        np.testing.assert_equal(ours.observations["agent_2"], theirs.observations["agent_2"])
        np.testing.assert_equal(ours.infos["agent_2"], theirs.infos["agent_2"])


@pytest.mark.parametrize("wrapper", [AECNativeEnv, AECTokensEnv])
def test_all_are_paid_once_and_the_payment_is_collected_by_last(wrapper):
    env = wrapper(four_agents())
    reward = play(env, ACTION)
    collected = []
    for _ in env.possible_agents:
        _, paid, terminated, _, _ = env.last()
        assert terminated
        collected.append(paid)
        env.step(None)
    assert collected == [reward] * 4
    assert env.agents == []


@pytest.mark.parametrize("wrapper", [AECNativeEnv, AECTokensEnv])
def test_moves_outside_an_episode_are_refused(wrapper):
    env = wrapper(game())
    with pytest.raises(RuntimeError, match="no episode"):
        env.step(0)
    turns(env)
    with pytest.raises(RuntimeError, match="no episode"):
        env.step(0)


def test_a_move_that_does_not_fit_is_refused_at_once_and_may_be_made_again():
    env = AECNativeEnv(game())
    env.reset()
    with pytest.raises(ValueError, match=r"agent 'aug', decision 'd1': 3 is not in 0\.\.2"):
        env.step([0, 3, 0])
    assert env.agent_selection == "aug"
    env.step([0, 2, 0])
    assert env.agent_selection == "nas"


def test_the_joint_action_is_all_decisions_in_the_order_of_the_modules():
    env = JointEnv(four_agents())
    assert env.action_space.nvec.tolist() == [n for module in ACTION for n in NVECS[module]]
    env.reset(seed=5)
    observation, reward, terminated, truncated, info = env.step([c for module in ACTION for c in ACTION[module]])
    assert env.last_trial.pipeline.action == ACTION
    assert env.last_trial.seed == 5
    assert (reward, terminated, truncated) == (env.last_trial.reward, True, False)
    assert info["accuracy"] == env.last_trial.result.accuracy
    assert observation in env.observation_space


@pytest.mark.parametrize(
    ("action", "message"),
    [([0] * 8, "9 whole numbers"), ([[0] * 9], "9 whole numbers"), ([0.0] * 9, "whole numbers"), ([9] * 9, "not in")],
)
def test_a_joint_action_that_does_not_fit_is_refused(action, message):
    env = JointEnv(game())
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_a_joint_step_outside_an_episode_is_refused():
    env = JointEnv(game())
    with pytest.raises(RuntimeError, match="no episode"):
        env.step([0] * 9)
    play(env, ACTION)
    with pytest.raises(RuntimeError, match="no episode"):
        env.step([0] * 9)
