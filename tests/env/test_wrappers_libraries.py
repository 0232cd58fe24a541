"""PettingZoo's and Gymnasium's own tests, on small games and on every registered environment that is instant."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test, state_test
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec
from pettingzoo.utils.wrappers import OrderEnforcingWrapper, TerminateIllegalWrapper
from small_games import four_agents, game
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import ma2ml_env
from ma2ml_env.testing import play
from ma2ml_env.wrappers import JointEnv, JointTokensEnv, wrap, wrap_aec, wrap_joint

GAMES = {"one agent": lambda **o: game("hpo", **o), "three agents": game, "four agents": four_agents}
GAMES |= {
    env_id: lambda env_id=env_id, **o: ma2ml_env.make(env_id, **o)
    for env_id in ma2ml_env.env_ids()
    if "synthetic" in env_id
}
TOKENS = [("tokens", {"mask": mask}) for mask in ("obs", "info", "none")]
PARALLEL = [("native", {}), ("padded", {}), ("flat", {}), ("box", {}), *TOKENS]
AEC = [("native", {}), *TOKENS]
EXPECTED = (
    r".*(recommend agents to be named|probably should be gymnasium\.spaces\.box|not a NumPy array|single number"
    r"|different observation space|observation space value are equal|Observation is not).*"
)
parallel_variants = pytest.mark.parametrize(("variant", "options"), PARALLEL)
aec_variants = pytest.mark.parametrize(("variant", "options"), AEC)
joint_variants = pytest.mark.parametrize("variant", ["native", "tokens"])
games = pytest.mark.parametrize("name", GAMES)


@pytest.fixture(autouse=True)
def no_unexpected_warning():
    """A warning is an error, but for the ones that say what MultiDiscrete actions and module names are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=EXPECTED)
        yield


@games
@parallel_variants
def test_parallel_variants_pass_pettingzoo(name, variant, options):
    parallel_api_test(wrap(GAMES[name](), variant, **options), num_cycles=20)
    parallel_seed_test(lambda: wrap(GAMES[name](), variant, **options), num_cycles=20)


@games
@aec_variants
def test_aec_variants_pass_pettingzoo(name, variant, options):
    api_test(wrap_aec(GAMES[name](), variant, **options), num_cycles=60)
    seed_test(lambda: wrap_aec(GAMES[name](), variant, **options), num_cycles=60)


@games
@parallel_variants
def test_states_pass_pettingzoo(name, variant, options):
    parallel = wrap(GAMES[name](), variant, **options)
    state_test(parallel_to_aec(wrap(GAMES[name](), variant, **options)), parallel)
    if variant in ("native", "tokens"):
        state_test(wrap_aec(GAMES[name](), variant, **options), parallel)


@aec_variants
def test_rendering_passes_pettingzoo(variant, options):
    def make(render_mode):
        mode = None if render_mode == "human" else render_mode  # the test asks for "human" first, offered or not
        return wrap_aec(game("hpo", render_mode=mode), variant, **options)

    render_test(make)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
@pytest.mark.parametrize("wrapper", [wrap_joint, wrap_aec, wrap])
def test_a_picture_or_words_never_nothing(wrapper, mode):
    env = wrapper(game(render_mode=mode), "tokens")
    before = env.render()
    play(env, {"aug": (0, 0, 0), "nas": (0, 0, 0, 0, 0), "hpo": (1,)})
    after = env.render()
    assert type(before) is type(after) is (str if mode == "ansi" else np.ndarray)
    assert not np.array_equal(before, after)


def test_the_native_aec_variant_is_the_parallel_one_again_when_converted():
    parallel = aec_to_parallel(wrap_aec(game()))
    parallel_api_test(parallel, num_cycles=20)
    action = {"aug": [1, 2, 3], "nas": [2, 1, 0, 4, 1], "hpo": [2]}
    parallel.reset(seed=0)
    _, rewards, terminations, _, _ = parallel.step(action)
    assert rewards == dict.fromkeys(action, play(game(), action))
    assert all(terminations.values())


def test_aec_tokens_refuse_to_become_parallel():
    with pytest.raises(AssertionError, match="not generally safe"):
        aec_to_parallel(wrap_aec(game(), "tokens"))


@aec_variants
def test_pettingzoos_wrappers_fit_around_aec_variants(variant, options):
    wrapped = wrap_aec(game(), variant, **options)
    if options.get("mask") == "obs":
        wrapped = TerminateIllegalWrapper(wrapped, illegal_reward=-1)
    api_test(OrderEnforcingWrapper(wrapped), num_cycles=30)


def test_an_illegal_token_ends_the_game_where_pettingzoos_wrapper_says_so():
    env = TerminateIllegalWrapper(wrap_aec(game(), "tokens"), illegal_reward=-1.0)
    env.reset()
    env.step(4)
    assert env.terminations == dict.fromkeys(env.possible_agents, True)
    assert env.rewards["agent_0"] == -1.0


@games
@joint_variants
def test_joint_variants_pass_gymnasium_and_stable_baselines3(name, variant):
    env = wrap_joint(GAMES[name](), variant)
    env_checker.check_env(env, skip_render_check=True)
    sb3_check_env(wrap_joint(GAMES[name](), variant))


@pytest.mark.parametrize("wrapper", [JointEnv, JointTokensEnv])
def test_joint_variants_run_in_gymnasiums_vectors(wrapper):
    vector = gymnasium.vector.SyncVectorEnv([lambda: wrapper(game()), lambda: wrapper(game())])
    observations, _ = vector.reset(seed=0)
    assert observations.shape == (2, *wrapper(game()).observation_space.shape)
    vector.action_space.seed(0)
    ends = 0
    for _ in range(40):
        _, rewards, terminated, _, _ = vector.step(vector.action_space.sample())
        ends += int(terminated.sum())
        assert ((rewards > 0) <= terminated).all()
    assert ends > 0
    vector.close()
