"""Export of trained models to files for deployment, each checked against the model it was made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from ma2ml_env.errors import MA2MLError, require_known
from ma2ml_env.files import replacing
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.latency import Logits, median_latency, one_thread
from ma2ml_env.training.model_file import load_model, save_model
from ma2ml_env.training.onnx_file import OnnxModel, example, quiet, require_onnx, write_onnx

TOLERANCE, ROUNDING = 1e-3, 1e-6
"""Largest allowed difference of a logit: so much of the largest logit, and rounding errors of zeros."""
CHECKED_BATCHES = (1, 2, 7)


@dataclass(frozen=True)
class Format:
    """One way to store a model.

    Attributes:
        suffix: of its files.
        write: writes a model to a file.
        read: loads a function from pixels to logits from a file.
        require: raises an error if a library that it needs is not installed.
    """

    suffix: str
    write: Callable[[Classifier, Path], None]
    read: Callable[[Path], Logits]
    require: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Export:
    """An exported model.

    Attributes:
        path: the file.
        difference: largest difference of a logit between the file's model and the original.
        scale: largest logit, in absolute value, of the original.
        latency: median seconds of one image on one thread of this machine, by the file's model.
    """

    path: Path
    difference: float
    scale: float
    latency: float


def export(model: Classifier, path: Path, format_name: str) -> Export:
    """Writes a model to a file, loads the file, and compares the logits of both on random pixels.

    Args:
        model: on the CPU.
        path: the file; it is replaced once its model agrees with the original.
        format_name: a key of `FORMATS`.

    Raises:
        UnknownNameError: for an unknown format, with the nearest one.
        MissingExtraError: if a library is not installed.
        MA2MLError: if the logits differ by more than `TOLERANCE`; an earlier file stays as it was.
    """
    require_format(format_name)
    chosen = FORMATS[format_name]
    model.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, one_thread():
        chosen.write(model, temporary)
        logits = chosen.read(temporary)
        difference, scale = disagreement(model, logits)
        if not difference <= TOLERANCE * scale + ROUNDING:
            raise MA2MLError(
                f"the {format_name} export differs from the model by {difference:.2g} in a logit of up to {scale:.3g}, "
                f"more than {TOLERANCE:g} of it, so it is not kept; export to another format"
            )
        latency = median_latency(logits, model.images.shape)
    return Export(path, difference, scale, latency)


def require_format(name: str) -> None:
    """Checks that a format is known and that its libraries are installed.

    Raises:
        UnknownNameError: for an unknown format, with the nearest one.
        MissingExtraError: if a library is not installed.
    """
    require_known(name, FORMATS, "format")
    FORMATS[name].require()


def disagreement(model: Classifier, logits: Logits) -> tuple[float, float]:
    """Largest difference of a logit between a model and another form of it, and the model's largest logit.

    The images are random, in batches of several sizes.
    """
    generator = torch.Generator().manual_seed(0)
    differences, originals = [], []
    for size in CHECKED_BATCHES:
        pixels = torch.randint(0, 256, (size, *model.images.shape), dtype=torch.uint8, generator=generator)
        expected, found = model.logits(pixels), logits(pixels)
        if found.shape != expected.shape:
            shapes = f"{tuple(found.shape)}, not {tuple(expected.shape)}"
            raise MA2MLError(f"the exported model has logits of shape {shapes}")
        differences.append(found - expected)
        originals.append(expected)
    return float(torch.cat(differences).abs().max()), float(torch.cat(originals).abs().max())


def write_torch_export(model: Classifier, path: Path) -> None:
    """Writes a `torch.export` archive with a dynamic batch; nothing in it is a pickle.

    Names of the classes, the form of the images and the facts about the model are its extra files `classes.json`,
    `images.json` and `about.json`.

    Args:
        model: on the CPU, in evaluation mode.
        path: the file.
    """
    with quiet():
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(model, (example(model),), dynamic_shapes=({0: batch},))
        program.example_inputs = None  # they would be stored as a pickle
        texts = {"classes": list(model.classes), "images": asdict(model.images), "about": dict(model.about)}
        with path.open("wb") as file:
            torch.export.save(
                program, file, extra_files={f"{name}.json": json.dumps(value) for name, value in texts.items()}
            )


def read_torch_export(path: Path) -> Logits:
    """The function from pixels to logits in a `torch.export` archive."""
    with quiet(), path.open("rb") as file:
        module = torch.export.load(file).module()

    def logits(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = module(pixels)
        return result

    return logits


def _read_safetensors(path: Path) -> Logits:
    return load_model(path).logits


def _read_onnx(path: Path) -> Logits:
    return OnnxModel(path, threads=1).logits


FORMATS: dict[str, Format] = {
    "safetensors": Format(".safetensors", save_model, _read_safetensors),
    "onnx": Format(".onnx", write_onnx, _read_onnx, require_onnx),
    "torch_export": Format(".pt2", write_torch_export, read_torch_export),
}
"""{name: format}; `safetensors` is loaded by `ma2ml_env.load_model`."""

__all__ = ["FORMATS", "TOLERANCE", "Export", "Format", "export", "require_format"]
