"""IPPO by AgileRL on the native form. `python examples/agilerl_ippo.py [BUDGET]`.

AgileRL's training loop clears `done` before it is stored, so its IPPO never sees an episode end and adds the value of
the next pipeline to the reward of this one. `gamma=0` is right for episodes of one step.
Needs: pip install 'ma2ml-env[agilerl]'
"""

import sys
import time

import numpy as np
import torch
from agilerl.algorithms import IPPO
from agilerl.training.train_multi_agent_on_policy import train_multi_agent_on_policy

import ma2ml_env

BATCH = 20
budget, started = int(sys.argv[1]) if len(sys.argv) > 1 else 600, time.monotonic()
torch.manual_seed(0)
env = ma2ml_env.make("ma2ml/digits-surrogate-v0")
agent = IPPO(
    env.observation_spaces,
    env.action_spaces,
    agent_ids=env.possible_agents,
    batch_size=BATCH,
    learn_step=BATCH,
    lr=3e-3,
    gamma=0.0,
    net_config={"encoder_config": {"hidden_size": [64]}},
)
rewards = []
env.record = lambda trial: rewards.append(trial.reward)  # AgileRL's evaluation is one more pipeline after each batch
train_multi_agent_on_policy(
    env, env.name, "IPPO", [agent], sum_scores=False, max_steps=budget, evo_steps=BATCH, verbose=False
)
first, last = np.mean(rewards[:BATCH]), np.mean(rewards[-BATCH:])
print(f"{len(rewards)} pipelines, mean reward {first:.3f} -> {last:.3f}, {time.monotonic() - started:.0f} s")
