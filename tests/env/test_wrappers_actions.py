"""What an action means in the variants with one move: padded, flat, box; and what a codebook is."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from small_games import NVECS, four_agents, game

from ma2ml_env import Decision, SearchSpace
from ma2ml_env.testing import play
from ma2ml_env.trials import top_k
from ma2ml_env.wrappers import AECTokensEnv, BoxEnv, FlatEnv, PaddedEnv, TokensEnv, codebook_of, draw_codebook

WRAPPERS = {"padded": PaddedEnv, "flat": FlatEnv, "box": BoxEnv}


@pytest.mark.parametrize("wrapper", WRAPPERS.values())
@pytest.mark.parametrize("make", [game, four_agents])
def test_what_an_action_stands_for_is_what_is_evaluated(wrapper, make):
    env = wrapper(make())
    for seed in range(5):
        for i, agent in enumerate(env.possible_agents):
            env.action_space(agent).seed(10 * seed + i)
        actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}
        env.reset()
        env.step(actions)
        assert env.last_trial.pipeline.action == env.to_native(actions) == env.decode(actions).action
        assert env.to_native(env.from_native(env.to_native(actions))) == env.to_native(actions)


def test_padded_spaces_are_as_long_and_wide_as_any_module_needs():
    env = PaddedEnv(game())
    assert {tuple(env.action_space(agent).nvec) for agent in env.possible_agents} == {(3, 3, 4, 5, 2)}


def test_padded_numbers_are_folded_and_the_rest_is_ignored():
    env = PaddedEnv(game())
    expected = {"aug": (7 % 2, 8 % 3, 9 % 4), "nas": (7 % 3, 8 % 2, 9 % 2, -1 % 5, 100 % 2), "hpo": (7 % 3,)}
    assert env.to_native({agent: [7, 8, 9, -1, 100] for agent in env.possible_agents}) == expected


def test_padding_makes_some_choices_twice_as_likely():
    env = PaddedEnv(game("aug", "hpo"))
    grid = itertools.product(*(range(n) for n in env.action_space("agent_0").nvec))
    first = Counter(env.to_native({"agent_0": a, "agent_1": a})["aug"][0] for a in grid)
    assert first[0] == 2 * first[1]


def test_box_cuts_the_interval_into_equal_parts():
    env = BoxEnv(game("hpo"))
    grid = np.linspace(0.0, 1.0, 301)[:-1]
    chosen = Counter(env.to_native({"hpo": [x]})["hpo"][0] for x in grid)
    assert chosen == {0: 100, 1: 100, 2: 100}


@pytest.mark.parametrize(("x", "choice"), [(0.0, 0), (1.0, 2), (-3.0, 0), (7, 2), (np.inf, 2), (np.float32(0.4), 1)])
def test_box_clips_and_takes_any_number(x, choice):
    env = BoxEnv(game("hpo"))
    for action in (x, [x], np.array(x), np.array([x])):
        assert env.to_native({"hpo": action}) == {"hpo": (choice,)}


def test_equal_boxes_have_one_space_as_long_as_the_longest_module():
    env = BoxEnv(game(), equal=True)
    assert env.possible_agents == ["agent_0", "agent_1", "agent_2"]
    assert {env.action_space(agent).shape for agent in env.possible_agents} == {(5,)}
    assert env.action_space("agent_0") == env.action_space("agent_1") == env.action_space("agent_2")


def test_equal_boxes_mean_what_unequal_ones_do_and_ignore_the_rest():
    equal, native = BoxEnv(game(), equal=True), BoxEnv(game())
    rng = np.random.default_rng(0)
    for _ in range(50):
        numbers = rng.uniform(-0.2, 1.2, size=(3, 5))
        of_modules = zip(native.possible_agents, numbers, strict=True)
        expected = native.to_native({module: row[: len(NVECS[module])] for module, row in of_modules})
        assert equal.to_native(dict(zip(equal.possible_agents, numbers, strict=True))) == expected


@pytest.mark.parametrize("action", ["no action", [0.5] * 7])
@pytest.mark.parametrize("make", [PaddedEnv, FlatEnv, lambda env: BoxEnv(env, equal=True), TokensEnv, AECTokensEnv])
def test_numbered_agents_are_named_as_the_library_knows_them(make, action):
    env = make(game())
    env.reset()
    agent = env.possible_agents[0]
    with pytest.raises(ValueError, match="agent 'agent_0'") as refused:
        env.step(action if isinstance(env, AECTokensEnv) else {**dict.fromkeys(env.possible_agents, 0), agent: action})
    with pytest.raises(ValueError, match="agent 'agent_0'"):
        env.to_native({**dict.fromkeys(env.possible_agents, 0), agent: action})
    assert "aug" not in str(refused.value)


@pytest.mark.parametrize(
    ("wrapper", "action"),
    [
        (PaddedEnv, [0, 0]),
        (PaddedEnv, [0.0] * 5),
        (PaddedEnv, "no action"),
        (PaddedEnv, None),
        (FlatEnv, [1, 2]),
        (FlatEnv, 0.5),
        (FlatEnv, None),
        (BoxEnv, [0.5] * 4),
        (BoxEnv, [np.nan] * 5),
        (BoxEnv, "no action"),
        (BoxEnv, None),
    ],
)
def test_an_action_of_wrong_shape_or_type_is_refused(wrapper, action):
    env = wrapper(game())
    env.reset()
    before = env.agents
    with pytest.raises(ValueError, match="an action is"):
        env.step(dict.fromkeys(env.possible_agents, action))
    assert env.agents == before
    assert env.last_trial is None


@pytest.mark.parametrize("wrapper", WRAPPERS.values())
def test_a_missing_or_unknown_agent_is_named(wrapper):
    env = wrapper(game())
    env.reset()
    good = {agent: env.action_space(agent).sample() for agent in env.possible_agents}
    first = env.possible_agents[0]
    with pytest.raises(ValueError, match=rf"missing: \['{first}'\], unknown: \['nobody'\]"):
        env.step({**{agent: good[agent] for agent in env.possible_agents[1:]}, "nobody": 0})
    with pytest.raises(ValueError, match="not a list"):
        env.step(list(good.values()))


@pytest.mark.parametrize("wrapper", WRAPPERS.values())
def test_a_step_before_reset_or_after_the_end_says_so(wrapper):
    env = wrapper(game())
    actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        env.step(actions)
    env.reset()
    env.step(actions)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        env.step(actions)


def big(name="big"):
    return {name: SearchSpace([Decision(f"d{i}", range(16)) for i in range(30)], dict)}


def test_a_codebook_is_drawn_the_same_every_time_without_duplicates():
    drawn = draw_codebook(big(), 200)
    assert drawn == draw_codebook(big(), 200)
    assert len(set(drawn["big"])) == 200
    assert draw_codebook(big("other"), 200)["other"] != drawn["big"]


def test_a_longer_codebook_begins_with_the_shorter():
    assert draw_codebook(big(), 300)["big"][:100] == draw_codebook(big(), 100)["big"]


def test_a_codebook_draws_every_choice_equally_often():
    actions = np.array(draw_codebook(big(), 2000)["big"])
    counts = np.stack([np.bincount(column, minlength=16) for column in actions.T])
    chi_squared = ((counts - 125) ** 2 / 125).sum()
    degrees = 30 * 15
    assert abs(chi_squared - degrees) < 4 * np.sqrt(2 * degrees)


def test_a_module_with_fewer_actions_has_all_of_them_and_the_index_wraps():
    env = FlatEnv(game("nas", "hpo"), codebook_size=50)
    assert env.codebook["hpo"] == ((0,), (1,), (2,))
    assert env.action_space("agent_1").n == env.action_space("agent_0").n == 50
    assert env.to_native({"agent_0": 53, "agent_1": 49})["hpo"] == (49 % 3,)
    assert env.to_native({"agent_0": 53, "agent_1": 0})["nas"] == env.codebook["nas"][53 % 50]


def test_without_a_size_all_actions_of_a_small_game_are_reachable():
    env = FlatEnv(game())
    for agent, module in env.module_of.items():
        everything = set(itertools.product(*(range(n) for n in NVECS[module])))
        assert set(env.codebook[module]) == everything
        reached = {env.to_native({**dict.fromkeys(env.possible_agents, 0), agent: i})[module] for i in range(120)}
        assert reached == everything


@pytest.mark.parametrize("size", [0, -1, 121])
def test_a_codebook_larger_than_every_module_or_empty_is_refused(size):
    with pytest.raises(ValueError, match=f"codebook_size is 1 to 120, .* not {size}"):
        FlatEnv(game(), codebook_size=size)


def test_a_codebook_can_be_the_best_pipelines_of_an_earlier_run():
    trials = []
    env = game(record=trials.append)
    rng = np.random.default_rng(0)
    for _ in range(20):
        play(env, {agent: space.sample(rng) for agent, space in env.search_spaces.items()})
    best = top_k(trials, 5)
    flat = FlatEnv(game(), codebook=codebook_of(trial.pipeline for trial in best))
    assert [play(flat, trial.pipeline.action) for trial in best] == [trial.reward for trial in best]
    with pytest.raises(ValueError, match="does not hold"):
        flat.from_native({**best[0].pipeline.action, "aug": next(a for a in ALL_AUG if a not in flat.codebook["aug"])})


ALL_AUG = list(itertools.product(*(range(n) for n in NVECS["aug"])))
GOOD = {"aug": [(0, 0, 0)], "nas": [(0, 0, 0, 0, 0)], "hpo": [(0,)]}


@pytest.mark.parametrize(
    ("codebook", "message"),
    [
        ({**GOOD, "aug": [(0, 0)]}, "'aug, codebook'.*3 whole numbers"),
        ({**GOOD, "aug": [(0, 0, 4)]}, "'aug, codebook', decision 'd2': 4 is not in 0..3"),
        ({**GOOD, "aug": [(0, 0, 1), (0, 0, 1)]}, "twice"),
        ({**GOOD, "aug": []}, "empty"),
        ({"aug": GOOD["aug"]}, "maps each of"),
        ({**GOOD, "data": [(0, 0)]}, "maps each of"),
        ([(0, 0, 0)], "maps each of"),
    ],
)
def test_a_codebook_that_does_not_fit_is_refused(codebook, message):
    with pytest.raises(ValueError, match=message):
        FlatEnv(game(), codebook=codebook)


def test_a_codebook_and_a_size_exclude_one_another():
    with pytest.raises(ValueError, match="not both"):
        FlatEnv(game(), codebook_size=1, codebook=GOOD)
