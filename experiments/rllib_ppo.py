r"""RLlib's own training loop on a registered environment: independent PPO, one trial log per seed.

    pip install -e '.[benchmark,fcnet,rllib]'
    PYTHONHASHSEED=0 python experiments/rllib_ppo.py --env ma2ml/fcnet-protein-v0 --seeds 2 --budget 300 \\
        --out runs/rllib

The environment writes the logs; the benchmark includes them in its tables beside its own runs:

    ma2ml benchmark --env ma2ml/fcnet-protein-v0 --algos random_search,ppo --seeds 2 --budget 300 \
        --logs 'rllib_ppo=runs/rllib/fcnet-protein-v0-*.db' --out runs/rllib_compared

Without `PYTHONHASHSEED` RLlib orders its agents differently each time, and one seed produces different runs.
RLlib's defaults (batches of 4000, learning rate 5e-5) are for millions of steps. The ones here are not tuned, except
that the learning rate is the better one of 0.003 and 0.01 on this environment and these seeds.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

import ma2ml_env


def make_env(config: dict[str, str]) -> ParallelPettingZooEnv:
    """Returns an environment that logs every pipeline, in the form that RLlib accepts."""
    return ParallelPettingZooEnv(ma2ml_env.make(config["id"], log_path=config["log"]))


def ppo(env_id: str, log: Path, seed: int, batch: int, learning_rate: float) -> PPOConfig:
    """Returns independent PPO, with a policy and a value network per agent."""
    agents = ma2ml_env.make(env_id).possible_agents
    modules = {agent: RLModuleSpec() for agent in agents}
    return (
        PPOConfig()
        .environment(
            "ma2ml",
            env_config={"id": env_id, "log": str(log)},
            disable_env_checking=True,  # the check plays a random pipeline, which would enter the log
        )
        .multi_agent(policies=agents, policy_mapping_fn=lambda agent, *_, **__: agent)
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=modules))
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=batch, minibatch_size=batch, num_epochs=5, lr=learning_rate)
        .debugging(seed=seed, log_level="ERROR")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="ma2ml/fcnet-protein-v0")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--budget", type=int, default=300, help="pipelines per seed, a multiple of --batch")
    parser.add_argument("--batch", type=int, default=10, help="pipelines per update")
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--out", type=Path, default=Path("runs/rllib"))
    options = parser.parse_args()
    if options.budget % options.batch:
        parser.error(f"--budget {options.budget} is not a multiple of --batch {options.batch}")
    logs = [options.out.resolve() / f"{options.env.rpartition('/')[2]}-{seed}.db" for seed in range(options.seeds)]
    for log in logs:
        if log.exists():
            parser.error(f"{log} exists; a log is appended to, and one file is one run: move it away")
    torch.set_num_threads(1)
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    register_env("ma2ml", make_env)
    for seed, log in enumerate(logs):
        algorithm = ppo(options.env, log, seed, options.batch, options.learning_rate).build_algo()
        for _ in range(options.budget // options.batch):
            result = algorithm.train()["env_runners"]
        algorithm.stop()
        mean = statistics.fmean(result["agent_episode_returns_mean"].values())  # "episode_return_mean" sums the agents'
        print(f"{log}: {result['num_env_steps_sampled_lifetime']:.0f} pipelines, mean reward in the end {mean:.3f}")


if __name__ == "__main__":
    main()
