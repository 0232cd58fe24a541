"""Benchmark of augmenting a batch of images on one thread: ours, torchvision, Pillow and kornia.

    python speed/augment.py [--images 512] [--side 32] [--channels 3] [--rounds 7]

All apply torchvision's CIFAR10 policy, 25 sub-policies of two operations. `per image` samples a sub-policy for each
image, as AutoAugment does. `grouped` samples operations and magnitudes for all images of the batch and calls
torchvision once per group. kornia samples one sub-policy for the whole batch, which is less work and another
augmentation; it is included for scale, on color images, if it is installed. The contestants take turns, and the
median round counts.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from ma2ml_env.augment import augment
from ma2ml_env.search_spaces.autoaugment import PUBLISHED_POLICIES

Call = Callable[[], object]
TORCHVISION = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)


def torchvision_grouped(images: Tensor) -> Tensor:
    chosen = [random.choice(TORCHVISION._policies) for _ in images]
    out = images.clone()
    for position in range(2):
        groups: dict[tuple[str, float], list[int]] = defaultdict(list)
        for i, subpolicy in enumerate(chosen):
            name, probability, level = subpolicy[position]
            if random.random() <= probability:
                values, signed = TORCHVISION._AUGMENTATION_SPACE[name]
                table = values(10, *images.shape[-2:])
                value = 0.0 if table is None else float(table[level])
                groups[name, -value if signed and random.random() <= 0.5 else value].append(i)
        for (name, value), rows in groups.items():
            out[rows] = TORCHVISION._apply_image_or_video_transform(
                out[rows], name, value, "nearest", {torch.Tensor: None}
            )
    return out


def pillow(images: list[Image.Image]) -> list[Image.Image]:
    return [TORCHVISION(image) for image in images]


def contestants(images: Tensor) -> dict[str, Call]:
    generator = torch.Generator().manual_seed(0)
    pictures = [to_pil_image(image) for image in images]
    calls: dict[str, Call] = {
        "ours": lambda: augment(images, PUBLISHED_POLICIES["AutoAugment-CIFAR10"], generator),
        "torchvision v2, grouped": lambda: torchvision_grouped(images),
        "torchvision v2, per image": lambda: torch.stack([TORCHVISION(image) for image in images]),
        "Pillow, per image": lambda: pillow(pictures),
        "Pillow, from and to tensors": lambda: torch.stack(
            [pil_to_tensor(picture) for picture in pillow([to_pil_image(image) for image in images])]
        ),
    }
    if images.shape[1] == 1:
        return calls
    try:
        from kornia.augmentation.auto import AutoAugment
    except ImportError:
        return calls
    floating, kornia = images.float() / 255, AutoAugment("cifar10")
    return {**calls, "kornia, one sub-policy per batch": lambda: kornia(floating)}


def seconds(call: Call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("images", 512), ("side", 32), ("channels", 3), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    images = torch.randint(0, 256, (options.images, options.channels, options.side, options.side), dtype=torch.uint8)
    calls = contestants(images)
    rounds = [{name: seconds(call) for name, call in calls.items()} for _ in range(options.rounds + 1)][1:]
    medians = {name: statistics.median(taken[name] for taken in rounds) for name in calls}
    shape = "x".join(map(str, images.shape[1:]))
    print(f"{len(images)} images of {shape}, one thread, torch {torch.__version__}")
    print(f"{'':32}{'ms':>8}{'x ours':>9}")
    for name, median in medians.items():
        print(f"{name:32}{1e3 * median:8.1f}{median / medians['ours']:9.1f}")


if __name__ == "__main__":
    main()
