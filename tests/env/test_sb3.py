"""stable-baselines3 learns on the variants that it accepts: single environments, and several agents as a vector."""

from __future__ import annotations

import numpy as np
import pytest
import supersuit
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from small_games import game, mean_choice
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv

from ma2ml_env.wrappers import wrap, wrap_joint

SETTINGS = {"verbose": 0, "device": "cpu", "gamma": 1.0, "learning_rate": 3e-3, "batch_size": 128}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def learnable():
    return game(evaluator=mean_choice)


def agents_as_vector(variant, **options):
    """All agents of a parallel variant as rows of one vector environment: one policy plays all roles."""
    rows = supersuit.pettingzoo_env_to_vec_env_v1(wrap(learnable(), variant, **options))
    return supersuit.concat_vec_envs_v1(rows, 4, num_cpus=0, base_class="stable_baselines3")


def mean_reward(model, vector, episodes=200):
    """Mean reward of finished episodes under the stochastic policy; chance gives 0.5."""
    observations, rewards = vector.reset(), []
    while len(rewards) < episodes:
        masks = {"action_masks": get_action_masks(vector)} if isinstance(model, MaskablePPO) else {}
        actions, _ = model.predict(observations, deterministic=False, **masks)
        observations, paid, done, infos = vector.step(actions)
        assert not masks or not any(info["illegal"] for info in infos)
        rewards += paid[done.astype(bool)].tolist()
    return float(np.mean(rewards))


def trained(algorithm, vector, steps, **settings):
    set_random_seed(0)  # not the algorithm's `seed=`: SuperSuit's vector cannot be seeded
    model = algorithm("MlpPolicy", vector, **{**SETTINGS, **settings})
    before = mean_reward(model, vector)
    model.learn(steps)
    return before, mean_reward(model, vector)


def test_ppo_learns_on_the_joint_variant():
    vector = DummyVecEnv([lambda: wrap_joint(learnable())] * 4)
    before, after = trained(PPO, vector, 4_000, n_steps=64)
    print(f"joint: {before:.3f} -> {after:.3f}")
    assert before < 0.6
    assert after > before + 0.2


@pytest.mark.parametrize("variant", ["padded", "flat"])
def test_ppo_learns_on_equal_spaces_through_supersuit(variant):
    before, after = trained(PPO, agents_as_vector(variant), 8_000, n_steps=64)
    print(f"{variant}: {before:.3f} -> {after:.3f}")
    assert before < 0.6
    assert after > before + 0.2


def test_maskable_ppo_learns_on_the_joint_tokens():
    vector = DummyVecEnv([lambda: wrap_joint(learnable(), "tokens")] * 4)
    assert is_masking_supported(vector)
    before, after = trained(MaskablePPO, vector, 6_000, n_steps=144)
    print(f"joint tokens: {before:.3f} -> {after:.3f}")
    assert before < 0.6
    assert after > before + 0.2
