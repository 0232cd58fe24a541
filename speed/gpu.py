"""Checks on a machine with a GPU what a CPU cannot check, in about eight minutes.

    python -m speed.gpu [--device cuda] [--minutes 6]

- **equality**: operations of the augmentation, logits and gradients of the same weights, and the accuracy of trainings
  under several seeds agree with the CPU's; a model that was trained on the GPU predicts the same on the CPU;
- **resume**: a final training that goes on from its checkpoint ends where an uninterrupted one ends;
- **memory**: evaluations leave nothing behind, and one that exhausts the memory is a failed pipeline, not a crash;
- **search**: a short real search with a final model;
- **step time**: our epoch against forward, backward and step of the same network on ready batches; the goal is 1.2;
- **throughput**: evaluations a minute of one, two and four workers on the same GPU.

Images are digits and random colors, so that nothing has to be downloaded. Each check prints what it measured beside
what was allowed; the last lines name what failed and what was not checked, and the exit code is 1 if a check failed.
`--device cpu` runs the script itself where there is no GPU: equality says nothing then.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.training.loop import Fit, Fitting, Normalization
from ma2ml_env.training.optimization import make_optimizer
from ma2ml_env.training.precision import autocast
from speed.gpu_checks import (
    COLORS,
    DIGITS,
    accuracies_agree,
    augmentations_agree,
    evaluator_on,
    exhausted_memory_fails_the_pipeline,
    expect,
    memory_is_given_back,
    model_moves,
    networks_agree,
    random_pipelines,
    training_resumes,
)  # fmt: skip

STEP_GOAL, EPOCHS = 1.2, 60


def search_works(device: str) -> str:
    env = ma2ml_env.make(DIGITS, device=device, epochs=4, retrain_epochs=8)
    started = time.monotonic()
    with ProcessExecutor(env.evaluate, 2) as executor, tempfile.TemporaryDirectory() as folder:
        trials = run_search(env, make_learner("ma2ml", agent_specs(env), seed=0), 24, executor=executor, out=folder)
    failed = [trial.result.error for trial in trials if trial.result.failed]
    best = max(trials, key=lambda trial: trial.reward)
    assert isinstance(env.evaluator, TrainEvaluator)
    _, test = env.evaluator.retrain(best.pipeline, seed=0)
    took = f"24 pipelines in {time.monotonic() - started:.0f} s"
    text = f"{took}, {len(failed)} failed, best {best.reward:.4f}, test {test:.4f}"
    return expect(len(failed) <= 4 and test > 0.5, text)


def synchronize(device: str) -> None:
    """Waits for the device's work."""
    if device != "cpu":
        torch.cuda.synchronize(device)


@contextmanager
def timed(device: str, seconds: list[float]) -> Iterator[None]:
    """Appends the seconds of a block, the device's work included."""
    synchronize(device)
    started = time.perf_counter()
    yield
    synchronize(device)
    seconds.append(time.perf_counter() - started)


def steps_are_fast(device: str) -> str:
    evaluator, ratios = evaluator_on(device), []
    training = evaluator._training
    splits, place = training.splits, torch.device(device)
    normalization = Normalization.of(splits.train)
    for pipeline in random_pipelines(ma2ml_env.make(COLORS), 3):
        network, recipe = evaluator.build(pipeline), pipeline["hpo"]
        generator = torch.Generator(place).manual_seed(0)
        fitting = Fitting(splits.train, normalization, pipeline["aug"], recipe, EPOCHS, 10, place)
        whole = Fit(network, fitting, generator)
        inputs = torch.split(normalization(splits.train.pixels), recipe.batch_size)[: fitting.batches_per_epoch]
        labels = torch.split(splits.train.labels, recipe.batch_size)
        ours, bare = list[float](), list[float]()
        for _ in range(4):
            with timed(device, ours):
                whole.run_epoch()
            with timed(device, bare):
                bare_epoch(network, make_optimizer(network, recipe), list(zip(inputs, labels, strict=False)))
        ratios.append(statistics.median(ours[1:]) / statistics.median(bare[1:]))
    ratio = statistics.median(ratios)
    return expect(
        ratio <= STEP_GOAL,
        f"{ratio:.2f} times the bare loop; by network {[f'{r:.2f}' for r in ratios]} (goal {STEP_GOAL})",
    )


def bare_epoch(network: nn.Module, optimizer: torch.optim.Optimizer, ready: list[tuple[Tensor, Tensor]]) -> None:
    """Forward, backward and step of a network on ready batches."""
    for inputs, labels in ready:
        with autocast(inputs.device):
            loss = F.cross_entropy(network(inputs), labels)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()


def workers_share_the_gpu(device: str) -> str:
    env = ma2ml_env.make(DIGITS, device=device, epochs=4)
    found = {}
    for workers in (1, 2, 4):
        with ProcessExecutor(env.evaluate, workers) as executor:
            pipelines = random_pipelines(env, 3 * workers + workers)
            for future in [executor.submit(p, 0) for p in pipelines[:workers]]:
                future.result()  # a process loads its libraries with its first evaluation
            started = time.monotonic()
            for future in [executor.submit(p, 0) for p in pipelines[workers:]]:
                future.result()
            found[workers] = 60 * 3 * workers / (time.monotonic() - started)
    text = ", ".join(f"{each:.0f} a minute with {workers}" for workers, each in found.items())
    return expect(device == "cpu" or found[2] > found[1], text)


CHECKS: tuple[tuple[Callable[[str], str], bool], ...] = (
    (augmentations_agree, False), (networks_agree, False), (accuracies_agree, False), (model_moves, False),
    (training_resumes, False), (memory_is_given_back, True), (exhausted_memory_fails_the_pipeline, True),
    (steps_are_fast, False), (search_works, False), (workers_share_the_gpu, False),
)  # fmt: skip
"""Checks, and whether they need a GPU."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=6.0, help="begin no check after so many minutes")
    given = parser.parse_args()
    device, started, failed, unchecked = given.device, time.monotonic(), [], []
    if device != "cpu" and not torch.cuda.is_available():
        print("torch sees no CUDA device; --device cpu runs the script without one", file=sys.stderr)
        return 2
    if device == "cuda":
        device = f"cuda:{torch.cuda.current_device()}"  # a limit on memory is set by the GPU's number
    card = "no GPU" if device == "cpu" else torch.cuda.get_device_name(device)
    print(
        f"{card}, torch {torch.__version__}, CUDA {torch.version.cuda}, Python {platform.python_version()}", flush=True
    )
    torch.set_num_threads(1)
    for check, needs_gpu in CHECKS:
        name = check.__name__.replace("_", " ")
        if (needs_gpu and device == "cpu") or time.monotonic() - started > 60 * given.minutes:
            unchecked.append(name)
            continue
        before = time.monotonic()
        try:
            print(f"ok      {name}: {check(device)}", end="")
        except Exception as error:  # the other checks are run whatever one of them raises
            failed.append(name)
            print(f"FAILED  {name}: {type(error).__name__}: {error}", end="")
        print(f"  [{time.monotonic() - before:.0f} s]", flush=True)
    print(f"{time.monotonic() - started:.0f} s; failed: {', '.join(failed) or 'nothing'}")
    print(f"not checked: {', '.join(unchecked) or 'nothing'}; several GPUs, and images that exceed a GPU's memory")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
