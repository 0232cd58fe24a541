"""ONNX files of trained models: uint8 pixels to logits, in any ONNX runtime."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from ma2ml_env.errors import DamagedFileError, missing_extra
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.image_form import ImageForm
from ma2ml_env.training.pixels import require_pixels
from ma2ml_env.training.predictor import Predictor

INPUT, OUTPUT = "pixels", "logits"


def require_onnx() -> None:
    """Checks that ONNX files can be written.

    Raises:
        MissingExtraError: if a library is not installed, with the command that installs it.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        _library(name)


def write_onnx(model: Classifier, path: Path) -> None:
    """Writes one ONNX file: `pixels`, uint8 (batch, channels, rows, columns), to `logits`, (batch, classes).

    Normalization is part of the graph; the batch is dynamic. Names of the classes, the form of the images and the
    facts about the model are JSON texts of the file's metadata: `classes`, `images`, `about`.

    Args:
        model: on the CPU, in evaluation mode.
        path: the file.

    Raises:
        MissingExtraError: if onnx or onnxscript is not installed.
    """
    require_onnx()
    onnx: Any = _library("onnx")
    with quiet():
        program = torch.onnx.export(
            model,
            (example(model),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    texts = {"classes": list(model.classes), "images": asdict(model.images), "about": dict(model.about)}
    onnx.helper.set_model_props(proto, {name: json.dumps(value) for name, value in texts.items()})
    path.write_bytes(proto.SerializeToString())


class OnnxModel(Predictor):
    """A model in an ONNX file that `write_onnx` wrote, executed by onnxruntime on the CPU.

    Args:
        path: the file.
        threads: number of threads of one operation; 0 for all cores.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
        DamagedFileError: if the file is missing, damaged or not such a model.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        runtime: Any = _library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            content = Path(path).read_bytes()
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise DamagedFileError(f"cannot load a model from {path}: {str(error).splitlines()[0]}") from error
        texts = self._session.get_modelmeta().custom_metadata_map
        try:
            self.images = TypeAdapter(ImageForm).validate_json(texts["images"])
            self.about = TypeAdapter(dict[str, Any]).validate_json(texts["about"])
        except (KeyError, ValueError) as error:
            raise DamagedFileError(f"{path} is not a model that `ma2ml export` wrote: no valid {error}") from error

    def logits(self, pixels: Tensor) -> Tensor:
        """Logits by onnxruntime; see `Predictor.logits`."""
        (logits,) = self._session.run([OUTPUT], {INPUT: require_pixels(pixels, self.images).cpu().numpy()})
        return torch.from_numpy(logits)


def example(model: Classifier) -> Tensor:
    """Two black images, to trace a model with."""
    return torch.zeros(2, *model.images.shape, dtype=torch.uint8)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences warnings and notes of torch's exporters, which concern their own code."""
    import warnings

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_extra(f"ONNX files need {name}, which is not installed", "onnx") from error
