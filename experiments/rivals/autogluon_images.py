"""AutoGluon without pretrained weights, on a folder of images within a time limit.

    python experiments/rivals/autogluon_images.py TRAIN TEST --seconds 900 --seed 0

Needs `pip install autogluon.multimodal` in an environment of its own: it asks for older releases of packages that this
project uses. timm's ResNet-18 from random weights, since a pretrained one has seen other images. AutoGluon's defaults
are meant for fine-tuning a few epochs at 224 pixels. For weights that nothing has trained, all layers have one learning
rate, ten times the usual one; batches have 64 images, enlarged to 64 pixels only; and as many epochs are planned as fit
into the time by a first one's, since the learning rate follows the plan: with more of them it would still be warming
up at the end. Everything else is AutoGluon's choice. Prints a JSON object with the accuracy on TEST.

The file is not named after the package, which it would hide.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path

import pandas as pd
import timm
import torch
from arguments import parsed
from autogluon.multimodal import MultiModalPredictor

SETTINGS = {
    "model.names": ["timm_image"],
    "model.timm_image.image_size": 64,
    "optim.lr": 1e-3,
    "optim.lr_choice": "single_stage",
    "optim.patience": 10_000,
    "env.batch_size": 64,
    "env.per_gpu_batch_size": 64,
    "env.num_gpus": 0,
    "env.num_workers": 0,
}
RESERVE, FEW = 0.03, 200
"""Share of the time that is kept for the test, and number of images of a training that shows what lies around one."""


def table(folder: Path) -> pd.DataFrame:
    """Returns a row per image: its path and class."""
    return pd.DataFrame([{"image": str(path), "label": path.parent.name} for path in sorted(folder.rglob("*.png"))])


def untrained(folder: Path, seed: int) -> Path:
    """Writes random weights as the files that AutoGluon takes in place of pretrained ones; returns their folder.

    Release 1.6 looks for pretrained weights on the network whatever `pretrained` says.
    """
    folder.mkdir()
    torch.manual_seed(seed)
    model = timm.create_model("resnet18", num_classes=0)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    config = {"architecture": "resnet18", "num_features": model.num_features, "pretrained_cfg": model.default_cfg}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def fitted(train: pd.DataFrame, epochs: int, seconds: float, seed: int, folder: Path) -> MultiModalPredictor:
    """Returns a predictor that was trained for some epochs, fewer if the time ends."""
    folder.mkdir()
    predictor = MultiModalPredictor(label="label", path=str(folder / "model"), verbosity=1)
    weights = {"model.timm_image.checkpoint_name": str(untrained(folder / "resnet18", seed))}
    settings = {**SETTINGS, **weights, "optim.max_epochs": epochs}
    return predictor.fit(train, time_limit=seconds, seed=seed, hyperparameters=settings)


def main() -> None:
    given = parsed(__doc__)
    started, train = time.monotonic(), table(given.train)
    ends = started + (1 - RESERVE) * given.seconds
    with tempfile.TemporaryDirectory() as folder:
        fitted(train.sample(min(FEW, len(train)), random_state=0), 1, given.seconds, given.seed, Path(folder) / "few")
        around = time.monotonic() - started
        fitted(train, 1, given.seconds, given.seed, Path(folder) / "one")
        epoch = time.monotonic() - started - 2 * around
        left = ends - time.monotonic()
        epochs = max(1, math.floor((left - around) / epoch))
        predictor = fitted(train, epochs, left, given.seed, Path(folder) / "whole")
        found = predictor.evaluate(table(given.test), metrics=["accuracy"])["accuracy"]
    print(json.dumps({"accuracy": found, "epochs": epochs, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
