"""DQN by Tianshou on the flat form, its agents in turn. `python examples/tianshou_dqn.py [BUDGET]`.

Tianshou stores the reward in the transition of the agent that acts last, as the last line of the output shows; targets
of as many steps as there are agents (`horizon`) pay the others too.
Needs: pip install 'ma2ml-env[tianshou]'
"""

import sys
import time

import numpy as np
import torch
from pettingzoo.utils.conversions import parallel_to_aec
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.multiagent.marl import MultiAgentOffPolicyAlgorithm
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, PettingZooEnv
from tianshou.utils.net.common import Net

import ma2ml_env

BATCH = 20


def learner(env, horizon):
    """Returns a DQN of its own for each agent."""
    algorithms = []
    for _ in env.agents:
        network = Net(state_shape=len(env.agents), action_shape=env.action_space.n, hidden_sizes=[64])
        policy = DiscreteQLearningPolicy(model=network, action_space=env.action_space)
        optimizer = AdamOptimizerFactory(lr=1e-2)
        algorithms.append(DQN(policy=policy, optim=optimizer, gamma=1.0, n_step_return_horizon=horizon))
    return MultiAgentOffPolicyAlgorithm(algorithms=algorithms, env=env)


budget = int(sys.argv[1]) if len(sys.argv) > 1 else 400
torch.manual_seed(0)
np.random.seed(0)  # noqa: NPY002 - Tianshou explores with the global generator
started, means = time.monotonic(), []
flat = ma2ml_env.make("ma2ml/digits-surrogate-v0", variant="flat", codebook_size=32)
env = PettingZooEnv(parallel_to_aec(flat))
algorithm = learner(env, horizon=len(env.agents))
buffer = VectorReplayBuffer(budget * len(env.agents), 1)
collector = Collector(algorithm, DummyVectorEnv([lambda: env]), buffer, exploration_noise=True)
collector.reset()
policies = algorithm.policy.policies.values()
for policy in (algorithm.policy, *policies):
    policy.is_within_training_step = True  # Tianshou tells the first alone, and the others would not explore
for batch in range(max(1, budget // BATCH)):
    for policy in policies:
        policy.set_eps_training(max(0.02, 1 - 2 * batch * BATCH / budget))
    means.append(collector.collect(n_episode=BATCH).returns.mean())
    for _ in range(10):
        algorithm.update(buffer, sample_size=64)
print(f"{budget} pipelines, mean reward {means[0]:.3f} -> {means[-1]:.3f}, {time.monotonic() - started:.0f} s")
rewards = {agent: buffer.rew[buffer.obs.agent_id == agent][:, i] for agent, i in env.agent_idx.items()}
print("stored rewards:", {agent: round(float(paid.mean()), 3) for agent, paid in rewards.items()})
