"""NAS-Bench-201, from its own file or from a CSV written with NATS-Bench."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ma2ml_env.benchmark_tables.choice_table import choice_table
from ma2ml_env.benchmark_tables.csv_columns import column, indices, numbers, read_columns
from ma2ml_env.benchmark_tables.table import Table
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_spaces.benchmark_table import CELL_EDGES, CELL_OPERATIONS, TABLES

COLUMNS = ("arch", "epochs", "seed", "accuracy", "flops", "params", "seconds")
BUDGETS = {"less": 12, "full": 200}
RECIPE = """\
import csv, nats_bench
api = nats_bench.create("NATS-tss-v1_0-3ffb9-simple", "tss", fast_mode=True, verbose=False)
with open("nats.csv", "w", newline="") as file:
    out = csv.writer(file)
    out.writerow(["arch", "epochs", "seed", "accuracy", "flops", "params", "seconds"])
    for index in range(len(api)):
        for epochs in ("12", "200"):
            for seed, run in api.query_by_index(index, "cifar10-valid", hp=epochs).items():
                accuracy, seconds = run.get_eval("x-valid")["accuracy"], run.get_train()["all_time"]
                out.writerow([api.arch(index), epochs, seed, accuracy, run.flop, run.params, seconds])
"""
_OPERATION = re.compile(r"([^|+~]+)~(\d)")


@cache
def read(file: str, digest: str, dataset: str, split: str) -> Table:
    """The table of NAS-Bench-201, read once per process and content.

    Two formats are read. `NAS-Bench-201-v1_0-e61699.pth` and `-v1_1-096897.pth`, with torch's `weights_only=True`,
    which builds plain data and nothing else: the last epoch of `less` (12) and `full` (200). Or a CSV or parquet file
    with the columns `COLUMNS`, in the units of the benchmark: accuracy in percent, millions of FLOPs and of
    parameters; then data set and split are those with which it was written. `RECIPE` writes it. The directories of
    NATS-Bench are pickles and not read.

    Args:
        file: path.
        digest: digest of its content.
        dataset: `"cifar10-valid"`, `"cifar10"`, `"cifar100"` or `"ImageNet16-120"`; of a `.pth`.
        split: `"x-valid"`, `"x-test"` or `"ori-test"`; of a `.pth`.

    Raises:
        ValueError: for a `.pth` with more than plain data, or without
            that data set or split; a missing column; an architecture that is not one of the space.

    Source: Dong and Yang 2020, "NAS-Bench-201"; Dong et al. 2021, "NATS-Bench".
    """
    columns = _from_torch(file, dataset, split) if Path(file).suffix == ".pth" else read_columns(file)
    seeds = numbers(columns, "seed", file)
    order = np.argsort(seeds, kind="stable")
    operations = {arch: parse(arch, file) for arch in set(column(columns, "arch", file))}
    edges = zip(CELL_EDGES, zip(*(operations[arch] for arch in columns["arch"]), strict=True), strict=True)
    chosen = {edge: indices(found, CELL_OPERATIONS, f"{file}, edge {edge}") for edge, found in edges}
    chosen["epochs"] = indices(column(columns, "epochs", file), TABLES["nasbench201"]["hpo"]["epochs"], file)
    accuracy, flops, params, seconds = (numbers(columns, name, file)[order] for name in COLUMNS[3:])
    return choice_table(
        "nasbench201",
        {decision: np.array(found)[order] for decision, found in chosen.items()},
        accuracy / 100,
        flops=flops * 1e6,
        params=params * 1e6,
        seconds=np.nan_to_num(seconds),
    )


def parse(arch: Any, where: str) -> tuple[str, ...]:
    """The operations of an architecture such as `|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|none~2|`.

    Returns:
        The six operations, in the order of `CELL_EDGES`.

    Raises:
        ValueError: if it has another form.
    """
    found = _OPERATION.findall(str(arch))
    if [source for _, source in found] != [edge[0] for edge in CELL_EDGES]:
        raise MA2MLError(f"{where}: {arch!r} is not an architecture; one has six parts operation~node")
    return tuple(operation for operation, _ in found)


def _from_torch(file: str, dataset: str, split: str) -> dict[str, list[Any]]:
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises its own, pickle's and zipfile's errors alike
        raise MA2MLError(
            f"{file} holds more than plain data, which is not read ({type(error).__name__}); write a CSV where the "
            f"benchmark's own library is installed, and pass that:\n\n{RECIPE}"
        ) from error
    if not isinstance(content, Mapping) or "arch2infos" not in content:
        raise MA2MLError(f"{file} is no NAS-Bench-201: it has no 'arch2infos'")
    rows = list(_trials(content["arch2infos"], dataset, split))
    if not rows:
        raise MA2MLError(f"{file} has no training on {dataset!r} that was evaluated on {split!r}")
    return {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}


def _trials(architectures: Mapping[int, Any], dataset: str, split: str) -> Iterator[tuple[Any, ...]]:
    """One tuple of `COLUMNS` for every training on a data set."""
    for budgets in architectures.values():
        for budget, epochs in BUDGETS.items():
            results = budgets[budget]
            for (name, seed), trial in results["all_results"].items():
                accuracy = trial["eval_acc1es"].get(f"{split}@{trial['epochs'] - 1}")
                if name == dataset and accuracy is not None:
                    seconds = sum((trial["train_times"] or {}).values())
                    yield results["arch_str"], epochs, seed, accuracy, trial["flop"], trial["params"], seconds
