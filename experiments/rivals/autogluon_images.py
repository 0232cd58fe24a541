"""AutoGluon without pretrained weights, on a folder of images within a time limit.

    python experiments/rivals/autogluon_images.py TRAIN TEST --seconds 900 --seed 0

Needs `pip install autogluon.multimodal` in an environment of its own: it asks for older releases of packages that this
project uses. timm's ResNet-18 from random weights, since a pretrained one has seen other images. AutoGluon's defaults
are meant for fine-tuning at 224 pixels; for weights that nothing has trained, all layers have one learning rate, ten
times the usual one, and images are enlarged to 64 pixels only, which gives twelve times the epochs. Everything else is
AutoGluon's choice. Prints a JSON object with the accuracy on TEST.

The file is not named after the package, which it would hide.
"""

from __future__ import annotations

import json
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
    "optim.max_epochs": 1000,
    "env.num_gpus": 0,
    "env.num_workers": 0,
}
"""Epochs are ended by the time limit or by AutoGluon's own early stopping."""


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


def main() -> None:
    given = parsed(__doc__)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        predictor = MultiModalPredictor(label="label", path=f"{folder}/model", verbosity=1)
        weights = untrained(Path(folder) / "resnet18", given.seed)
        settings = {**SETTINGS, "model.timm_image.checkpoint_name": str(weights)}
        predictor.fit(table(given.train), time_limit=given.seconds, seed=given.seed, hyperparameters=settings)
        found = predictor.evaluate(table(given.test), metrics=["accuracy"])["accuracy"]
    print(json.dumps({"accuracy": found, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
