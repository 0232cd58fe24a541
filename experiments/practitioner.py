"""Test accuracy on two small image sets of what a practitioner could do within equal time.

    MA2ML_DATA=data python experiments/practitioner.py --out runs/practitioner [--autogluon PYTHON] [--minutes 15]
    python experiments/practitioner.py --show

Compared are `ma2ml train --data` limited by time alone (`--budget 10000`): search, finalists, and the training of the
winner; the same with random search; a residual network with a fixed recipe, `rivals/resnet_images.py`; and AutoGluon
without pretrained weights, `rivals/autogluon_images.py`, by the Python of an environment that it is installed in. Each
method has all cores and the same minutes, and runs alone. The sets are mnist5k, and 2,000 images of CIFAR-10; the
methods see folders of files.

Runs are appended to `results/practitioner/runs.csv` and not repeated, those of the first seed first. The table goes to
`results/practitioner/practitioner.md`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from csv_rows import append_rows, finished
from PIL import Image

from ma2ml_env.tasks.cifar import CIFAR10
from ma2ml_env.tasks.mnist5k import MNIST5K
from ma2ml_env.tasks.task import Images, Task

HERE = Path(__file__).parent
RUNS, PAGE = HERE / "results/practitioner/runs.csv", HERE / "results/practitioner/practitioner.md"
SETS: dict[str, Task] = {"mnist5k": MNIST5K(), "cifar10-2000": CIFAR10(train_images=1600, validation_images=400)}
METHODS = ("ma2ml", "random_search", "resnet", "autogluon")
TEST_IMAGES = 4_000
"""Most images of a test folder."""
SEEDS = 3
CELL = ["set", "method", "seed", "minutes"]
COLUMNS = [*CELL, "accuracy", "seconds", "about"]


def write_folder(task: Task, folder: Path) -> None:
    """Writes the images of a task as `train` and `test`, a sub-folder per class; nothing if they are there."""
    if (folder / "complete").exists():
        return
    splits = task.load()
    write_images(splits.train, task.classes, folder / "train", "train")
    write_images(splits.validation, task.classes, folder / "train", "validation")
    few = np.random.default_rng(0).permutation(len(splits.test))[:TEST_IMAGES]
    write_images(Images(splits.test.pixels[few], splits.test.labels[few]), task.classes, folder / "test", "test")
    (folder / "complete").touch()


def write_images(images: Images, classes: Sequence[str], folder: Path, name: str) -> None:
    """Writes images as PNG files, each to the folder of its class."""
    for index, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
        place = folder / classes[int(label)]
        place.mkdir(parents=True, exist_ok=True)
        array = pixels.permute(1, 2, 0).numpy()
        Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array).save(place / f"{name}-{index:05d}.png")


def searched(algo: str, data: Path, out: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Runs `ma2ml train` on a folder of images; returns test accuracy, and numbers of the run in words."""
    command = [sys.executable, "-m", "ma2ml_agents.commands", "train", "--data", str(data), "--algo", algo]
    limits = ["--budget", "10000", "--time-limit", f"{minutes}m", "--seed", str(seed), "--out", str(out)]
    with (out.parent / f"{out.name}.log").open("w", encoding="utf-8") as log:
        subprocess.run([*command, *limits], check=True, stdout=log, stderr=subprocess.STDOUT)
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    about = f"{result['trials']} pipelines, validation {result['accuracy']:.4f}, {result['epochs']} final epochs"
    return {"accuracy": result["test_accuracy"], "about": about}


def rival(python: str, name: str, data: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Runs a script of `rivals/`; returns test accuracy, and its other numbers in words."""
    command = [python, str(HERE / "rivals" / f"{name}_images.py"), str(data / "train"), str(data / "test")]
    limits = ["--seconds", str(minutes * 60), "--seed", str(seed)]
    done = subprocess.run([*command, *limits], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {"accuracy": found["accuracy"], "about": f"{found['epochs']} epochs" if "epochs" in found else ""}


def measure(cell: tuple[str, str, int, float], out: Path, autogluon: str | None) -> dict[str, Any]:
    """Runs one method on one set; returns what stands in its row."""
    of, method, seed, minutes = cell
    data, run = out / "data" / of, out / f"{of}-{method}-{minutes:g}m-seed{seed}"
    write_folder(SETS[of], data)
    shutil.rmtree(run, ignore_errors=True)  # an interrupted run would go on with a whole new time limit
    started = time.monotonic()
    if method in ("resnet", "autogluon"):
        found = rival(sys.executable if method == "resnet" else str(autogluon), method, data, minutes, seed)
    else:
        found = searched(method, data, run, minutes, seed)
    return {**found, "seconds": time.monotonic() - started}


def missing(minutes: float, autogluon: str | None) -> list[tuple[str, str, int, float]]:
    """Returns the runs to make."""
    methods = [method for method in METHODS if method != "autogluon" or autogluon is not None]
    done = finished(RUNS, CELL)
    wanted = [(of, method, seed, minutes) for seed, method, of in itertools.product(range(SEEDS), methods, SETS)]
    return [cell for cell in wanted if cell not in done]


def page(runs: pd.DataFrame) -> str:
    """Returns the table: mean test accuracy, lowest and highest seed, seconds, and what the runs did."""
    lines = ["# Against what a practitioner would do", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    lines += ["| set | minutes | method | test accuracy | lowest, highest | runs | seconds | first run |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for (of, minutes), rows in runs.groupby(["set", "minutes"], sort=False):
        means = rows.groupby("method").accuracy.mean().sort_values(ascending=False)
        for method, mean in means.items():
            own = rows[rows.method == method]
            ends = f"{own.accuracy.min():.2%}, {own.accuracy.max():.2%}"
            about = own.about.fillna("").iloc[0]
            numbers = f"{mean:.2%} | {ends} | {len(own)} | {own.seconds.mean():.0f} | {about}"
            lines.append(f"| {of} | {minutes:g} | {method} | {numbers} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/practitioner"))
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--autogluon", help="Python of an environment in which AutoGluon is installed")
    parser.add_argument("--show", action="store_true", help="run nothing, write the table")
    given: Any = parser.parse_args()
    RUNS.parent.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    for cell in [] if given.show else missing(given.minutes, given.autogluon):
        found = measure(cell, given.out, given.autogluon)
        append_rows(RUNS, COLUMNS, [[*cell, round(found["accuracy"], 5), round(found["seconds"]), found["about"]]])
        print(*cell, found, flush=True)
    text = page(pd.read_csv(RUNS))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
