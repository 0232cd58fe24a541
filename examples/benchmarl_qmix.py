"""QMIX and MAPPO by BenchMARL on the flat form. `python examples/benchmarl_qmix.py [BUDGET]`.

BenchMARL needs equal Discrete actions (`flat`, `tokens`) or Box ones; a small codebook fits a small budget, as a value
or a probability of every one of its actions has to be learned. Needs: pip install 'ma2ml-env[benchmarl]'
"""

import sys
import tempfile
import time

from benchmarl.algorithms import MappoConfig, QmixConfig
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig

from ma2ml_env.adapters.benchmarl import AutoMLTask

BATCH = 20


class Rewards(Callback):
    """Keeps the mean reward of every batch."""

    def __init__(self):
        super().__init__()
        self.means = []

    def on_batch_collected(self, batch):
        self.means.append(batch["next", "agent", "reward"].mean().item())


def settings(folder, budget):
    """Returns BenchMARL's defaults, which are for millions of steps, made small."""
    config = ExperimentConfig.get_from_yaml()
    config.max_n_frames, config.lr, config.gamma = budget, 3e-3, 1.0
    config.on_policy_collected_frames_per_batch = config.off_policy_collected_frames_per_batch = BATCH
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = 1
    config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters = BATCH, 4
    config.off_policy_train_batch_size, config.off_policy_n_optimizer_steps = 32, 10
    config.off_policy_memory_size, config.exploration_anneal_frames = budget, budget // 2
    config.evaluation, config.loggers, config.create_json = False, [], False  # evaluation would train pipelines
    config.save_folder = folder
    return config


budget = int(sys.argv[1]) if len(sys.argv) > 1 else 400
model = MlpConfig.get_from_yaml()
with tempfile.TemporaryDirectory() as folder:
    for algorithm in (QmixConfig, MappoConfig):
        started, rewards = time.monotonic(), Rewards()
        task = AutoMLTask("ma2ml/digits-surrogate-v0", "flat", codebook_size=32)
        parts = {"task": task, "algorithm_config": algorithm.get_from_yaml(), "model_config": model, "seed": 0}
        config = settings(folder, budget)
        Experiment(**parts, critic_model_config=model, config=config, callbacks=[rewards]).run()
        first, last = rewards.means[0], rewards.means[-1]
        seconds = time.monotonic() - started
        print(f"{algorithm.__name__[:-6]:5} mean reward {first:.3f} -> {last:.3f}, {budget} pipelines, {seconds:.0f} s")
