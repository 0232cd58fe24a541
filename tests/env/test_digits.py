"""The split of the digits: the same in every process, and of the library's own images."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import torch
from sklearn.datasets import load_digits

from ma2ml_env.tasks.digits import Digits

FINGERPRINT = """
import hashlib
from ma2ml_env.tasks.digits import Digits
splits = Digits().load()
for part in (splits.train, splits.validation, splits.test):
    print(hashlib.sha256(part.pixels.numpy().tobytes() + part.labels.numpy().tobytes()).hexdigest())
"""


def parts():
    splits = Digits().load()
    return splits.train, splits.validation, splits.test


def test_another_process_makes_the_very_same_split() -> None:
    told = subprocess.run([sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True).stdout
    here = [hashlib.sha256(p.pixels.numpy().tobytes() + p.labels.numpy().tobytes()).hexdigest() for p in parts()]
    assert told.split() == here


def test_every_image_of_the_library_is_in_exactly_one_part_with_its_label() -> None:
    images, labels = load_digits(return_X_y=True)

    def rows(pixels, targets):
        return sorted((tuple(row), int(label)) for row, label in zip(pixels.tolist(), targets.tolist(), strict=True))

    together = torch.cat([part.pixels for part in parts()]).flatten(1).float().mul(16 / 255).round()
    assert rows(together, torch.cat([part.labels for part in parts()])) == rows(images, labels)


def test_each_class_is_split_in_the_same_shares_to_within_one_image() -> None:
    everything = torch.bincount(torch.cat([part.labels for part in parts()]), minlength=10)
    for part, share in zip(parts(), (0.6, 0.2, 0.2), strict=True):
        counts = torch.bincount(part.labels, minlength=10)
        assert (counts - share * everything).abs().max() <= 1.5
