"""Checks of `speed/gpu.py` that the results on a GPU agree with those on the CPU, and of its memory.

Each check receives the device, and returns what it measured beside what was allowed, or raises it.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ma2ml_env
from ma2ml_env import AutoMLEnv, Pipeline
from ma2ml_env.augment import apply_operation
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.search_spaces.autoaugment import OPERATIONS, Operation
from ma2ml_env.tasks.task import Images, Splits
from ma2ml_env.training.loop import Fit, Fitting, Normalization, accuracy
from ma2ml_env.training.precision import autocast

COLORS, DIGITS = "ma2ml/cifar10-16px-v0", "ma2ml/digits-v0"
LOGITS, ANGLE = 0.05, 0.1
"""Largest difference of logits, relative to the largest of them, and of gradients, as 1 - cosine, under bfloat16."""
PIXELS, SHARE = 2, 0.02
"""Largest difference of augmented images, of 255, and the share of pixels that may differ by more."""
SEEDS, EPOCHS, CANDIDATES = 6, 4, 6
IMAGES, IMAGES_ON_CPU = 4_096, 512
ROOM, IMAGES_THAT_DO_NOT_FIT = 256 * 2**20, 512
"""Bytes of memory in which neither so many images of 512 pixels fit, nor a batch's activations."""


class FailedCheckError(AssertionError):
    """A measured value is outside what is allowed."""


@dataclass(frozen=True)
class RandomColors:
    """The task of telling apart classes of random color images whose brightness says the class."""

    name: str = "random-colors"
    image_size: int = 32
    channels: int = 3
    classes: tuple[str, ...] = tuple("0123456789")
    images: int = 4_096

    def load(self) -> Splits:
        """Three parts, the same in every process."""
        return _random_splits(self.images, self.image_size, len(self.classes))


@cache
def _random_splits(images: int, size: int, classes: int) -> Splits:
    generator = torch.Generator().manual_seed(0)

    def part(count: int) -> Images:
        labels = torch.randint(classes, (count,), generator=generator)
        noise = torch.randint(64, (count, 3, size, size), generator=generator)
        return Images((noise + 18 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)

    return Splits(part(images), part(1_024), part(1_024))


def random_pipelines(env: AutoMLEnv, count: int) -> list[Pipeline]:
    """Random pipelines of an environment, the same in every call."""
    rng = np.random.default_rng(0)
    return [env.decode({name: space.sample(rng) for name, space in env.search_spaces.items()}) for _ in range(count)]


def evaluator_on(device: str, size: int = 32, epochs: int = 2, images: int = IMAGES) -> TrainEvaluator:
    """An evaluator of residual networks on random colors."""
    task = RandomColors(image_size=size, images=images if device != "cpu" else IMAGES_ON_CPU)
    return TrainEvaluator(task, ResidualSkeleton(), epochs, 2 * epochs, device=device)


def expect(holds: bool, measured: str) -> str:
    """Returns what was measured, or raises it as an error."""
    if not holds:
        raise FailedCheckError(measured)
    return measured


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    return float((found.cpu().float() - expected).abs().max() / expected.abs().max().clamp_min(1e-12))


def augmentations_agree(device: str) -> str:
    images = RandomColors().load().train.pixels[:256]
    worst = {}
    for name in OPERATIONS:
        there, here = (apply_operation(images.to(d), Operation(name, 1.0, 6)).cpu().int() for d in (device, "cpu"))
        worst[name] = float(((there - here).abs() > PIXELS).float().mean())
    name = max(worst, key=lambda key: worst[key])
    return expect(
        worst[name] <= SHARE, f"{name} differs most, in {worst[name]:.2%} of the pixels (allowed {SHARE:.0%})"
    )


def networks_agree(device: str) -> str:
    found = []
    for pipeline in random_pipelines(ma2ml_env.make(COLORS), 4):
        torch.manual_seed(0)
        here, there = evaluator_on("cpu").build(pipeline).eval(), evaluator_on(device).build(pipeline).eval()
        there.load_state_dict(here.state_dict())
        expected, found_there = (logits_and_gradient(net, place) for net, place in ((here, "cpu"), (there, device)))
        angle = 1 - float(F.cosine_similarity(found_there[1], expected[1], dim=0))
        found.append((relative(found_there[0], expected[0]), angle))
    logits, gradients = (max(values) for values in zip(*found, strict=True))
    text = (
        f"logits differ by {logits:.4f} (allowed {LOGITS}), gradients by 1 - cosine {gradients:.4f} (allowed {ANGLE})"
    )
    return expect(logits <= LOGITS and gradients <= ANGLE, text)


def logits_and_gradient(network: nn.Module, device: str) -> tuple[Tensor, Tensor]:
    """Logits of 64 images and the gradient of their loss, as one vector, both on the CPU."""
    part = RandomColors().load().train
    inputs, labels = Normalization.of(part)(part.pixels[:64]).to(device), part.labels[:64].to(device)
    with autocast(inputs.device):
        logits = network(inputs)
        loss = F.cross_entropy(logits, labels)
    torch.autograd.backward(loss)
    gradients = [p.grad.flatten().float().cpu() for p in network.parameters() if p.grad is not None]
    return logits.detach().float().cpu(), torch.cat(gradients)


def accuracies_agree(device: str) -> str:
    env = ma2ml_env.make(DIGITS)
    assert isinstance(env.evaluator, TrainEvaluator)
    on_cpu, on_device = env.evaluator, replace(env.evaluator, device=device)
    pipeline = max(random_pipelines(env, CANDIDATES), key=lambda each: on_device(each, seed=0).accuracy)
    here, there = ([on(pipeline, seed=seed).accuracy for seed in range(1, 1 + SEEDS)] for on in (on_cpu, on_device))
    error = ((statistics.variance(here) + statistics.variance(there)) / SEEDS + 1e-5) ** 0.5
    means = statistics.fmean(there), statistics.fmean(here)
    text = (
        f"mean accuracy {means[0]:.4f} there, {means[1]:.4f} on the CPU, standard error {error:.4f} (allowed 3 of them)"
    )
    return expect(abs(means[0] - means[1]) <= 3 * error, text)


def model_moves(device: str) -> str:
    evaluator = evaluator_on(device)
    model, test = evaluator.retrain(random_pipelines(ma2ml_env.make(COLORS), 1)[0], seed=0)
    part = evaluator.task.load().test
    again = float((torch.as_tensor(model.predict_proba(part.pixels)).argmax(1) == part.labels).float().mean())
    return expect(abs(again - test) <= 0.01, f"test accuracy {test:.4f} there, {again:.4f} on the CPU (allowed .01)")


def training_resumes(device: str) -> str:
    evaluator, pipeline = evaluator_on(device), random_pipelines(ma2ml_env.make(COLORS), 1)[0]
    training, place = evaluator._training, torch.device(device)
    splits, normalization = training.splits, Normalization.of(training.splits.train)
    fitting = Fitting(splits.train, normalization, pipeline["aug"], pipeline["hpo"], EPOCHS, 10, place)

    def begun() -> Fit:
        torch.manual_seed(0)
        return Fit(evaluator.build(pipeline), fitting, torch.Generator(place).manual_seed(0))

    whole, first, second = begun(), begun(), begun()
    torch.manual_seed(1)
    for _ in range(EPOCHS):
        whole.run_epoch()
    torch.manual_seed(1)
    for _ in range(EPOCHS // 2):
        first.run_epoch()
    second.load_state_dict(first.state_dict())
    while second.epoch < EPOCHS:
        second.run_epoch()
    at_once, resumed = (accuracy(t.evaluated, splits.validation, normalization) for t in (whole, second))
    off = relative(next(second.network.parameters()).detach(), next(whole.network.parameters()).detach().cpu())
    text = f"accuracy {resumed:.4f} resumed, {at_once:.4f} at once (allowed .02); first weights differ by {off:.1e}"
    return expect(abs(resumed - at_once) <= 0.02, text)


def memory_is_given_back(device: str) -> str:
    evaluator, pipelines, kept = evaluator_on(device), random_pipelines(ma2ml_env.make(COLORS), 4), []
    torch.cuda.reset_peak_memory_stats(device)
    for pipeline in pipelines:
        evaluator(pipeline, seed=0)
        torch.cuda.synchronize(device)
        kept.append(torch.cuda.memory_allocated(device) / 2**20)
    peak = torch.cuda.max_memory_allocated(device) / 2**20
    text = f"{kept[0]:.0f} MiB are kept after one evaluation, {kept[-1]:.0f} after {len(kept)}; peak {peak:.0f} MiB"
    return expect(kept[-1] <= kept[0] + 16, text)


def exhausted_memory_fails_the_pipeline(device: str) -> str:
    room, total = ROOM, torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / total), device)
    try:
        pipeline = random_pipelines(ma2ml_env.make(COLORS), 1)[0]
        error = evaluator_on(device, size=512, epochs=1, images=IMAGES_THAT_DO_NOT_FIT)(pipeline, seed=0).error
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()
    return expect(error is not None and error.startswith("out of memory"), f"a result says {error!r}")
