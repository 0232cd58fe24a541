"""The variants that make one decision per step."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from small_games import NVECS, four_agents, game

from ma2ml_env.testing import play, rollout
from ma2ml_env.wrappers import AECTokensEnv, JointTokensEnv, TokensEnv

ACTION = {"aug": (1, 2, 3), "nas": (2, 1, 0, 4, 1), "hpo": (2,)}
MANY = [TokensEnv, AECTokensEnv]


@pytest.mark.parametrize("wrapper", MANY)
@pytest.mark.parametrize("mask", ["obs", "info", "none"])
def test_the_mask_is_in_one_place_at_most(wrapper, mask):
    env = wrapper(game(), mask=mask)
    space = env.observation_space("agent_0")
    assert isinstance(space, Dict if mask == "obs" else Box)
    for moment in rollout(env, ACTION):
        for agent in env.possible_agents:
            in_observation = isinstance(moment.observations[agent], dict)
            in_info = "action_mask" in moment.infos[agent]
            assert (in_observation, in_info) == (mask == "obs", mask == "info")


@pytest.mark.parametrize("mask", ["observation", "infos", "None", "", None])
@pytest.mark.parametrize("wrapper", MANY)
def test_an_unknown_mask_is_refused_with_the_nearest(wrapper, mask):
    with pytest.raises(ValueError, match="unknown mask"):
        wrapper(game(), mask=mask)


def test_every_mask_allows_exactly_the_choices_of_the_next_decision():
    moments = list(rollout(TokensEnv(game()), ACTION))
    assert len(moments) == 1 + max(len(nvec) for nvec in NVECS.values())
    for time, moment in enumerate(moments):
        for i, module in enumerate(("aug", "nas", "hpo")):
            legal = [*NVECS[module], 1, 1, 1, 1, 1][time] if time < len(NVECS[module]) else 1
            expected = [int(token < legal) for token in range(5)]
            assert moment.observations[f"agent_{i}"]["action_mask"].tolist() == expected


def test_an_agent_sees_its_role_its_position_and_its_own_choices():
    moments = list(rollout(TokensEnv(game(), mask="none"), ACTION))
    for time, moment in enumerate(moments):
        for i, module in enumerate(("aug", "nas", "hpo")):
            nvec, made = NVECS[module], min(time, len(NVECS[module]))
            role, position, history = np.split(moment.observations[f"agent_{i}"], [3, 9])
            assert role.tolist() == np.eye(3)[i].tolist()
            assert position.tolist() == np.eye(6)[made].tolist()
            expected = [(c + 1) / n for c, n in zip(ACTION[module][:made], nvec[:made], strict=True)]
            np.testing.assert_allclose(history, [*expected, *[0.0] * (5 - made)], rtol=1e-6)


def test_the_state_is_what_all_agents_see():
    for moment in rollout(TokensEnv(four_agents(), mask="none"), {**ACTION, "data": (3, 1)}):
        np.testing.assert_array_equal(moment.state, np.concatenate(list(moment.observations.values())))


@pytest.mark.parametrize("wrapper", MANY)
def test_illegal_tokens_are_folded_and_counted_for_the_agent_that_sent_them(wrapper):
    env = wrapper(game())
    legal = env.from_native(ACTION)
    shifted = {**legal, "agent_1": [t + n for t, n in zip(legal["agent_1"], NVECS["nas"], strict=True)]}
    assert env.to_native(shifted) == ACTION
    env.from_native = lambda action: shifted
    *_, last = rollout(env, ACTION)
    assert env.last_trial.pipeline.action == ACTION
    assert [info["illegal"] for info in last.infos.values()] == [0.0, 5.0, 0.0]
    env.reset()
    infos = env.infos if wrapper is AECTokensEnv else env.reset()[1]
    assert [info["illegal"] for info in infos.values()] == [0.0, 0.0, 0.0]


def test_what_an_agent_without_decisions_left_sends_changes_nothing_but_the_count():
    env = TokensEnv(game())
    tokens = {**env.from_native(ACTION), "agent_2": [2, 3, 0, -1, 4]}
    assert env.to_native(tokens) == ACTION
    env.from_native = lambda action: tokens
    *_, last = rollout(env, ACTION)
    assert env.last_trial.pipeline.action == ACTION
    assert last.infos["agent_2"]["illegal"] == 3.0


@pytest.mark.parametrize("wrapper", [*MANY, JointTokensEnv])
def test_too_few_tokens_describe_no_pipeline(wrapper):
    env = wrapper(game())
    tokens = env.from_native(ACTION)
    short = {**tokens, "agent_0": [0]} if isinstance(tokens, dict) else tokens[:-1]
    with pytest.raises(ValueError, match=r"3 decisions need as many tokens, not 1|9 whole numbers"):
        env.decode(short)


@pytest.mark.parametrize("bad", [0.0, [1, 2], "1", None])
def test_a_token_is_one_whole_number(bad):
    env = TokensEnv(game())
    env.reset()
    with pytest.raises(ValueError, match="one whole number"):
        env.step(dict.fromkeys(env.possible_agents, bad))
    joint = JointTokensEnv(game())
    joint.reset()
    with pytest.raises(ValueError, match="one whole number"):
        joint.step(bad)


def test_a_refused_step_changes_nothing():
    env = TokensEnv(game())
    env.reset()
    before = env.state()
    with pytest.raises(ValueError, match="one whole number"):
        env.step({"agent_0": 1, "agent_1": 1, "agent_2": "1"})
    with pytest.raises(ValueError, match=r"missing: \['agent_2'\]"):
        env.step({"agent_0": 1, "agent_1": 1})
    np.testing.assert_array_equal(env.state(), before)


def test_a_step_outside_an_episode_says_so():
    env, actions = TokensEnv(game()), dict.fromkeys(("agent_0", "agent_1", "agent_2"), 0)
    with pytest.raises(RuntimeError, match="no episode"):
        env.step(actions)
    play(env, ACTION)
    with pytest.raises(RuntimeError, match="no episode"):
        env.step(actions)


def test_a_reset_in_the_middle_starts_anew():
    env = TokensEnv(game())
    env.reset()
    env.step(dict.fromkeys(env.agents, 1))
    assert play(env, ACTION) == play(TokensEnv(game()), ACTION)


def test_what_was_returned_is_not_changed_later():
    env = TokensEnv(game())
    first, infos = env.reset()
    kept = {agent: {key: array.copy() for key, array in seen.items()} for agent, seen in first.items()}
    first_info = dict(infos["agent_0"])
    for _ in range(3):
        env.step(dict.fromkeys(env.agents, 4))
    np.testing.assert_equal(first, kept)
    assert infos["agent_0"] == first_info


def test_the_joint_tokens_are_all_decisions_in_order():
    env = JointTokensEnv(game())
    assert env.action_space == Discrete(5)
    nvec = [n for module in ("aug", "nas", "hpo") for n in NVECS[module]]
    env.reset()
    for n, token in zip(nvec, env.from_native(ACTION), strict=True):
        assert env.action_masks().tolist() == [t < n for t in range(5)]
        *_, done, _, _ = env.step(token)
    assert done
    assert env.action_masks().any()
    assert env.last_trial.pipeline.action == ACTION


def test_joint_tokens_are_folded_and_counted():
    env = JointTokensEnv(game())
    env.reset()
    for token in env.from_native(ACTION):
        *_, info = env.step(token + 60)  # 60 is a multiple of every number of choices
    assert env.last_trial.pipeline.action == ACTION
    assert info["illegal"] == 9.0
    with pytest.raises(RuntimeError, match="no episode"):
        env.step(0)


@pytest.mark.parametrize("wrapper", [*MANY, JointTokensEnv])
def test_an_episode_can_go_on_after_its_evaluator_failed_with_a_bug(wrapper):
    calls = []

    def fails_once(pipeline, *, seed):
        calls.append(pipeline.action)
        if len(calls) == 1:
            raise OSError("the disk is full")
        return game().evaluator(pipeline, seed=seed)

    env = wrapper(game(evaluator=fails_once))
    with pytest.raises(OSError, match="disk"):
        play(env, ACTION)
    assert play(env, ACTION) == play(wrapper(game()), ACTION)
    assert calls == [ACTION, ACTION]
