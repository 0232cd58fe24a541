"""Benchmark of every variant: time per evaluated pipeline, on an evaluator with negligible cost.

    python speed/wrappers.py [--pipelines 300] [--rounds 7]

Every variant plays the same pipelines to the end, in turn, so that a busy machine slows all of them alike; the fastest
round of each counts. Steps of `tokens` are counted per pipeline: the goal is at most four times the native one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ma2ml_env
from ma2ml_env.testing.rollout import moves
from ma2ml_env.wrappers import wrap, wrap_aec, wrap_joint

VARIANTS: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "native": (wrap, "native", {}),
    "padded": (wrap, "padded", {}),
    "flat": (wrap, "flat", {}),
    "tokens, mask in obs": (wrap, "tokens", {"mask": "obs"}),
    "tokens, mask in info": (wrap, "tokens", {"mask": "info"}),
    "tokens, no mask": (wrap, "tokens", {"mask": "none"}),
    "box": (wrap, "box", {}),
    "aec native": (wrap_aec, "native", {}),
    "aec tokens": (wrap_aec, "tokens", {}),
    "joint native": (wrap_joint, "native", {}),
    "joint tokens": (wrap_joint, "tokens", {}),
}


def player(name: str, env: Any) -> tuple[Callable[[], None], int]:
    """Returns a function that plays one pipeline to the end, and the number of its steps."""
    rng = np.random.default_rng(0)
    action = {module: space.sample(rng) for module, space in env.search_spaces.items()}
    if name == "flat":
        action = {module: actions[3] for module, actions in env.codebook.items()}
    schedule = moves(env, action)
    turns = name.startswith("aec")
    schedule += [None] * len(env.possible_agents) if turns else []

    def play() -> None:
        env.reset()
        for move in schedule:
            if turns:
                env.last()
            env.step(move)

    return play, len(schedule)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="ma2ml/synthetic-v0")
    parser.add_argument("--pipelines", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    best: dict[str, float] = dict.fromkeys(VARIANTS, np.inf)
    players = {
        name: player(name, wrapper(ma2ml_env.make(arguments.env), variant, **options))
        for name, (wrapper, variant, options) in VARIANTS.items()
    }
    for _ in range(arguments.rounds):
        for name, (play, _) in players.items():
            started = time.perf_counter()
            for _ in range(arguments.pipelines):
                play()
            best[name] = min(best[name], (time.perf_counter() - started) / arguments.pipelines)
    print(f"{'variant':22}{'microseconds a pipeline':>25}{'x native':>10}{'steps a second':>16}")
    for name, seconds in best.items():
        steps = players[name][1]
        print(f"{name:22}{seconds * 1e6:25.0f}{seconds / best['native']:10.2f}{steps / seconds:16,.0f}")


if __name__ == "__main__":
    main()
