"""Overhead of an evaluation over the bare training, comparison with a plain training loop, and scaling to two workers.

    python speed/evaluator.py                  # ours, the bare limit and a plain loop; several minutes on one core
    python speed/evaluator.py --workers 2      # pipelines per hour of two workers against one; needs two cores

Random pipelines of `ma2ml/digits-v0`, each trained four times, taking turns, on one thread:

- **ours**: `env.evaluate`;
- **bare**: forward, backward and optimizer step of the same network on ready batches, and the same validation passes
  on ready images. It is our training with a stopwatch that runs in these parts only, so its learning curve must equal
  ours. Building the network, augmentation, normalization, mixup and schedules do not count;
- **plain**: a typical PyTorch loop: Pillow images as torchvision's data sets return them, `DataLoader`,
  `v2.AutoAugment` image by image, then the same network, schedule and loss, and the same optimizer as timm creates it;
- **tensors**: the same loop on images that are tensors already, which is the faster variant.

The ratios are medians over pipelines, of CPU time and of wall-clock time. On a shared machine trust the last lines:
they divide the time of a whole run by that of its own bare parts, so that both are subject to the same load.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import to_pil_image

import ma2ml_env
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_env import AutoMLEnv, Pipeline
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.tasks.task import Images
from ma2ml_env.training.loop import (
    EVALUATION_BATCH,
    Fitting,
    Normalization,
    batches,
)
from ma2ml_env.training.optimization import make_optimizer, make_schedule

ENV = "ma2ml/digits-v0"
Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass
class StopWatch:
    """Stopwatch of wall-clock and CPU seconds of this process."""

    wall: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measures the time within a `with` block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


@dataclass
class Run:
    """One training's measurements: its whole time, that of its steps and validation passes, and its learning curve."""

    whole: StopWatch = field(default_factory=StopWatch)
    bare: StopWatch = field(default_factory=StopWatch)
    curve: tuple[float, ...] = ()


def train(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    epochs: Iterable[Batches],
    steps: int,
    validation: Batches,
    watch: StopWatch,
) -> tuple[float, ...]:
    """Runs the training loop of a recipe; measures forward, backward, optimizer step, averaging and validation."""
    schedule = make_schedule(optimizer, recipe, steps)
    average = ModelEmaV3(network, decay=recipe.ema_decay, foreach=True) if recipe.ema_decay else None
    mixup = v2.MixUp(alpha=recipe.mixup, num_classes=10) if recipe.mixup else None
    step, curve = 0, list[float]()
    for epoch in epochs:
        network.train()
        for inputs, labels in epoch:
            schedule(step)
            network.set_drop_path_progress(step / steps)  # type: ignore[operator]
            inputs, targets = (inputs, labels) if mixup is None else mixup(inputs, labels)
            with watch.running():
                loss = F.cross_entropy(network(inputs), targets, label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if average is not None:
                    average.update(network)
            step += 1
        curve.append(validate(network if average is None else average.module, validation, watch))
    return tuple(curve)


@torch.no_grad()
def validate(network: nn.Module, validation: Batches, watch: StopWatch) -> float:
    network.eval()
    right = images = 0
    for inputs, labels in validation:
        with watch.running():
            right += int((network(inputs).argmax(1) == labels).sum())
        images += len(labels)
    return right / images


def ours(env: AutoMLEnv, pipeline: Pipeline) -> Run:
    run = Run()
    with run.whole.running():
        run.curve = env.evaluate(pipeline).curve
    return run


def bare(env: AutoMLEnv, pipeline: Pipeline) -> Run:
    evaluator, recipe, run, cpu = env.evaluator, pipeline["hpo"], Run(), torch.device("cpu")
    splits = evaluator.task.load()
    assert len(splits.validation) <= EVALUATION_BATCH
    with run.whole.running():
        normalization, seed = Normalization.of(splits.train), pipeline.random_seed(0)
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        network = evaluator.build(pipeline)
        fitting = Fitting(splits.train, normalization, pipeline["aug"], recipe, evaluator.epochs, 10, cpu)
        epochs = (batches(fitting, generator) for _ in range(fitting.epochs))
        steps = fitting.epochs * fitting.batches_per_epoch
        ready = [(normalization(splits.validation.pixels), splits.validation.labels)]
        run.curve = train(network, make_optimizer(network, recipe), recipe, epochs, steps, ready, run.bare)
    return run


class PerImage(Dataset[tuple[Tensor, Tensor]]):
    """Data set in the style of torchvision's: images are transformed when accessed."""

    def __init__(self, images: Images, transform: Callable[[Any], Tensor], pictures: bool) -> None:
        self.pixels = [to_pil_image(pixels) for pixels in images.pixels] if pictures else images.pixels
        self.labels, self.transform = images.labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.pixels[index]), self.labels[index]


def plain(env: AutoMLEnv, pipeline: Pipeline, pictures: bool = True) -> Run:
    evaluator, recipe, run = env.evaluator, pipeline["hpo"], Run()
    splits = evaluator.task.load()
    normalization = Normalization.of(splits.train)
    standardize = v2.Normalize(list(normalization.mean), list(normalization.std))
    read = v2.Compose([*[v2.ToImage()] * pictures, v2.ToDtype(torch.float32, scale=True), standardize])
    augmented = v2.Compose([v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10), read])
    train_images = PerImage(splits.train, augmented, pictures)
    validation_images = PerImage(splits.validation, read, pictures)
    with run.whole.running():
        loader = DataLoader(train_images, recipe.batch_size, shuffle=True, drop_last=True)
        validation = DataLoader(validation_images, EVALUATION_BATCH)
        network = evaluator.build(pipeline)
        optimizer = make_optimizer(network, recipe)
        for group in optimizer.param_groups:
            group["foreach"] = None  # the default of torch and timm
        epochs, steps = [loader] * evaluator.epochs, evaluator.epochs * len(loader)
        run.curve = train(network, optimizer, recipe, epochs, steps, validation, run.bare)
    return run


def ratio(name: str, watches: Iterable[tuple[StopWatch, StopWatch]], goal: str = "") -> float:
    """Prints the median ratios of CPU time and of wall-clock time; returns the former."""
    pairs = list(watches)
    cpu = statistics.median(over.cpu / under.cpu for over, under in pairs)
    wall = statistics.median(over.wall / under.wall for over, under in pairs)
    print(f"{name:30s} CPU {cpu:.3f}   wall clock {wall:.3f}{goal and '   goal: '}{goal}")
    return cpu


def summary(runs: Sequence[dict[str, Run]]) -> None:
    """Prints the ratios between runs that have a goal, and those within a run."""
    ratio("ours / bare", ((run["ours"].whole, run["bare"].bare) for run in runs), "at most 1.15")
    for name in ("plain", "tensors"):
        ratio(f"{name} / ours", ((run[name].whole, run["ours"].whole) for run in runs), "at least 1.35")
    parts = {"bare": "ours / its bare part", "plain": "plain / its bare part", "tensors": "tensors / its bare part"}
    within = {name: ratio(label, ((r[name].whole, r[name].bare) for r in runs)) for name, label in parts.items()}
    for name in ("plain", "tensors"):
        print(f"{name + ' / ours, from these':30s} CPU {within[name] / within['bare']:.3f}")


def side_by_side(env: AutoMLEnv, pipelines: Sequence[Pipeline]) -> None:
    contestants = [("ours", ours), ("bare", bare), ("plain", plain), ("tensors", partial(plain, pictures=False))]
    for _, contestant in contestants:
        contestant(ma2ml_env.make(ENV, epochs=1), pipelines[0])
    runs = []
    for number, pipeline in enumerate(pipelines):
        turn = number % len(contestants)
        run = {name: train_it(env, pipeline) for name, train_it in contestants[turn:] + contestants[:turn]}
        if run["ours"].curve != run["bare"].curve:
            print(f"pipeline {number}: the bare training has another learning curve, so its time is no bound on ours")
        seconds = {name: run[name].whole.cpu for name in ("ours", "plain", "tensors")} | {"bare": run["bare"].bare.cpu}
        times = "   ".join(f"{name} {seconds[name]:5.2f} s" for name, _ in contestants)
        print(f"pipeline {number:2d}, CPU: {times}   {pipeline['hpo']}", flush=True)
        runs.append(run)
    summary(runs)


def throughput(env: AutoMLEnv, pipelines: Sequence[Pipeline], workers: int) -> None:
    """Prints pipelines per hour of several workers and of one, taking turns; the slowest first, to balance the load."""
    executors = {count: ProcessExecutor(env.evaluate, count) for count in (1, workers)}
    seconds = dict.fromkeys(executors, 0.0)
    try:
        for count, executor in executors.items():
            for future in [executor.submit(pipelines[0], 0, epochs=1) for _ in range(count)]:
                future.result()
        for part in (pipelines[::2], pipelines[1::2]):
            dearest_first = sorted(part, key=lambda pipeline: -env.cost(pipeline).flops)
            for count, executor in executors.items():
                started = time.perf_counter()
                for future in [executor.submit(pipeline, 0) for pipeline in dearest_first]:
                    future.result()
                seconds[count] += time.perf_counter() - started
    finally:
        for executor in executors.values():
            executor.shutdown()
    for count, taken in seconds.items():
        print(f"{count} worker{'s' * (count > 1)}: {3600 * len(pipelines) / taken:6.0f} pipelines per hour")
    print(f"{workers} workers / 1 worker: {seconds[1] / seconds[workers]:.3f}   goal for two: at least 1.8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="seed of the random pipelines")
    parser.add_argument("--workers", type=int, help="measure this many worker processes against one instead")
    options = parser.parse_args()
    env, rng = ma2ml_env.make(ENV), np.random.default_rng(options.seed)
    pipelines = [
        env.decode({agent: space.sample(rng) for agent, space in env.search_spaces.items()})
        for _ in range(options.pipelines)
    ]
    torch.set_num_threads(1)
    print(f"{options.pipelines} random pipelines of {ENV}, torch {torch.__version__}, one thread per training")
    if options.workers:
        throughput(env, pipelines, options.workers)
    else:
        side_by_side(env, pipelines)


if __name__ == "__main__":
    main()
