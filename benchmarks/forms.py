"""What each form of the game costs per evaluated pipeline, on an evaluator that takes no time to speak of.

    python benchmarks/forms.py [--pipelines 300] [--rounds 7]

Every form plays the same pipelines to the end, in turn, so that a busy machine slows all of them alike; the fastest
round of each counts. Steps of `tokens` are counted per pipeline: the goal is at most three times the native form.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import ma2ml_env
from ma2ml_env.wrappers import wrap, wrap_aec, wrap_joint

FORMS: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
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
Player = Callable[[], None]


def parallel_player(env: Any, actions: Any, steps: int) -> Player:
    schedule = [actions] if steps == 1 else [{a: actions[a][t] for a in actions} for t in range(steps)]

    def play() -> None:
        env.reset()
        for joint in schedule:
            env.step(joint)

    return play


def aec_player(env: Any, moves: Iterable[Any]) -> Player:
    schedule = [*moves, *[None] * len(env.possible_agents)]

    def play() -> None:
        env.reset()
        for move in schedule:
            env.last()
            env.step(move)

    return play


def joint_player(env: Any, moves: Iterable[Any]) -> Player:
    schedule = list(moves)

    def play() -> None:
        env.reset()
        for move in schedule:
            env.step(move)

    return play


def player(name: str, env: Any, action: dict[str, tuple[int, ...]]) -> tuple[Player, int]:
    """What plays one pipeline in a form, and in how many steps."""
    spaces = env.search_spaces.values()
    if name.startswith("joint"):
        moves = env.from_native(action)
        return joint_player(env, [moves] if name == "joint native" else moves), 1 if name == "joint native" else len(moves)
    if name.startswith("aec"):
        by_agent = env.from_native(action)
        moves = list(by_agent.values()) if name == "aec native" else [t for ts in by_agent.values() for t in ts]
        return aec_player(env, moves), len(moves) + len(by_agent)
    if name == "flat":
        return parallel_player(env, dict.fromkeys(env.possible_agents, 3), 1), 1
    steps = max(len(space) for space in spaces) if name.startswith("tokens") else 1
    return parallel_player(env, action if name == "native" else env.from_native(action), steps), steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="ma2ml/synthetic-v0")
    parser.add_argument("--pipelines", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    best: dict[str, float] = dict.fromkeys(FORMS, np.inf)
    players = {}
    for name, (form, variant, options) in FORMS.items():
        env = form(ma2ml_env.make(arguments.env), variant, **options)
        rng = np.random.default_rng(0)
        action = {module: space.sample(rng) for module, space in env.search_spaces.items()}
        players[name] = player(name, env, action)
    for _ in range(arguments.rounds):
        for name, (play, _) in players.items():
            started = time.perf_counter()
            for _ in range(arguments.pipelines):
                play()
            best[name] = min(best[name], (time.perf_counter() - started) / arguments.pipelines)
    print(f"{'form':22}{'microseconds a pipeline':>25}{'x native':>10}{'steps a second':>16}")
    for name, seconds in best.items():
        steps = players[name][1]
        print(f"{name:22}{seconds * 1e6:25.0f}{seconds / best['native']:10.2f}{steps / seconds:16,.0f}")


if __name__ == "__main__":
    main()
