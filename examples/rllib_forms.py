"""RLlib's PPO on the native form, and on tokens with masks. `python examples/rllib_forms.py [BUDGET]`.

RLlib's masking module reads observations and masks as `ma2ml_env.adapters.rllib.MaskedTokensEnv` writes them.
`experiments/rllib_ppo.py` is the longer script, with logs for our tables. Needs: pip install 'ma2ml-env[rllib]'
"""

import logging
import sys
import time

import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env

import ma2ml_env
from ma2ml_env.adapters.rllib import MaskedTokensEnv

ENV_ID, BATCH = "ma2ml/digits-surrogate-v0", 20
NATIVE, MASKED = RLModuleSpec(), RLModuleSpec(module_class=ActionMaskingTorchRLModule)


def train(form, module, agents, budget, steps):
    """Trains a policy per agent on episodes of some steps, and prints the mean rewards of the first and last batch."""
    started, size = time.monotonic(), BATCH * steps
    config = (
        PPOConfig()
        .environment(form, disable_env_checking=True)  # the check would evaluate a random pipeline
        .multi_agent(policies=agents, policy_mapping_fn=lambda agent, *_, **__: agent)
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=dict.fromkeys(agents, module)))
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=size, minibatch_size=size, num_epochs=5, lr=0.003, gamma=1.0)
        .debugging(seed=0, log_level="ERROR")
    )
    algorithm = config.build_algo()
    results = [algorithm.train()["env_runners"] for _ in range(max(1, budget // BATCH))]
    algorithm.stop()
    means = [result["agent_episode_returns_mean"][agents[0]] for result in results]
    summed = f"episode_return_mean, the sum over agents, {results[-1]['episode_return_mean']:.3f}"
    print(f"{form}: mean reward {means[0]:.3f} -> {means[-1]:.3f} ({summed}), {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    budget = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)
    register_env("native", lambda _: ParallelPettingZooEnv(ma2ml_env.make(ENV_ID)))
    register_env("masked", lambda _: MaskedTokensEnv(ENV_ID))
    native, tokens = ma2ml_env.make(ENV_ID), ma2ml_env.make(ENV_ID, variant="tokens")
    train("native", NATIVE, native.possible_agents, budget, steps=1)
    length = max(len(space) for space in native.search_spaces.values())
    train("masked", MASKED, tokens.possible_agents, budget, steps=length)
    ray.shutdown()
