"""A residual network with a fixed recipe, trained on a folder of images within a time limit.

    python experiments/rivals/resnet_images.py TRAIN TEST --seconds 900 --seed 0

What a practitioner trains without a search: timm's ResNet-18 of half its width with a stem for small images,
TrivialAugmentWide, a crop and, for colored images, a flip, SGD with Nesterov momentum under a one-cycle schedule, label
smoothing, and averaged weights. All images of TRAIN are learned from; the number of epochs follows from the first
one's time. Prints a JSON object with the accuracy on TEST.

Source: Mueller and Hutter, 2021, for TrivialAugment; Smith and Topin, 2019, for the schedule.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import timm
import torch
from arguments import parsed
from PIL import Image
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

BATCH, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, SMOOTHING = 64, 0.1, 0.9, 5e-4, 0.1
MOST_EPOCHS, RESERVE = 200, 0.03
"""Epochs that small data sets gain from, and the share of the time that is kept for the test."""
AVERAGED = 0.1
"""Share of the steps over which weights are averaged."""


class Images(ImageFolder):
    """A folder of images, decoded once."""

    def __init__(self, folder: Path, mode: str, transform: Any) -> None:
        super().__init__(str(folder), transform=transform)
        self.decoded = [(Image.open(path).convert(mode), label) for path, label in self.samples]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self.decoded[index]
        assert self.transform is not None
        return self.transform(image), label


def transformations(mode: str, size: int) -> tuple[Any, Any]:
    """Returns the transformations of training and test images."""
    normalize = transforms.Normalize([0.5] * len(mode), [0.25] * len(mode))
    flip = [transforms.RandomHorizontalFlip()] if mode == "RGB" else []
    crop = transforms.RandomCrop(size, padding=size // 8)
    train = [crop, *flip, transforms.TrivialAugmentWide(), transforms.ToTensor(), normalize]
    return transforms.Compose(train), transforms.Compose([transforms.ToTensor(), normalize])


def network(classes: int, channels: int) -> nn.Module:
    """Returns the network, whose first stage has the images' size."""
    made: Any = timm.create_model(
        "resnet18", num_classes=classes, in_chans=channels, channels=(32, 64, 128, 256), stem_width=32
    )
    made.conv1 = nn.Conv2d(channels, made.conv1.out_channels, 3, padding=1, bias=False)
    made.maxpool = nn.Identity()
    return made.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def train(train_set: Images, seconds: float) -> tuple[nn.Module, int]:
    """Trains as many epochs as fit into the time; returns the averaged network and the number of epochs."""
    started, loader = time.monotonic(), DataLoader(train_set, BATCH, shuffle=True, drop_last=True)
    channels = train_set[0][0].shape[0]
    net = network(len(train_set.classes), channels)
    loss = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)

    def epoch(after_batch: Any, optimizer: torch.optim.Optimizer) -> None:
        for images, labels in loader:
            optimizer.zero_grad()
            loss(net(images.contiguous(memory_format=torch.channels_last)), labels).backward()
            optimizer.step()
            after_batch()

    trial = torch.optim.SGD(net.parameters(), lr=0.0)
    epoch(lambda: None, trial)  # with a learning rate of 0, to measure its time
    took = time.monotonic() - started
    epochs = max(1, min(MOST_EPOCHS, math.floor((seconds * (1 - RESERVE) - took) / took)))
    net = network(len(train_set.classes), channels)
    steps = epochs * len(loader)
    decays = [p for p in net.parameters() if p.ndim > 1], [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decays[0], "weight_decay": WEIGHT_DECAY}, {"params": decays[1], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    average = ModelEmaV3(net, decay=1 - 1 / max(1.0, AVERAGED * steps))

    def after_batch() -> None:
        schedule.step()
        average.update(net)

    net.train()
    for _ in range(epochs):
        epoch(after_batch, optimizer)
    return average.module.eval(), epochs


@torch.inference_mode()
def accuracy(net: nn.Module, test_set: Images) -> float:
    """Returns the share of test images that are classified correctly."""
    right = [
        (net(images.contiguous(memory_format=torch.channels_last)).argmax(1) == labels).sum().item()
        for images, labels in DataLoader(test_set, 500)
    ]
    return sum(right) / len(test_set)


def main() -> None:
    given = parsed(__doc__)
    started = time.monotonic()
    torch.manual_seed(given.seed)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    first = Image.open(next(given.train.rglob("*.png")))
    mode = "L" if first.mode == "L" else "RGB"
    for_training, for_test = transformations(mode, first.size[0])
    images = Images(given.train, mode, for_training)
    net, epochs = train(images, given.seconds - (time.monotonic() - started))
    found = accuracy(net, Images(given.test, mode, for_test))
    print(json.dumps({"accuracy": found, "epochs": epochs, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
