"""MAPPO by TorchRL on the native form, with an actor for each module. `python examples/torchrl_mappo.py [BUDGET]`.

TorchRL has no distribution of MultiDiscrete actions; ours is `ma2ml_env.adapters.torchrl.MultiCategorical`. The state
never changes, so the central critic is a learned baseline. Needs: pip install 'ma2ml-env[torchrl]'
"""

import sys
import time

import torch
from tensordict.nn import InteractionType, TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.envs.libs.pettingzoo import PettingZooWrapper
from torchrl.modules import MLP, ProbabilisticActor
from torchrl.objectives import ClipPPOLoss, ValueEstimators

import ma2ml_env
from ma2ml_env.adapters.torchrl import MultiCategorical

BATCH, EPOCHS, _ = 20, 4, torch.manual_seed(0)
KEYS = ("action", "reward", "done", "terminated", "value", "advantage", "value_target")
budget, started = int(sys.argv[1]) if len(sys.argv) > 1 else 600, time.monotonic()
game = ma2ml_env.make("ma2ml/digits-surrogate-v0")
env = PettingZooWrapper(game, return_state=True)  # a group of one for each of aug, nas, hpo


def actor(group):
    nvec = game.action_space(group).nvec
    network = TensorDictModule(MLP(3, nvec.sum(), num_cells=[64]), [(group, "observation")], [(group, "logits")])
    return ProbabilisticActor(
        network, [(group, "logits")], [(group, "action")], distribution_class=MultiCategorical,
        distribution_kwargs={"nvec": nvec}, return_log_prob=True, log_prob_key=(group, "log_prob"),
        default_interaction_type=InteractionType.RANDOM,  # outside a collector TorchRL takes the mode
    )  # fmt: skip


def loss(group, policy):
    critic = nn.Sequential(MLP(2, 1, num_cells=[64]), nn.Unflatten(-1, (1, 1)))
    ppo = ClipPPOLoss(policy, TensorDictModule(critic, ["state"], [(group, "value")]), entropy_coeff=0.001)
    ppo.set_keys(**{name: (group, name) for name in KEYS}, sample_log_prob=(group, "log_prob"))
    ppo.make_value_estimator(ValueEstimators.GAE, gamma=1.0, lmbda=1.0)
    return ppo


actors = {group: actor(group) for group in env.group_map}
losses = [loss(group, policy) for group, policy in actors.items()]
optimizer = torch.optim.Adam([p for ppo in losses for p in ppo.parameters()], lr=3e-3)
means = []
for _ in range(max(1, budget // BATCH)):
    with torch.no_grad():
        batch = env.rollout(BATCH, TensorDictSequential(*actors.values()), break_when_any_done=False)
        for ppo in losses:
            ppo.value_estimator(batch)
    means.append(batch["next", "aug", "reward"].mean().item())
    for terms in (ppo(batch) for _ in range(EPOCHS) for ppo in losses):
        optimizer.zero_grad()
        (terms["loss_objective"] + terms["loss_critic"] + terms["loss_entropy"]).backward()
        optimizer.step()
print(f"{budget} pipelines, mean reward {means[0]:.3f} -> {means[-1]:.3f}, {time.monotonic() - started:.0f} s")
