"""A fourth agent, `bits`, with its cost in the reward. `python examples/fourth_agent.py [BUDGET]`.

A perceptron is trained on augmented digits, then its weights are rounded to the number of bits that the fourth agent
chose. A multiply-accumulate of b bits counts as b / 32, so the reward weighs accuracy against width and bits alike.
"""

import sys
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import FLOPsConstrained

AGENTS = {
    "aug": SearchSpace((Decision("shift", (0, 1, 2), ordered=True),), dict),
    "nas": SearchSpace((Decision("width", (4, 8, 16, 32, 64), ordered=True),), dict),
    "hpo": SearchSpace((Decision("learning_rate", (3e-3, 1e-2, 3e-2), ordered=True),), dict),
    "bits": SearchSpace((Decision("bits", (2, 3, 4, 6, 8, 32), ordered=True),), dict),  # the new line
}


def rounded(weights, bits):
    """Returns weights rounded to 2**bits - 1 values, evenly spaced between minus and plus the largest."""
    step = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    return np.round(weights / step) * step


def evaluate(pipeline, *, seed):
    """Returns validation accuracy, and the cost in multiply-accumulates of 32 bits."""
    started, (images, labels) = time.monotonic(), load_digits(return_X_y=True)
    rng = np.random.default_rng(pipeline.random_seed(seed))
    shift, width, bits = pipeline["aug"]["shift"], pipeline["nas"]["width"], pipeline["bits"]["bits"]
    network = MLPClassifier((width,), learning_rate_init=pipeline["hpo"]["learning_rate"])
    network.set_params(random_state=int(rng.integers(2**32)))
    for _ in range(10):
        by = rng.integers(-shift, shift + 1, 2)
        shifted = np.roll(images[:1000].reshape(-1, 8, 8), by, axis=(1, 2)).reshape(-1, 64)
        network.partial_fit(shifted / 16, labels[:1000], classes=range(10))
    network.coefs_ = [rounded(weights, bits) for weights in network.coefs_]
    accuracy = network.score(images[1000:1400] / 16, labels[1000:1400])
    share, macs = bits / 32, 64 * width + width * 10
    return Result(accuracy, flops=macs * share, params=macs * share, seconds=time.monotonic() - started)


env = AutoMLEnv(AGENTS, evaluate, FLOPsConstrained(constraint=300, exponent=-0.07), name="mine/bits-v0")
learner = make_learner("gp", agent_specs(env), seed=0)
trials = run_search(env, learner, budget=int(sys.argv[1]) if len(sys.argv) > 1 else 40)
for bits in AGENTS["bits"].decisions[0].choices:
    tried = [trial for trial in trials if trial.pipeline["bits"]["bits"] == bits]
    if tried:
        best = max(tried, key=lambda trial: trial.reward)
        found = f"reward {best.reward:.3f}, accuracy {best.result.accuracy:.1%}, cost {best.result.flops:.0f}"
        print(f"{bits:2} bits, tried {len(tried):2} times, best: {found}")
print(max(trials, key=lambda trial: trial.reward).pipeline)
