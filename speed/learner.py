"""Benchmark of learners on one core: CPU time per pipeline after 500 results, for 9, 30 and 89 decisions.

    python speed/learner.py ma2ml gp

It measures CPU time of this process, to be independent of the machine's load: of 30 proposals and their updates, after
random pipelines of a closed form.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from ma2ml_agents import AgentSpec, make_learner
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.learner import Batch
from ma2ml_agents.testing import batch_of, observations_of

DECISIONS = {9: (3, 3, 3), 30: (10, 10, 10), 89: (30, 50, 9)}
"""Decisions of the three agents, by their total."""
CHOICES, RESULTS, MEASURED, NOISE = 5, 500, 30, 0.02


def noisy(batch: Batch, rng: np.random.Generator) -> Batch:
    """A batch with noise on its rewards."""
    return replace(batch, rewards=batch.rewards + NOISE * rng.normal(size=len(batch)))


def milliseconds(name: str, decisions: int, settings: dict[str, int]) -> tuple[int, float]:
    """Returns the batch size, and the CPU time of a proposal and its update, in milliseconds."""
    counts = zip(("aug", "nas", "hpo"), DECISIONS[decisions], strict=True)
    specs = tuple(AgentSpec(agent, (CHOICES,) * count, 1) for agent, count in counts)
    layout, rng = Layout(specs), np.random.default_rng(0)
    learner = make_learner(name, specs, seed=0, **settings)
    rows = learner.batch_size
    for _ in range(RESULTS // rows):
        learner.update(noisy(batch_of(specs, layout.uniform(rows, rng)), rng))
    rounds = -(-MEASURED // rows)
    started = time.process_time()
    for _ in range(rounds):
        joint = layout.join(learner.act(observations_of(specs, rows)))
        learner.update(noisy(batch_of(specs, joint), rng))
    return rows, 1000 * (time.process_time() - started) / (rounds * rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("learners", nargs="*", default=["ma2ml", "gp"])
    parser.add_argument("--batch-size", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = {"batch_size": given.batch_size} if given.batch_size else {}
    for name in given.learners:
        for decisions in DECISIONS:
            batch_size, spent = milliseconds(name, decisions, settings)
            print(f"{name}, batches of {batch_size}: {spent:.1f} ms a pipeline at {decisions} decisions", flush=True)


if __name__ == "__main__":
    main()
