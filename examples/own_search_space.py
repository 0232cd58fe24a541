"""A search space of your own, checked and searched. `python examples/own_search_space.py [BUDGET]`.

The `nas` agent chooses the layers of a perceptron: widths of layers that do not exist are no decisions. `build` makes
an object of your own of the choices, and `values`, its inverse, turns a known network into the action of a warm start.
"""

import sys
import time
from dataclasses import dataclass

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import FLOPsConstrained
from ma2ml_env.testing import check_search_space


@dataclass(frozen=True)
class Perceptron:
    layers: tuple[int, ...]  # widths of the hidden ones


def values(network):
    """Returns the choices that describe a network."""
    return {"depth": len(network.layers), **{f"width_{i}": width for i, width in enumerate(network.layers)}}


def build(chosen):
    """Returns the network of some choices, in which the widths of missing layers are left out."""
    return Perceptron(tuple(chosen[f"width_{i}"] for i in range(chosen["depth"])))


WIDTHS = [Decision(f"width_{i}", (4, 8, 16, 32, 64), active={"depth": (1, 2, 3)[i:]}) for i in range(3)]
NAS = SearchSpace((Decision("depth", (1, 2, 3)), *WIDTHS), build, values=values)
HPO = SearchSpace((Decision("learning_rate", (1e-3, 3e-3, 1e-2, 3e-2)),), dict)
check_search_space(NAS)


def evaluate(pipeline, *, seed):
    """Returns the validation accuracy of a perceptron after ten epochs on the digits."""
    started, (images, labels) = time.monotonic(), load_digits(return_X_y=True)
    network = MLPClassifier(pipeline["nas"].layers, random_state=pipeline.random_seed(seed) % 2**32)
    network.set_params(learning_rate_init=pipeline["hpo"]["learning_rate"])
    for _ in range(10):
        network.partial_fit(images[:1000] / 16, labels[:1000], classes=range(10))
    accuracy = network.score(images[1000:1400] / 16, labels[1000:1400])
    weights = sum(matrix.size for matrix in network.coefs_)
    return Result(accuracy, flops=weights, params=weights, seconds=time.monotonic() - started)


env = AutoMLEnv({"nas": NAS, "hpo": HPO}, evaluate, FLOPsConstrained(constraint=3000), name="mine/perceptron-v0")
known = {"nas": NAS.encode(Perceptron((64, 64))), "hpo": HPO.encode({"learning_rate": 1e-3})}
learner = make_learner("gp", agent_specs(env), seed=0)
trials = run_search(env, learner, int(sys.argv[1]) if len(sys.argv) > 1 else 40, warm_start=[known])
for name, trial in {"known": trials[0], "best": max(trials, key=lambda trial: trial.reward)}.items():
    found = f"accuracy {trial.result.accuracy:.1%}, {trial.result.flops:.0f} multiply-accumulates"
    print(f"{name} of {NAS.size} networks: reward {trial.reward:.3f}, {found}, {trial.pipeline['nas']}")
