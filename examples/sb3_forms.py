"""stable-baselines3 on three forms of one environment. `python examples/sb3_forms.py [EPISODES]`.

`joint`: PPO over all decisions at once. `padded`: one PPO plays all agents, as rows of a vector (SuperSuit).
`masked`: sb3-contrib's MaskablePPO makes the decisions one by one and never tries an illegal one.
Needs: pip install 'ma2ml-env[sb3,sb3-contrib,supersuit]'
"""

import sys
import time

import numpy as np
import supersuit
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

import ma2ml_env

ENV_ID = "ma2ml/digits-surrogate-v0"
SETTINGS = {"learning_rate": 3e-3, "gamma": 1.0, "n_epochs": 4, "device": "cpu", "seed": 0}


class Rewards(BaseCallback):
    """Keeps the reward of every finished episode."""

    def __init__(self):
        super().__init__()
        self.paid = []

    def _on_step(self):
        self.paid += self.locals["rewards"][self.locals["dones"].astype(bool)].tolist()
        return True


def train(form, algorithm, env, steps, rollout, **settings):
    """Trains and prints the mean reward of the first and of the last tenth of the episodes."""
    started, rewards = time.monotonic(), Rewards()
    model = algorithm("MlpPolicy", env, n_steps=rollout, batch_size=rollout, **SETTINGS | settings)
    model.learn(steps, callback=rewards)
    tenth = max(1, len(rewards.paid) // 10)
    first, last = np.mean(rewards.paid[:tenth]), np.mean(rewards.paid[-tenth:])
    print(f"{form:7} {first:.3f} -> {last:.3f}, {len(rewards.paid)} rewards, {time.monotonic() - started:.0f} s")


episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
train("joint", PPO, ma2ml_env.make_joint(ENV_ID), episodes, 20)

padded = supersuit.pettingzoo_env_to_vec_env_v1(ma2ml_env.make(ENV_ID, variant="padded"))
padded = supersuit.concat_vec_envs_v1(padded, 1, num_cpus=0, base_class="stable_baselines3")
train("padded", PPO, padded, 3 * episodes, 20, seed=None)  # a row per agent; SuperSuit's vector cannot be seeded

tokens = ma2ml_env.make_joint(ENV_ID, variant="tokens")
decisions = sum(len(space) for space in tokens.search_spaces.values())
train("masked", MaskablePPO, tokens, episodes // 5 * decisions, 4 * decisions)
