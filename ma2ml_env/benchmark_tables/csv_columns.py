"""TextColumns of CSV and parquet files, and the values of their cells."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import lzma
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError, UnknownNameError, missing_extra, nearest

TextColumns = Mapping[str, Sequence[Any]]
OPENERS: dict[str, Callable[..., Any]] = {".csv": open, ".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def read_columns(path: str | Path) -> dict[str, list[Any]]:
    """The columns of a file by name: numbers where a cell reads as one, else text; None where it is empty.

    Args:
        path: a `.parquet` file, or a CSV with a header: `.csv`, `.csv.gz`, `.csv.xz` or `.csv.bz2`.

    Raises:
        ValueError: for another ending, a file that cannot be read or is damaged, or pyarrow missing for parquet.
    """
    file = Path(path)
    if file.suffix == ".parquet":
        return _parquet(file)
    if file.suffix not in OPENERS or ".csv" not in file.suffixes:
        raise MA2MLError(f"a table is a .parquet, .csv, .csv.gz, .csv.xz or .csv.bz2 file, not {file.name!r}")
    try:
        with OPENERS[file.suffix](file, mode="rt", encoding="utf-8", newline="") as text:
            return _csv(text, file)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, lzma.LZMAError) as error:
        raise MA2MLError(f"cannot read {file}: {error}") from error


def column(columns: TextColumns, name: str, where: str) -> Sequence[Any]:
    """One column.

    Raises:
        ValueError: if there is none of that name; the message offers the nearest.
    """
    if name not in columns:
        raise UnknownNameError(f"{where} has no column {name!r}; {nearest(name, columns)}")
    return columns[name]


def numbers(columns: TextColumns, name: str, where: str) -> NDArray[np.float64]:
    """One column as numbers, NaN where it is empty; raises as `column` does, and for a cell that is no number."""
    cells = column(columns, name, where)
    try:
        return np.array([math.nan if cell is None else float(cell) for cell in cells], dtype=np.float64)
    except ValueError as error:
        raise MA2MLError(f"{where}, column {name!r}: {error}") from error


def indices(cells: Sequence[Any], choices: Sequence[Any], where: str) -> list[int]:
    """Index of each cell among the choices of a decision: by value, else by the text of the choice.

    Raises:
        ValueError: for a cell that is none of them.
    """
    by_text = {str(choice): index for index, choice in enumerate(choices)}
    by_value = {choice: index for index, choice in enumerate(choices)}
    found: dict[Any, int] = {}
    for cell in set(cells):
        index = by_value.get(cell, by_text.get(str(cell)))
        if index is None:
            raise MA2MLError(f"{where}: {cell!r} is not a choice; the choices are {list(choices)}")
        found[cell] = index
    return [found[cell] for cell in cells]


def file_digest(path: str | Path) -> str:
    """A name for a file's content, 16 hexadecimal digits.

    Raises:
        ValueError: if the file cannot be read.
    """
    try:
        status = Path(path).stat()
        return _digest(str(path), status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise MA2MLError(f"cannot read {path}: {error.strerror}") from error


@cache
def _digest(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _csv(text: TextIO, file: Path) -> dict[str, list[Any]]:
    rows = csv.reader(text)
    header = next(rows, [])
    if not header or len(set(header)) < len(header):
        raise MA2MLError(f"{file} needs a header of different names, not {header}")
    cells = []
    for row in rows:
        if row and len(row) != len(header):
            raise MA2MLError(f"{file}, line {rows.line_num}: {len(row)} cells, the header has {len(header)}")
        if row:
            cells.append(row)
    parse = cache(_value)
    return {name: [parse(row[place]) for row in cells] for place, name in enumerate(header)}


def _parquet(file: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra(f"to read {file.name} needs pyarrow", "benchmark") from error
    try:
        columns = parquet.read_table(file).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise MA2MLError(f"cannot read {file}: {error}") from error
    return {name: [None if cell != cell else cell for cell in cells] for name, cells in columns.items()}


def _value(cell: str) -> Any:
    for kind in (int, float):
        try:
            value = kind(cell)
        except ValueError:
            continue
        return value if math.isfinite(value) else None if cell.lower() == "nan" else cell
    return cell or None
