"""The bare loop of a search: act, evaluate, update. `python examples/loop.py [BUDGET]`.

`run_search` is this loop with executors, files, resuming and a budget of any number; start here to understand it.
"""

import sys

import numpy as np

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner
from ma2ml_agents.learner import Batch

budget = int(sys.argv[1]) if len(sys.argv) > 1 else 300
env = ma2ml_env.make("ma2ml/digits-surrogate-v0")  # predicts real trainings, a millisecond each
learner = make_learner("ma2ml_lite", agent_specs(env), seed=0)
observations, _ = env.reset(seed=0)

rewards = []
while len(rewards) < budget:
    states = {agent: np.repeat(seen[None], learner.batch_size, axis=0) for agent, seen in observations.items()}
    proposals = learner.act(states)  # {agent: (batch, decisions) integers}
    pipelines = [env.decode({agent: rows[i] for agent, rows in proposals.items()}) for i in range(learner.batch_size)]
    results = [env.evaluate(pipeline, seed=env.evaluation_seed) for pipeline in pipelines]
    paid = np.array([env.reward(result) for result in results])
    actions = {agent: np.array([pipeline.action[agent] for pipeline in pipelines]) for agent in env.possible_agents}
    learner.update(Batch(states, actions, paid, results))
    rewards += paid.tolist()

fifth = max(1, len(rewards) // 5)
print(f"{len(rewards)} pipelines in batches of {learner.batch_size}")
print(f"mean reward of the first fifth {np.mean(rewards[:fifth]):.3f}, of the last {np.mean(rewards[-fifth:]):.3f}")
print(f"best reward {max(rewards):.3f}")
