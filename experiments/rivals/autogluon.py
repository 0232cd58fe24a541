"""AutoGluon without pretrained weights, on a folder of images within a time limit.

    python experiments/rivals/autogluon.py TRAIN TEST --seconds 900 --seed 0

Needs `pip install autogluon.multimodal` in an environment of its own: it asks for older releases of packages that this
project uses. timm's ResNet-18 from random weights, since a pretrained one has seen other images; everything else is
AutoGluon's choice. Prints a JSON object with the accuracy on TEST.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pandas as pd
from arguments import parsed
from autogluon.multimodal import MultiModalPredictor

MODEL = {
    "model.names": ["timm_image"],
    "model.timm_image.checkpoint_name": "resnet18",
    "model.timm_image.pretrained": False,
    "optim.max_epochs": 1000,
    "env.num_gpus": 0,
    "env.num_workers": 0,
}
"""Epochs are ended by the time limit or by AutoGluon's own early stopping."""


def table(folder: Path) -> pd.DataFrame:
    """Returns a row per image: its path and class."""
    return pd.DataFrame([{"image": str(path), "label": path.parent.name} for path in sorted(folder.rglob("*.png"))])


def main() -> None:
    given = parsed(__doc__)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        predictor = MultiModalPredictor(label="label", path=f"{folder}/model", verbosity=1)
        predictor.fit(table(given.train), time_limit=given.seconds, seed=given.seed, hyperparameters=MODEL)
        found = predictor.evaluate(table(given.test), metrics=["accuracy"])["accuracy"]
    print(json.dumps({"accuracy": found, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
