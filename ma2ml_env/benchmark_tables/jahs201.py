"""JAHS-Bench-201, from a CSV of its metric data."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.benchmark_tables.choice_table import choice_table
from ma2ml_env.benchmark_tables.csv_columns import column, indices, numbers, read_columns
from ma2ml_env.benchmark_tables.table import Table
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_spaces.benchmark_table import TABLES

RECIPE = """\
import pandas as pd
parts = [pd.read_pickle(f"metric_data/cifar10/{part}_set.pkl.gz") for part in ("train", "valid", "test")]
table = pd.concat([pd.concat([part["features"], part["labels"]], axis=1) for part in parts])
table[table.epoch == 200].to_csv("jahs.csv.xz", index=False)
"""
SAMPLED = ("LearningRate", "WeightDecay")
FACTS = {"flops": ("FLOPS", 1.0), "params": ("size_MB", 1e6), "seconds": ("runtime", 1.0)}


@cache
def read(file: str, digest: str, epoch: int) -> Table:
    """The table of JAHS-Bench-201's metric data, read once per process and content.

    A CSV or parquet file is read, with the columns of the benchmark's data frames: its features (`LearningRate`,
    `WeightDecay`, `Activation`, `TrivialAugment`, `Op1` to `Op6` as 0 to 4, `N`, `W`, `Resolution`, `epoch`) and of
    its labels `valid-acc` in percent and, if there, `FLOPS`, `size_MB` (millions of parameters) and `runtime`. The
    data frames themselves are pickles and not read; `RECIPE` writes the CSV.

    Learning rate and weight decay, which were sampled, count as the nearest half decade on a logarithmic scale;
    trainings that fall together are the repeats of one pipeline. The trainings cover less than a thousandth of the
    space, so that the evaluator returns the nearest pipeline's result by default.

    Args:
        file: path.
        digest: digest of its content.
        epoch: epoch of the rows that are read; 200 is the whole training.

    Raises:
        ValueError: for a missing column; a value that is not a choice; no row of
            that epoch.

    Source: Bansal et al. 2022, "JAHS-Bench-201".
    """
    columns = read_columns(file)
    kept = np.flatnonzero(numbers(columns, "epoch", file) == epoch)
    if not len(kept):
        raise MA2MLError(f"{file} has no row of epoch {epoch}")
    chosen = {}
    for name, choices in ((n, c) for decisions in TABLES["jahs201"].values() for n, c in decisions.items()):
        if name in SAMPLED:
            chosen[name] = _nearest(numbers(columns, name, file), np.array(choices))[kept]
        else:
            places = range(len(choices)) if name.startswith("Op") else choices
            chosen[name] = np.array(indices(column(columns, name, file), places, f"{file}, {name!r}"))[kept]
    facts = {
        name: numbers(columns, theirs, file)[kept] * unit for name, (theirs, unit) in FACTS.items() if theirs in columns
    }
    return choice_table("jahs201", chosen, numbers(columns, "valid-acc", file)[kept] / 100, **facts)


def _nearest(values: NDArray[np.float64], choices: NDArray[np.float64]) -> NDArray[np.intp]:
    """The index of the nearest choice on a logarithmic scale."""
    distances = np.abs(np.log(values)[:, None] - np.log(choices))
    nearest: NDArray[np.intp] = distances.argmin(axis=1)
    return nearest
