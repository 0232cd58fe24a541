"""Benchmark of the surrogate environments on one core: single steps, and batched evaluations.

    python speed/surrogate.py

It measures CPU time of this process, to be independent of the machine's load.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import ma2ml_env

IDS = ("ma2ml/cifar10-16px-surrogate-v0", "ma2ml/cifar10-16px-flops-surrogate-v0", "ma2ml/digits-surrogate-v0")


def per_second(count: int, work: Callable[[], object]) -> float:
    """Returns the rate per second of `count` pieces of work."""
    started = time.process_time()
    work()
    return count / (time.process_time() - started)


def measure(env_id: str, steps: int, batch: int) -> None:
    started = time.perf_counter()
    env = ma2ml_env.make(env_id)
    rng = np.random.default_rng(0)
    spaces = env.search_spaces.items()
    actions = {agent: rng.integers(space.nvec, size=(batch, len(space))) for agent, space in spaces}
    env.evaluator.evaluate_batch({agent: chosen[:1] for agent, chosen in actions.items()}, 0)
    ready = time.perf_counter() - started

    def play() -> None:
        for number in range(steps):
            env.reset()
            env.step({agent: chosen[number % batch] for agent, chosen in actions.items()})

    single = per_second(steps, play)
    batched = per_second(batch, lambda: env.evaluator.evaluate_batch(actions, 0))
    print(f"{env_id}: ready in {ready:.1f} s; {single:,.0f} steps per second, {batched:,.0f} batched evaluations")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=10_000)
    arguments = parser.parse_args()
    for env_id in IDS:
        measure(env_id, arguments.steps, arguments.batch)


if __name__ == "__main__":
    main()
