"""Trained models that a command names: by their run, or by their file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ma2ml_agents.commands.finale.outcome import MODEL_FILE
from ma2ml_agents.runs.folder import CONFIG_FILE
from ma2ml_env.errors import MA2MLError

if TYPE_CHECKING:
    from ma2ml_env.training.predictor import Predictor


def model_file(run_or_model: Path) -> Path:
    """Returns the file of a model, which of a run's folder is that of its final training.

    Raises:
        MA2MLError: if there is no such file.
    """
    if run_or_model.is_dir():
        file = run_or_model / MODEL_FILE
        if not file.exists():
            raise MA2MLError(
                f"{run_or_model} holds no {MODEL_FILE}; the command that began the run makes it when the search is over"
            )
        return file
    if not run_or_model.exists():
        raise MA2MLError(f"there is no run and no model {run_or_model}")
    return run_or_model


def run_of(run_or_model: Path) -> Path | None:
    """Returns the folder of the run that a model comes from, None if it does not lie in a run's folder."""
    folder = run_or_model if run_or_model.is_dir() else run_or_model.parent
    of_run = run_or_model.is_dir() or run_or_model.name == MODEL_FILE
    return folder if of_run and (folder / CONFIG_FILE).exists() else None


def read_predictor(run_or_model: Path) -> Predictor:
    """Loads the model of a run, or of a safetensors or ONNX file.

    Raises:
        MA2MLError: if there is none, its file is damaged, or it is of another format.
        MissingExtraError: for an ONNX file if onnxruntime is not installed.
    """
    file = model_file(run_or_model)
    if file.suffix == ".onnx":
        from ma2ml_env.training.onnx_file import OnnxModel

        return OnnxModel(file)
    if file.suffix == ".pt2":
        raise MA2MLError(f"{file} is for torch.export.load(...).module(); name the run, a safetensors or an ONNX file")
    from ma2ml_env import load_model

    return load_model(file)
