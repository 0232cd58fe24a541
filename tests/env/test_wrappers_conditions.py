"""The variants on search spaces in which decisions are active under conditions, by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.testing import check_env, play, rollout, variants_of
from ma2ml_env.wrappers import AECTokensEnv, FlatEnv, JointTokensEnv, TokensEnv, draw_codebook

LAYERS = SearchSpace(
    [
        Decision("kind", ("pool", "conv")),
        Decision("size", (1, 3, 5), active={"kind": ("conv",)}),
        Decision("dilation", (1, 2), active={"size": (3, 5)}),
    ],
    dict,
)
STEPS = SearchSpace([Decision("decay", (False, True)), Decision("rate", range(4), active={"decay": (True,)})], dict)
SPACES = {"nas": LAYERS, "hpo": STEPS}
NAS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 2, 0), (1, 2, 1)]
HPO = [(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)]
LEGAL = {
    **{action: [2, 3 if action[0] else 1, 2 if action[1] else 1] for action in NAS},
    **{action: [2, 4 if action[0] else 1] for action in HPO},
}
EVERY = [{"nas": nas, "hpo": hpo} for nas, hpo in itertools.product(NAS, HPO)]


def score(pipeline, *, seed):
    return Result(np.random.default_rng(pipeline.random_seed(seed)).random(), 1.0, 1.0, 0.0)


def game():
    return AutoMLEnv(SPACES, score, lambda result: result.accuracy, name="ma2ml/conditional-v0")


def prefixes(env, begun=()):
    """All sequences of legal tokens of a joint episode, found by trying."""
    env.reset()
    done = False
    for token in begun:
        _, _, done, _, _ = env.step(token)
    if done:
        yield begun, env.last_trial.pipeline.action
        return
    for token in np.flatnonzero(env.action_masks()).tolist():
        yield from prefixes(env, (*begun, token))


def test_the_legal_tokens_of_the_joint_variant_are_every_pipeline_once_in_episodes_of_one_length():
    found = list(prefixes(JointTokensEnv(game())))
    assert [action for _, action in found] == EVERY
    assert {len(tokens) for tokens, _ in found} == {5}


@pytest.mark.parametrize("wrapper", [TokensEnv, AECTokensEnv])
@pytest.mark.parametrize("action", EVERY, ids=str)
def test_an_inactive_decision_has_one_legal_token_and_episodes_keep_their_length(wrapper, action):
    env = wrapper(game())
    moments = list(rollout(env, action))
    masks = {agent: [m.observations[agent]["action_mask"] for m in moments[:-1]] for agent in env.possible_agents}
    if wrapper is AECTokensEnv:  # agents wait for each other; a mask is read where its decision is made
        assert len(moments) == 1 + 5
        masks = {"agent_0": masks["agent_0"][:3], "agent_1": masks["agent_1"][3:]}
    else:
        assert len(moments) == 1 + 3
    for agent, module in env.module_of.items():
        legal = [*LEGAL[action[module]], 1][: len(masks[agent])]
        assert [mask.tolist() for mask in masks[agent]] == [[int(t < n) for t in range(4)] for n in legal]
    assert env.last_trial.pipeline.action == action
    assert {info["illegal"] for info in moments[-1].infos.values()} == {0.0}


def test_every_other_token_for_an_inactive_decision_is_folded_and_counted():
    for tokens in itertools.product(range(4), repeat=3):
        env = TokensEnv(game())
        env.reset()
        for token in tokens:
            observations, _, _, _, infos = env.step({"agent_0": token, "agent_1": 0})
        kind, size, dilation = (token % n for token, n in zip(tokens, (2, 3, 2), strict=True))
        expected = (kind, size if kind else 0, dilation if kind and size else 0)
        assert env.last_trial.pipeline.action["nas"] == expected
        assert infos["agent_0"]["illegal"] == sum(t != c for t, c in zip(tokens, expected, strict=True))
        history = observations["agent_0"]["observation"][-3:]
        active = [True, kind > 0, kind > 0 and size > 0]
        seen = [(c + 1) / n * on for c, n, on in zip(expected, (2, 3, 2), active, strict=True)]
        np.testing.assert_allclose(history, seen, rtol=1e-6)


def test_what_a_whole_episodes_tokens_stand_for_is_what_they_are_evaluated_as():
    env = JointTokensEnv(game())
    for tokens in itertools.product(range(2), range(3), range(2), range(2), range(4)):
        env.reset()
        for token in tokens:
            env.step(token)
        assert env.decode(tokens) == env.last_trial.pipeline


def test_actions_that_differ_in_inactive_decisions_are_paid_the_same_in_every_variant():
    makers = variants_of(game(), EVERY)
    del makers["flat"]  # its codebook holds one of them
    for rows in itertools.product(range(2), range(3), range(2)):
        expected = play(game(), {"nas": LAYERS.validate(rows), "hpo": (1, 2)})
        assert {play(make(), {"nas": rows, "hpo": (1, 2)}) for make in makers.values()} == {expected}


def test_a_conditional_environment_keeps_the_conventions():
    check_env(game())


def test_a_codebook_holds_no_action_twice():
    assert FlatEnv(game()).codebook == {"nas": tuple(NAS), "hpo": tuple(HPO)}
    for size in range(1, 6):
        drawn = draw_codebook(SPACES, size)
        assert all(len(set(actions)) == len(actions) == size for actions in drawn.values())
        assert set(drawn["nas"]) <= set(NAS)
        assert draw_codebook(SPACES, 5)["nas"][:size] == drawn["nas"]


def test_a_codebook_is_filled_up_where_conditions_make_an_action_rarer_than_one_in_a_billion():
    depth = 40
    links = [Decision("d0", (0, 1)), *(Decision(f"d{i}", (0, 1), active={f"d{i - 1}": (1,)}) for i in range(1, depth))]
    chain = SearchSpace(links, dict)
    assert chain.size == depth + 1
    every = {tuple(int(i < length) for i in range(depth)) for length in range(depth + 1)}
    (drawn,) = draw_codebook({"nas": chain}, depth).values()
    assert len(set(drawn)) == depth
    assert set(drawn) < every


def test_the_same_action_in_two_ways_is_twice_in_a_codebook():
    with pytest.raises(ValueError, match="twice"):
        FlatEnv(game(), codebook={"nas": [(0, 0, 0), (0, 2, 1)], "hpo": HPO})
