"""Training of one network on images in memory, as fast as the device allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torchvision.transforms.v2 import MixUp

from ma2ml_env.augment import augment
from ma2ml_env.augment.standard import STANDARD
from ma2ml_env.search_spaces.autoaugment import Policy
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.tasks.task import Images
from ma2ml_env.training.optimization import make_optimizer, make_schedule
from ma2ml_env.training.precision import autocast

AUGMENT_CHUNK, AUGMENT_BYTES = 4096, 2**26
MEASURED = 4_000
EVALUATION_BATCH = 512


class DivergedError(ArithmeticError):
    """The loss is not a finite number."""


class DropPathNetwork(Protocol):
    """Interface that training requires of a network besides being a module."""

    def set_drop_path_progress(self, progress: float) -> None:
        """Sets scheduled drop-path to the training's progress, in [0, 1]."""


class Normalization(nn.Module):
    """Standardizes pixels by the channels' means and standard deviations; a part of a saved or exported network.

    Args:
        mean: per channel, of pixels in [0, 1].
        std: per channel, of pixels in [0, 1].

    Source: the usual input standardization.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        self.register_buffer("offset", (torch.tensor(self.mean) * 255.0).view(1, -1, 1, 1))
        self.register_buffer("scale", (torch.tensor(self.std) * 255.0).reciprocal().view(1, -1, 1, 1))

    @classmethod
    def of(cls, images: Images) -> Normalization:
        """Measured on `images`, of twice 4,000 or more on every n-th; a constant channel keeps standard deviation 1."""
        pixels = images.pixels[:: max(1, len(images) // MEASURED)].float().div(255.0)
        deviation = pixels.std(dim=(0, 2, 3))
        return cls(
            pixels.mean(dim=(0, 2, 3)).tolist(),
            torch.where(deviation > 0, deviation, torch.ones_like(deviation)).tolist(),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Uint8 (N, C, H, W), on any device, to standardized float32, channels last."""
        offset, scale = self.offset.to(pixels.device), self.scale.to(pixels.device)
        return ((pixels.float() - offset) * scale).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Fitting:
    """One training: everything but the network.

    Attributes:
        images: to train on; their pixels may lie in the host's memory, their labels are on the device.
        normalization: normalization of the network's input.
        policy: augmentation, None for none.
        recipe: hyper-parameters.
        epochs: passes over the images, at least 1.
        num_classes: for mixup.
        device: device to train on.
        standard: augmentation before the policy, a key of `STANDARD`.
    """

    images: Images
    normalization: Normalization
    policy: Policy | None
    recipe: Recipe
    epochs: int
    num_classes: int
    device: torch.device
    standard: str = "none"

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in a pass over the images, at least 1."""
        return max(1, len(self.images) // self.recipe.batch_size)


class Fit:
    """A training in progress, whose state can be saved between epochs.

    Args:
        network: on the device of the fitting, channels last; trained in place.
        fitting: data, recipe and device of the training.
        generator: draws the order of images, the augmentations; on the device of the fitting.
        watched: whether training accuracy is counted, at a little cost.

    Attributes:
        epoch: number of finished epochs.
        curve: (mean loss, accuracy on the augmented training images) of each epoch, if watched.

    Source: timm, for optimizers, schedules and weight averaging; torchvision, for mixup.
    """

    def __init__(
        self, network: nn.Module, fitting: Fitting, generator: torch.Generator, *, watched: bool = False
    ) -> None:
        recipe = fitting.recipe
        self.network, self.fitting, self.generator, self.watched = network, fitting, generator, watched
        self.steps = fitting.epochs * fitting.batches_per_epoch
        self.optimizer = make_optimizer(network, recipe)
        self.schedule = make_schedule(self.optimizer, recipe, self.steps)
        self.average = ModelEmaV3(network, decay=recipe.ema_decay, foreach=True) if recipe.ema_decay else None
        self.mixup = MixUp(alpha=recipe.mixup, num_classes=fitting.num_classes) if recipe.mixup else None
        self.epoch = 0
        self.curve: list[tuple[float, float]] = []

    @property
    def evaluated(self) -> nn.Module:
        """The network to evaluate: the averaged one where the recipe has `ema_decay`, else the given one."""
        return self.network if self.average is None else self.average.module

    def run_epoch(self, on_step: Callable[[float], None] = lambda epochs: None) -> None:
        """Trains for one epoch.

        Args:
            on_step: receives the number of epochs so far, a fraction, after every step.

        Raises:
            DivergedError: if its loss is not finite.
        """
        fitting, recipe = self.fitting, self.fitting.recipe
        self.network.train()
        total, correct = (torch.zeros((), device=fitting.device) for _ in range(2))
        first = self.epoch * fitting.batches_per_epoch
        for step, (pixels, labels) in enumerate(batches(fitting, self.generator), start=first):
            self.schedule(step)
            self.network.set_drop_path_progress(step / self.steps)  # type: ignore[operator]
            inputs, targets = (pixels, labels) if self.mixup is None else self.mixup(pixels, labels)
            with autocast(fitting.device):
                logits = self.network(inputs)
                loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.optimizer.step()
            if self.average is not None:
                self.average.update(self.network)
            total += loss.detach()
            if self.watched:
                correct += _hits(logits, targets)
            on_step((step + 1) / fitting.batches_per_epoch)
        self.epoch += 1
        if not torch.isfinite(total):
            raise DivergedError(f"the loss is {total.item()} after epoch {self.epoch} of {fitting.epochs}")
        if self.watched:
            steps = fitting.batches_per_epoch
            images = min(len(fitting.images), steps * recipe.batch_size)
            self.curve.append((total.item() / steps, correct.item() / images))

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on, torch's own generators included."""
        cuda = self.fitting.device.type == "cuda"
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.fitting.device) if cuda else None,
            "epoch": self.epoch,
            "curve": [list(point) for point in self.curve],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`; torch's own generators are set, too."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.fitting.device)
        self.epoch = state["epoch"]
        self.curve = [(loss, share) for loss, share in state["curve"]]


def fit(training: Fit, go_on_after: Callable[[int, nn.Module], bool]) -> nn.Module:
    """Trains a network to the end of its fitting.

    Args:
        training: before its first epoch, or later.
        go_on_after: called with the number of each epoch, from 1, when it is over, and with the network that would be
            evaluated; training ends when it is false.

    Returns:
        The network to evaluate.

    Raises:
        DivergedError: if the loss of an epoch is not finite.
    """
    while training.epoch < training.fitting.epochs:
        training.run_epoch()
        if not go_on_after(training.epoch, training.evaluated):
            break
    return training.evaluated


def _hits(logits: Tensor, targets: Tensor) -> Tensor:
    """Number of images whose likeliest class is the one that weighs most in the target."""
    wanted = targets if targets.ndim == 1 else targets.argmax(dim=1)
    return (logits.detach().argmax(dim=1) == wanted).sum()


@torch.no_grad()
def accuracy(network: nn.Module, images: Images, normalization: Normalization, metric: str = "accuracy") -> float:
    """The share of images, their labels already on the network's device, that it classifies correctly, in [0, 1].

    Args:
        network: to measure, put into evaluation mode.
        images: to classify.
        normalization: normalization of the network's input.
        metric: `"accuracy"`, or `"balanced_accuracy"` for the mean over the classes that occur of the share of each.

    Source: scikit-learn, for balanced accuracy.
    """
    network.eval()
    device = images.labels.device
    correct = torch.zeros(len(images), dtype=torch.bool, device=device)
    for start in range(0, len(images), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        with autocast(device):
            predicted = network(normalization(_moved(images.pixels[part], device))).argmax(dim=1)
        correct[part] = predicted == images.labels[part]
    if metric == "accuracy":
        return int(correct.sum()) / len(images)
    counts = torch.bincount(images.labels)
    hits = torch.bincount(images.labels[correct], minlength=len(counts))
    return float((hits[counts > 0].double() / counts[counts > 0]).mean())


def batches(fitting: Fitting, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: shuffled, augmented, normalized; chunks are augmented at once, a last partial batch is left out.

    Args:
        fitting: data, recipe and device of the training.
        generator: draws the order and the augmentations; on the device of the fitting.
    """
    images, size = fitting.images, fitting.recipe.batch_size
    order = torch.randperm(len(images), generator=generator, device=fitting.device)
    order = order[: fitting.batches_per_epoch * size]
    at_once = min(AUGMENT_CHUNK, AUGMENT_BYTES // images.pixels[0].numel())
    chunk = max(1, at_once // size) * size
    for start in range(0, len(order), chunk):
        chosen = order[start : start + chunk]
        pixels = _moved(images.pixels[chosen.to(images.pixels.device)], fitting.device)
        labels = images.labels[chosen]
        pixels = STANDARD[fitting.standard](pixels, generator)
        if fitting.policy is not None:
            pixels = augment(pixels, fitting.policy, generator)
        inputs = fitting.normalization(pixels)
        yield from zip(torch.split(inputs, size), torch.split(labels, size), strict=True)


def _moved(pixels: Tensor, device: torch.device) -> Tensor:
    """Pixels on the device; from the host's memory without waiting, which requires pinned memory."""
    if device.type == "cuda" and pixels.device.type == "cpu":
        pixels = pixels.pin_memory()
    return pixels.to(device, non_blocking=True)
