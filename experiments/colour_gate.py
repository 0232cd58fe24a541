"""Trains crossed samples of pipelines on CIFAR-10 at 16x16 pixels, to test whether all three agents matter there.

    MA2ML_DATA=data python experiments/colour_gate.py --design base --out runs/colour-gate
    MA2ML_DATA=data python experiments/colour_gate.py --design base --out runs/colour-gate --report

A block crosses three augmentations (the first is none), three architectures and three recipes: 27 trainings, from
which variance components are estimated. Then follow second trainings under another seed, trainings of three times the
epochs, and of more images. Each process uses one core, writes each training as it ends, and resumes when restarted;
`--shard i/n` splits the work. Seconds are CPU seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import bootstrap, spearmanr
from variance_components import AGENTS, components

from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.search_space import SearchSpace, decode_joint
from ma2ml_env.search_spaces.autoaugment import autoaugment
from ma2ml_env.search_spaces.recipe import recipe
from ma2ml_env.search_spaces.residual import residual
from ma2ml_env.tasks.cifar import CIFAR10

SIDE = 3
LONGER, MORE = 3, 2
CHANGES: tuple[dict[str, int], ...] = ({"seed": 1}, {"epochs": LONGER}, {"images": MORE})
CHECKED = 8
NARROW = {"widths": [[8, 16, 24, 32], [16, 24, 32, 48], [32, 48, 64, 96]], "stems": [8, 16, 24]}
MIDDLE = {"widths": [[16, 24, 32], [24, 32, 48], [48, 64, 96]], "stems": [16, 24, 32]}
RECIPE = {
    "batch_sizes": [32, 48, 64, 96],
    "schedules": ["cosine", "linear"],
    "warmups": [0.1],
    "label_smoothings": [0.0, 0.1, 0.2],
    "mixups": [0.0, 0.2, 0.5],
    "drop_paths": [0.0, 0.1, 0.2],
    "dropouts": [0.0, 0.2, 0.4],
}


@dataclass(frozen=True)
class Design:
    """Candidate definition of the game.

    Attributes:
        images: number of training images.
        epochs: epochs per training.
        nas: arguments of the residual space.
        hpo: arguments of the recipe space.
        augmentation: augmentation that the task always applies.
    """

    images: int
    epochs: int
    nas: Mapping[str, Any] = field(default_factory=lambda: NARROW)
    hpo: Mapping[str, Any] = field(default_factory=lambda: RECIPE)
    augmentation: str = "none"

    @property
    def spaces(self) -> dict[str, SearchSpace]:
        """Returns {agent: search space}."""
        return {"aug": autoaugment(), "nas": residual(**self.nas), "hpo": recipe(relative=True, **self.hpo)}

    def evaluator(self, epochs: int = 1, images: int = 1) -> TrainEvaluator:
        """Returns an evaluator with multiples of the epochs and images."""
        task = CIFAR10(
            image_size=16,
            augmentation=self.augmentation,
            train_images=self.images * images,
            validation_images=10_000,
        )
        thirds = (self.epochs // 3, 2 * self.epochs // 3)
        return TrainEvaluator(
            task, ResidualSkeleton(), self.epochs * epochs, self.epochs * LONGER, measured_epochs=thirds
        )


BASE = Design(1000, 24)
CHOSEN = Design(1000, 24, MIDDLE, {**RECIPE, "batch_sizes": [32, 48, 64]})
DESIGNS = {
    "base": BASE,
    "chosen": CHOSEN,
    "longer": replace(CHOSEN, epochs=36),
}


@dataclass(frozen=True)
class Job:
    """One training: a cell of a block, its seed, and multiples of the epochs and images."""

    block: int
    cell: tuple[int, int, int]
    seed: int = 0
    epochs: int = 1
    images: int = 1

    @property
    def key(self) -> str:
        """Name of the training in the file."""
        return f"{self.block}-{'.'.join(map(str, self.cell))}-s{self.seed}-e{self.epochs}-n{self.images}"


def jobs(blocks: int) -> list[Job]:
    """All trainings: the blocks, and then those that some of their cells are checked with."""
    cells, checks = list[Job](), list[Job]()
    for block in range(blocks):
        own = [Job(block, cell) for cell in itertools.product(range(SIDE), repeat=3)]
        some = [own[int(number)] for number in np.random.default_rng(block).permutation(len(own))[:CHECKED]]
        cells += own
        checks += [replace(job, **change) for change in CHANGES for job in some]
    return cells + checks


def actions(spaces: Mapping[str, SearchSpace], block: int) -> dict[str, list[tuple[int, ...]]]:
    """Returns the samples that a block crosses; the first augmentation is none."""
    rng = np.random.default_rng([7, block])
    made = {agent: [spaces[agent].sample(rng) for _ in range(SIDE)] for agent in AGENTS}
    made["aug"][0] = spaces["aug"].default
    return made


def train(design: Design, job: Job) -> dict[str, Any]:
    """Returns the result of one training."""
    spaces = design.spaces
    chosen = actions(spaces, job.block)
    joint = {agent: chosen[agent][index] for agent, index in zip(AGENTS, job.cell, strict=True)}
    evaluator = design.evaluator(job.epochs, job.images)
    evaluator.prepare()
    started = time.process_time()
    result = evaluator(decode_joint(spaces, joint), seed=job.seed)
    return {
        "key": job.key,
        "block": job.block,
        "cell": job.cell,
        "seed": job.seed,
        "epochs": job.epochs,
        "images": job.images,
        "accuracy": result.accuracy,
        "curve": result.curve,
        "flops": result.flops,
        "error": result.error,
        "seconds": round(time.process_time() - started, 2),
    }


def run(name: str, out: Path, shard: tuple[int, int], blocks: int) -> None:
    """Runs this shard's trainings that no file contains."""
    out.mkdir(parents=True, exist_ok=True)
    done = {row["key"] for row in rows(name, out)}
    with (out / f"{name}-{shard[0]}of{shard[1]}.jsonl").open("a") as file:
        for number, job in enumerate(jobs(blocks)):
            if number % shard[1] == shard[0] and job.key not in done:
                file.write(json.dumps(train(DESIGNS[name], job)) + "\n")
                file.flush()


def rows(name: str, out: Path) -> list[dict[str, Any]]:
    """Returns the trainings of a design so far."""
    files = sorted(out.glob(f"{name}-*of*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def report(name: str, out: Path) -> None:
    """Prints statistics of a design's trainings so far."""
    found = rows(name, out)
    plain = [row for row in found if (row["seed"], row["epochs"], row["images"]) == (0, 1, 1)]
    accuracies = np.array([row["accuracy"] for row in plain])
    seconds = [row["seconds"] for row in plain]
    print(f"{name}: {len(plain)} trainings, {np.mean(seconds):.1f} CPU-s on average, {max(seconds):.1f} at most")
    print(f"  accuracy {np.percentile(accuracies, [0, 5, 25, 50, 75, 95, 100]).round(3).tolist()}, "
          f"sd {accuracies.std():.4f}; below .2: {np.mean(accuracies < 0.2):.0%}")  # fmt: skip
    _report_components(plain)
    means = {i: [row["accuracy"] for row in plain if row["cell"][0] == i] for i in range(SIDE)}
    print("  mean by augmentation (the first is none):", [round(float(np.mean(m)), 4) for m in means.values() if m])
    base = {(row["block"], *row["cell"]): row["accuracy"] for row in plain}
    for label, member, value in (("seed", "seed", 1), ("epochs", "epochs", LONGER), ("images", "images", MORE)):
        pairs = [(base[row["block"], *row["cell"]], row["accuracy"]) for row in found if row[member] == value]
        if len(pairs) > 2:
            one, other = np.array(pairs).T
            print(f"  other {label}: {len(pairs)} pairs, Spearman {_interval(_spearman, one, other, 2)}, sd of a "
                  f"single one {_interval(_deviation, one, other, 4)}, {one.mean():.3f} -> {other.mean():.3f}, "
                  f"sd {one.std():.4f} -> {other.std():.4f}")  # fmt: skip


def _spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(spearmanr(one, other).statistic)


def _deviation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Standard deviation of a single training, from pairs."""
    return float((one - other).std(ddof=1) / 2**0.5)


def _interval(
    statistic: Callable[..., float], one: NDArray[np.float64], other: NDArray[np.float64], digits: int
) -> str:
    """A statistic of pairs, and its 95 % bootstrap interval, in words."""
    drawn = bootstrap((one, other), statistic, paired=True, vectorized=False, n_resamples=2000, method="percentile",
                      rng=np.random.default_rng(0)).confidence_interval  # fmt: skip
    return f"{statistic(one, other):.{digits}f} [{drawn.low:.{digits}f}, {drawn.high:.{digits}f}]"


def _report_components(plain: Sequence[Mapping[str, Any]]) -> None:
    tables = list(_tables(plain))
    if not tables:
        return
    whole = components(np.stack(tables))
    print(f"  {len(tables)} blocks, shares:", _rounded(whole, sum(max(0.0, value) for value in whole.values())))
    print("  with interactions, without the rest:", _with_interactions(whole))
    for left_out in range(len(tables)) if len(tables) > 2 else ():
        some = components(np.stack([table for number, table in enumerate(tables) if number != left_out]))
        print(f"    without block {left_out}:", _with_interactions(some))


def _with_interactions(found: Mapping[str, float]) -> dict[str, float]:
    """Shares of the agents in the variance between pipelines, interactions counted to each agent in them."""
    between = {label: max(0.0, value) for label, value in found.items() if label != "rest"}
    of = {a: sum(value for label, value in between.items() if a in label.split(" x ")) for a in AGENTS}
    return _rounded(of, sum(between.values()))


def _rounded(found: Mapping[str, float], total: float) -> dict[str, float]:
    return {label: round(max(0.0, value) / total, 2) if total else 0.0 for label, value in found.items()}


def _tables(plain: Sequence[Mapping[str, Any]]) -> Iterator[NDArray[np.float64]]:
    """Yields the complete blocks."""
    for block in sorted({row["block"] for row in plain}):
        table = np.full((SIDE,) * 3, np.nan)
        for row in plain:
            if row["block"] == block:
                table[tuple(row["cell"])] = row["accuracy"]
        if not np.isnan(table).any():
            yield table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--design", choices=DESIGNS, default="base")
    parser.add_argument("--out", type=Path, default=Path("runs/colour-gate"))
    parser.add_argument("--shard", default="0/1", help="i/n: the i-th of n processes, from 0")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    if arguments.report:
        report(arguments.design, arguments.out)
        return
    torch.set_num_threads(1)
    index, count = map(int, arguments.shard.split("/"))
    run(arguments.design, arguments.out, (index, count), arguments.blocks)


if __name__ == "__main__":
    main()
