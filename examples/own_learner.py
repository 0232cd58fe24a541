"""A learner of your own: the cross-entropy method, checked and compared. `python examples/own_learner.py [BUDGET]`.

From the command line it runs by its name: `python train.py --algo examples.own_learner:CrossEntropy`.
"""

import sys
from dataclasses import dataclass

import numpy as np

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.testing import check_learner
from ma2ml_env.trials import top_k


class CrossEntropy:
    """Samples each decision from a categorical, and moves it towards the choices of the best of each batch."""

    batch_size, on_policy = 20, True

    @dataclass
    class Config:  # every setting has a default
        step: float = 0.3
        elite: int = 4

    def __init__(self, specs, config=None, seed=0):
        self.config = config or self.Config()
        self.rng = np.random.default_rng(seed)
        self.policies = {spec.name: [np.full(n, 1 / n) for n in spec.nvec] for spec in specs}

    def act(self, observations):
        rows = len(next(iter(observations.values())))
        draw = self.rng.choice
        return {a: np.stack([draw(len(p), rows, p=p) for p in ps], 1) for a, ps in self.policies.items()}

    def update(self, batch):
        best = np.argsort(batch.rewards)[-self.config.elite :]
        for agent, policies in self.policies.items():
            for d, p in enumerate(policies):
                frequency = np.bincount(batch.actions[agent][best, d], minlength=len(p)) / len(best)
                policies[d] = (1 - self.config.step) * p + self.config.step * frequency
        return {"elite_reward": float(batch.rewards[best].mean())}

    def state_dict(self):
        policies = {agent: [p.tolist() for p in ps] for agent, ps in self.policies.items()}
        return {"policies": policies, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.policies = {agent: [np.array(p) for p in ps] for agent, ps in state["policies"].items()}
        self.rng.bit_generator.state = state["rng"]


if __name__ == "__main__":
    check_learner(CrossEntropy)  # shapes, determinism, resuming, better than random search
    env = ma2ml_env.make("ma2ml/digits-surrogate-v0")
    for learner in (make_learner("random_search", agent_specs(env), seed=0), CrossEntropy(agent_specs(env))):
        best = top_k(run_search(env, learner, int(sys.argv[1]) if len(sys.argv) > 1 else 300), 20)
        print(f"{type(learner).__name__}: mean of the best 20 {np.mean([trial.reward for trial in best]):.3f}")
