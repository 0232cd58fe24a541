"""Rank correlation of short trainings on a user's own images with the final training.

    python experiments/proxies.py FOLDER [--device cuda] [--workers 4]
    python experiments/proxies.py --show

The pipelines are the default one of the spaces, some near it, and random ones. Each is trained as at the end of a
search, twice, and in several shorter ways; all are measured on the folder's `val` images, of which it needs thousands.
Trainings are appended to `results/proxies/proxies.csv` and not repeated; `results/proxies/proxies.md` holds the rank
correlations.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from csv_rows import append_rows, finished
from scipy import stats

from ma2ml_env import AutoMLEnv
from ma2ml_env.from_images import entry_from_images
from ma2ml_env.types import JointAction

HERE = Path(__file__).parent
ROWS, PAGE = HERE / "results/proxies/proxies.csv", HERE / "results/proxies/proxies.md"
PIPELINES, NEAR = 48, (0.1, 0.2, 0.3)
"""Number of pipelines; shares of the decisions by which every other one differs from the default."""


class Training(NamedTuple):
    """A way to train: stride of the stem, epochs, and the number of seeds."""

    stride: int
    epochs: int
    seeds: int = 1


SEARCH_STRIDE = 2
"""The stem of which the space is, as in a search of a quarter of an hour on 2,000 images of 32 pixels."""
FINAL = Training(1, 70, seeds=2)
SHORT = (Training(2, 13, seeds=2), Training(2, 26), Training(2, 52), *(Training(1, e) for e in (4, 8, 16, 35)))
COLUMNS = ["pipeline", "origin", "stride", "epochs", "seed", "accuracy", "seconds", "flops"]


@cache
def environment(folder: str, device: str, training: Training) -> AutoMLEnv:
    """The spaces of a search on a CPU, trained in a way on a device."""
    entry = entry_from_images(folder, device="cpu", stem_stride=SEARCH_STRIDE, epochs=training.epochs).entry
    return entry.override(device=device, stem_stride=training.stride).build()


def action(env: AutoMLEnv, index: int) -> tuple[str, JointAction]:
    """The origin and the indices of a pipeline: the default, then in turn one near it and a random one."""
    rng = np.random.default_rng(index)
    default = {name: space.default for name, space in env.search_spaces.items()}
    if index == 0:
        return "default", default
    random = {name: space.sample(rng) for name, space in env.search_spaces.items()}
    if index % 2 == 0:
        return "random", random
    share = NEAR[index // 2 % len(NEAR)]
    kept = {name: rng.random(len(choices)) >= share for name, choices in default.items()}
    mixed = {name: tuple(np.where(kept[name], default[name], random[name]).tolist()) for name in default}
    return f"near {share}", mixed


def train(folder: str, device: str, index: int, training: Training, seed: int) -> list[Any]:
    """Trains a pipeline in one way; returns its row."""
    torch.set_num_threads(1)
    env = environment(folder, device, training)
    origin, chosen = action(env, index)
    started = time.monotonic()
    result = env.evaluator(env.decode(chosen), seed=seed)
    facts = [round(result.accuracy, 5), round(time.monotonic() - started, 2), result.flops]
    return [index, origin, training.stride, training.epochs, seed, *facts]


def missing() -> list[tuple[int, Training, int]]:
    """The trainings to make, all of one pipeline after those of another."""
    key = ["pipeline", "stride", "epochs", "seed"]
    done = finished(ROWS, key)
    wanted = itertools.product(range(PIPELINES), (FINAL, *SHORT))
    each = [(index, training, seed) for index, training in wanted for seed in range(training.seeds)]
    return [one for one in each if (one[0], one[1].stride, one[1].epochs, one[2]) not in done]


def page(rows: pd.DataFrame) -> str:
    """Returns the table: rank correlations of short trainings with final ones, and what choosing by them finds."""
    names = ["stride", "epochs"]
    each = rows.groupby(["pipeline", *names]).accuracy.mean().unstack(names).dropna()
    final = each[FINAL.stride, FINAL.epochs]
    seeds = rows[(rows.stride == FINAL.stride) & (rows.epochs == FINAL.epochs)].pivot_table(
        "accuracy", "pipeline", "seed"
    )
    twice = stats.spearmanr(*seeds.dropna().to_numpy().T).statistic
    lines = ["# Short trainings and the final one", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    lines += [
        f"{len(each)} pipelines have all trainings. Final trainings: {final.min():.2%} to {final.max():.2%}, the "
        f"default {final[0]:.2%}, {(final > final[0]).mean():.0%} are better; rank correlation of two seeds "
        f"{twice:.2f}.",
        "",
        "| stem stride | epochs | rank correlation | of those near the default | final accuracy of the best of it |",
        "|---|---|---|---|---|",
    ]
    near = rows[rows.origin.str.startswith("near")].pipeline.unique()
    for training in SHORT:
        short = each[training.stride, training.epochs]
        of_all, of_near = (
            stats.spearmanr(short.loc[index], final.loc[index]).statistic
            for index in (each.index, each.index.intersection(near))
        )
        lines.append(
            f"| {training.stride} | {training.epochs} | {of_all:.2f} | {of_near:.2f} | {final[short.idxmax()]:.2%} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="images in `train` and `val`")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="train nothing, write the table")
    given = parser.parse_args()
    if not given.show:
        ROWS.parent.mkdir(parents=True, exist_ok=True)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.workers, mp_context=spawn) as pool:
            trainings = [pool.submit(train, given.folder, given.device, *one) for one in missing()]
            for done in as_completed(trainings):
                append_rows(ROWS, COLUMNS, [done.result()])
    text = page(pd.read_csv(ROWS))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
