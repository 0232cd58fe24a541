"""`ma2ml predict`: class and probability of pictures, by a trained model."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from ma2ml_agents.commands.model_files.prediction_writers import WRITERS, Prediction
from ma2ml_agents.commands.model_files.saved_model import read_predictor
from ma2ml_agents.commands.options import parse
from ma2ml_agents.runs.words import counted
from ma2ml_env.errors import MA2MLError, nearest, require_range
from ma2ml_env.files import replacing
from ma2ml_env.tasks.folder_listing import SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ma2ml_env.training.predictor import Predictor

UNREADABLE = 1
"""Exit code if some pictures could not be found or read."""


@dataclass(frozen=True)
class PredictOptions:
    """Classify pictures by a trained model: one line for each, with its class and the probability of it.

    Pictures that cannot be found or read are named on the error stream, the others are classified; the exit code is 1
    then, 0 if all were classified, 2 for a mistake in the command.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Folder of a run, or a safetensors or ONNX file."""
    pictures: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="PATH ...")]
    """Files, folders (with those below), and patterns such as 'shelf/*.png'."""
    out: str | None = None
    """csv or json to print these, or a file whose name ends so; by default lines for reading are printed."""
    top: int = 1
    """Number of classes to report for each picture, the most probable ones."""


def main(argv: Sequence[str], prog: str) -> int:
    """Classifies pictures as they are found; returns 1 if some could not be found or read."""
    options: PredictOptions = parse(PredictOptions, argv, prog)
    if not options.pictures:
        raise MA2MLError("name the pictures: files, folders, or patterns such as 'shelf/*.png'")
    form, file = _output(options.out)
    files = picture_files(options.pictures)
    if (first := next(files, None)) is None:
        raise MA2MLError(f"no pictures found in {', '.join(options.pictures)}; they end in {', '.join(SUFFIXES)}")
    model = read_predictor(options.model)
    require_range("--top", options.top, 1, len(model.classes))
    skipped: list[str] = []
    predictions = classify(model, chain([first], files), options.top, skipped, prog)
    if file is None:
        WRITERS[form](predictions, sys.stdout, options.top)
    else:
        with (
            replacing(file) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
        ):
            WRITERS[form](predictions, stream, options.top)
    if skipped:
        were = "was" if len(skipped) == 1 else "were"
        print(f"{prog}: {counted(len(skipped), 'picture')} {were} skipped, as above", file=sys.stderr)
    return UNREADABLE if skipped else 0


def picture_files(names: Iterable[str]) -> Iterator[Path]:
    """Yields the pictures that files, folders and patterns name, in alphabetical order of each.

    In folders, pictures are the files that end in `SUFFIXES`; a file that is named itself may end in anything.

    Args:
        names: a name that exists is no pattern; one that does not and is none is that of a missing picture.
    """
    return (file for name in names for file in _named(name))


def _named(name: str) -> Iterator[Path]:
    single = os.path.exists(name) or not glob.has_magic(name)
    found = [name] if single else sorted(glob.glob(name, recursive=True))
    for path in found:
        if os.path.isdir(path):
            yield from _below(path)
        elif path == name or path.lower().endswith(SUFFIXES):
            yield Path(path)


def _below(folder: str) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def classify(
    model: Predictor, files: Iterator[Path], top: int, skipped: list[str], prog: str = "predict"
) -> Iterator[Prediction]:
    """Yields the most probable classes of pictures, a batch at a time.

    Args:
        model: classifies them.
        files: read as far as predictions are used.
        top: number of classes for each picture.
        skipped: receives the reasons for pictures that cannot be read, which are printed on the error stream too.
        prog: name of the program, for that.
    """
    from ma2ml_env.training.pixels import batch_size

    while batch := list(islice(files, batch_size(model.images))):
        read = [(file, pixels) for file in batch if (pixels := _read(file, model, skipped, prog)) is not None]
        if not read:
            continue
        probabilities = model.predict_proba(np.stack([pixels for _, pixels in read]))
        for (file, _), row in zip(read, probabilities, strict=True):
            ranked = np.argsort(-row, kind="stable")[:top]
            yield Prediction(str(file), tuple((model.classes[index], float(row[index])) for index in ranked))


def _read(file: Path, model: Predictor, skipped: list[str], prog: str) -> NDArray[np.uint8] | None:
    from ma2ml_env.tasks.pictures import read_picture

    try:
        return read_picture(file, model.images.image_size, model.images.channels)
    except MA2MLError as error:
        skipped.append(str(error))
        print(f"{prog}: skipped: {error}", file=sys.stderr)
        return None


def _output(out: str | None) -> tuple[str, Path | None]:
    """Returns the form of the output, a key of `WRITERS`, and its file, None for standard output."""
    if out is None:
        return "lines", None
    forms = [form for form in WRITERS if form != "lines"]
    if out in forms:
        return out, None
    form = Path(out).suffix.removeprefix(".").lower()
    if form not in forms:
        raise MA2MLError(f"--out is csv, json or a file that ends in .csv or .json, not {out!r}; {nearest(out, forms)}")
    return form, Path(out)
