"""Predictions as lines for reading, CSV and JSON, written one by one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of a picture.

    Attributes:
        file: name of its file.
        classes: (class, probability), the most probable first.
    """

    file: str
    classes: tuple[tuple[str, float], ...]


def write_lines(predictions: Iterable[Prediction], stream: TextIO, top: int) -> None:
    """Writes a line per picture for reading: file, and classes with their probabilities in percent."""
    for prediction in predictions:
        ranked = ", ".join(f"{name} {probability:.2%}" for name, probability in prediction.classes)
        stream.write(f"{prediction.file}: {ranked}\n")


def write_csv(predictions: Iterable[Prediction], stream: TextIO, top: int) -> None:
    """Writes a CSV row per picture: file, class, probability, and class_2, probability_2, ... of the next ones."""
    writer = csv.writer(stream, lineterminator="\n")
    ranks = ("", *(f"_{rank}" for rank in range(2, top + 1)))
    writer.writerow(["file", *(f"{name}{rank}" for rank in ranks for name in ("class", "probability"))])
    for prediction in predictions:
        cells = [cell for name, probability in prediction.classes for cell in (name, f"{probability:.6g}")]
        writer.writerow([prediction.file, *cells])


def write_json(predictions: Iterable[Prediction], stream: TextIO, top: int) -> None:
    """Writes a JSON list with an object per picture: its file, and its classes as objects."""
    separator = "[\n"
    for prediction in predictions:
        classes = [{"class": name, "probability": probability} for name, probability in prediction.classes]
        stream.write(separator + json.dumps({"file": prediction.file, "classes": classes}))
        separator = ",\n"
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


WRITERS: dict[str, Callable[[Iterable[Prediction], TextIO, int], None]] = {
    "lines": write_lines,
    "csv": write_csv,
    "json": write_json,
}
"""{form: writer of predictions to a stream, with the number of classes of each}."""
