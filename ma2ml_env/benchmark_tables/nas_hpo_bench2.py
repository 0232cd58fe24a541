"""NAS-HPO-Bench-II, from a CSV written with its own library."""

from __future__ import annotations

from functools import cache

import numpy as np

from ma2ml_env.benchmark_tables.choice_table import choice_table
from ma2ml_env.benchmark_tables.csv_columns import column, indices, numbers, read_columns
from ma2ml_env.benchmark_tables.table import Table
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_spaces.benchmark_table import CELL_EDGES, TABLES

RECIPE = """\
import csv, itertools, nashpobench2api
api = nashpobench2api.NASHPOBench2API("data", verbose=False)
with open("nashpobench2.csv", "w", newline="") as file:
    out = csv.writer(file)
    out.writerow(["cellcode", "lr", "batch_size", "seed", "accuracy", "seconds"])
    for cellcode, lr, batch_size, seed in itertools.product(api.cellcodes, api.lrs, api.batch_sizes, api.seeds):
        api.set_seed(seed)
        accuracy, seconds = api.query_by_key(cellcode, lr, batch_size, enable_log=False)
        out.writerow([cellcode, lr, batch_size, seed, accuracy, seconds])
"""


@cache
def read(file: str, digest: str) -> Table:
    """The table of NAS-HPO-Bench-II, trainings of 12 epochs, read once per process and content.

    A CSV or parquet file is read, with the columns `cellcode` (such as `0|10|210`), `lr`, `batch_size`, `seed`,
    `accuracy` (validation, in percent) and `seconds` (training and validation). The benchmark's own files are pickles
    and not read; `RECIPE` writes the CSV.

    Args:
        file: path.
        digest: digest of its content.

    Raises:
        ValueError: for a missing column; a value that is not a choice.

    Source: Hirose et al. 2021, "NAS-HPO-Bench-II".
    """
    columns = read_columns(file)
    order = np.argsort(numbers(columns, "seed", file), kind="stable")
    codes = {code: _digits(code, file) for code in set(column(columns, "cellcode", file))}
    digits = np.array([codes[code] for code in columns["cellcode"]])
    chosen = {edge: digits[order, place] for place, edge in enumerate(CELL_EDGES)}
    for name, choices in TABLES["nas_hpo_bench2"]["hpo"].items():
        chosen[name] = np.array(indices(column(columns, name, file), choices, f"{file}, {name!r}"))[order]
    accuracy, seconds = (numbers(columns, name, file)[order] for name in ("accuracy", "seconds"))
    return choice_table("nas_hpo_bench2", chosen, accuracy / 100, seconds=seconds)


def _digits(code: object, where: str) -> list[int]:
    groups = str(code).split("|")
    if [len(group) for group in groups] != [1, 2, 3] or not set("".join(groups)) <= set("0123"):
        raise MA2MLError(f"{where}: {code!r} is not a cellcode such as '0|10|210', of digits 0 to 3")
    return [int(digit) for digit in "".join(groups)]
