"""Variants by name: `wrap`, `make` and its siblings, and the registries of Gymnasium and PettingZoo."""

from __future__ import annotations

import sys
import typing

import gymnasium
import numpy as np
import pettingzoo
import pytest
from pettingzoo.utils.wrappers import OrderEnforcingWrapper
from small_games import game

import ma2ml_env
from ma2ml_env import AutoMLEnv, registry
from ma2ml_env.registration import joint_ids
from ma2ml_env.testing import play
from ma2ml_env.wrappers import (
    AEC,
    JOINT,
    PARALLEL,
    AECVariant,
    JointVariant,
    ParallelVariant,
    variant_options,
    wrap,
    wrap_aec,
    wrap_joint,
)  # fmt: skip

INSTANT = "ma2ml/synthetic-v0"
FAMILIES = [(wrap, PARALLEL), (wrap_aec, AEC), (wrap_joint, JOINT)]
VARIANTS = [(wrapper, variant, kind) for wrapper, family in FAMILIES for variant, kind in family.items()]


@pytest.mark.parametrize(("wrapper", "variant", "kind"), VARIANTS)
def test_a_name_gives_its_wrapper(wrapper, variant, kind):
    env = game()
    made = wrapper(env, variant)
    assert type(made) is kind
    assert made.env is env


def test_the_native_variant_is_the_environment_itself():
    env = game()
    assert wrap(env) is wrap(env, "native") is env


@pytest.mark.parametrize("wrapper", [wrap, wrap_aec, wrap_joint])
def test_an_unknown_variant_is_answered_with_the_nearest(wrapper):
    with pytest.raises(ValueError, match="unknown variant 'token'; did you mean 'tokens'"):
        wrapper(game(), "token")


@pytest.mark.parametrize(("wrapper", "variant", "kind"), [*VARIANTS, (wrap, "native", AutoMLEnv)])
def test_an_option_of_another_variant_is_refused(wrapper, variant, kind):
    for option in variant_options() - set(getattr(kind, "options", ())):
        with pytest.raises(ValueError, match=f"the variant '{variant}' has no option '{option}'"):
            wrapper(game(), variant, **{option: "obs"})


@pytest.mark.parametrize("foreign", [gymnasium.make("CartPole-v1"), None, wrap(game(), "padded"), wrap_aec(game())])
@pytest.mark.parametrize(("wrapper", "variant", "kind"), [*VARIANTS, (wrap, "native", AutoMLEnv)])
def test_an_environment_that_is_not_ours_is_refused(wrapper, variant, kind, foreign):
    with pytest.raises(ValueError, match=f"AutoMLEnv.*{type(foreign).__name__}"):
        wrapper(foreign, variant)


@pytest.mark.parametrize(("wrapper", "variant", "kind"), VARIANTS)
def test_a_wrapper_passes_on_what_is_the_environments(wrapper, variant, kind):
    env = game(render_mode="ansi")
    made = wrapper(env, variant)
    action = {agent: space.default for agent, space in env.search_spaces.items()}
    pipeline = made.decode(made.from_native(action))
    assert pipeline == env.decode(action)
    assert made.evaluate(pipeline, seed=1) == env.evaluate(pipeline, seed=1) != made.evaluate(pipeline)
    assert made.reward(made.evaluate(pipeline)) == play(made, action)
    assert made.last_trial is env.last_trial
    assert made.search_spaces is env.search_spaces
    assert made.name == env.name
    assert made.render() == env.render()
    assert made.render_mode == "ansi"
    with pytest.raises(ValueError, match="no noise-free result"):
        made.expected(pipeline)
    if wrapper is wrap:
        assert made.unwrapped is env


def test_names_in_metadata_tell_variants_apart():
    names = [wrapper(game(), variant).metadata["name"] for wrapper, variant, _ in VARIANTS] + [game().metadata["name"]]
    assert len(set(names)) == len(names)
    assert all(name.startswith("small") and name.endswith("_v0") for name in names)


MAKERS = [(ma2ml_env.make, PARALLEL), (ma2ml_env.make_aec, AEC), (ma2ml_env.make_joint, JOINT)]


@pytest.mark.parametrize(
    ("make", "variant", "kind"), [(make, variant, kind) for make, family in MAKERS for variant, kind in family.items()]
)
def test_every_variant_can_be_made_by_id_with_all_options(make, variant, kind, tmp_path):
    options = {name: value for name, value in (("mask", "info"), ("codebook_size", 8)) if name in kind.options}
    log = tmp_path / "trials.db"
    env = make(INSTANT, variant=variant, render_mode="ansi", log_path=log, noise=0.0, **options)
    assert type(env) is kind
    action = env.decode(codebook_action(env)).action
    assert play(env, action) == play(ma2ml_env.make(INSTANT, noise=0.0), action)
    assert log.exists()
    assert "pipeline 0" in env.render()


@pytest.mark.parametrize(("function", "family"), [*FAMILIES, *MAKERS])
def test_every_variant_has_its_type(function, family):
    returned = {}
    for overload in typing.get_overloads(function):
        hints = typing.get_type_hints(overload, vars(sys.modules[function.__module__]))
        for variant in typing.get_args(hints["variant"]):
            returned[variant] = hints["return"]
    native = {"native": AutoMLEnv} if "native" not in family else {}
    assert returned == {**native, **family}


@pytest.mark.parametrize("function", [function for function, _ in [*FAMILIES, *MAKERS]])
def test_no_type_is_lost_where_the_variant_is_not_known_before(function):
    hints = typing.get_type_hints(function, vars(sys.modules[function.__module__]))
    assert hints["return"] in (ParallelVariant, AECVariant, JointVariant)


@pytest.mark.parametrize("seed", [np.int64(5), 5])
def test_a_gymnasium_environment_takes_seeds_of_any_integer_type(seed):
    env = gymnasium.make(joint_ids(INSTANT)["native"])
    env.reset(seed=seed)
    assert env.unwrapped.evaluation_seed == 5


@pytest.mark.parametrize("variant", ["native", "tokens"])
def test_pettingzoos_wrappers_find_no_seed_to_call(variant):
    wrapped = OrderEnforcingWrapper(ma2ml_env.make_aec(INSTANT, variant))
    assert callable(getattr(wrapped, "seed", print))


def codebook_action(env):
    """Actions of a variant, for the first joint action that it can represent."""
    if hasattr(env, "codebook"):
        return dict.fromkeys(env.possible_agents, 3)
    return env.from_native({module: space.default for module, space in env.search_spaces.items()})


@pytest.mark.parametrize("make", [make for make, _ in MAKERS])
def test_making_an_unknown_variant_or_option_says_what_there_is(make):
    with pytest.raises(ValueError, match="did you mean 'tokens'"):
        make(INSTANT, variant="tokenz")
    with pytest.raises(ValueError, match="did you mean 'noise'"):
        make(INSTANT, variant="tokens", noises=0.0)
    with pytest.raises(ValueError, match="no option 'codebook_size'"):
        make(INSTANT, variant="tokens", codebook_size=4)


@pytest.mark.parametrize("env_id", ma2ml_env.env_ids())
def test_every_environment_is_in_gymnasiums_registry(env_id):
    for variant, joint_id in joint_ids(env_id).items():
        env = gymnasium.make(joint_id)
        assert type(env.unwrapped) is JOINT[variant]
        assert env.unwrapped.name == env_id


@pytest.mark.parametrize("joint_id", joint_ids(INSTANT).values())
def test_gymnasium_makes_single_environments_and_vectors(joint_id):
    env = gymnasium.make(joint_id, render_mode="ansi", noise=0.0)
    env.reset(seed=1)
    env.step(env.action_space.sample())
    assert isinstance(env.render(), str)
    for mode in ("sync", "async"):
        vector = gymnasium.make_vec(joint_id, num_envs=2, vectorization_mode=mode)
        observations, _ = vector.reset(seed=0)
        assert len(observations) == 2
        vector.step(vector.action_space.sample())
        vector.close()


def test_every_environment_is_in_pettingzoos_registry_where_it_has_one():
    for env_id in ma2ml_env.env_ids() if hasattr(pettingzoo, "register") else []:
        assert type(pettingzoo.make("parallel", env_id)) is AutoMLEnv
        assert type(pettingzoo.make("parallel", env_id, variant="flat")) is PARALLEL["flat"]
        assert type(pettingzoo.make("aec", env_id)) is AEC["native"]


def test_the_environments_of_a_file_join_all_registries(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    path = tmp_path / "mine.yaml"
    path.write_text(
        "mine/four-v3:\n  summary: Four agents.\n  agents:\n"
        + "".join(f"    {agent}: {{kind: plain, nvec: [2, 3], repeat: 1}}\n" for agent in ("a", "b", "c", "d"))
        + "  evaluator: {kind: synthetic, structure_seed: 0, pairs_within: 1, pairs_across: 2, noise: 0.0}\n"
        + "  reward: {kind: accuracy}\n"
    )
    assert ma2ml_env.register_file(path) == ["mine/four-v3"]
    env = gymnasium.make("mine/four-joint-v3")
    env.reset(seed=0)
    _, reward, *_ = env.step(np.zeros(8, dtype=np.int64))
    native = ma2ml_env.make("mine/four-v3")
    assert reward == play(native, dict.fromkeys("abcd", (0, 0)))
    assert gymnasium.make("mine/four-joint-tokens-v3").unwrapped.metadata["name"] == "four_joint_tokens_v3"
    if hasattr(pettingzoo, "register"):
        assert pettingzoo.make("parallel", "mine/four-v3", variant="tokens").possible_agents[3] == "agent_3"
