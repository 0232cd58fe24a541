"""`ma2ml export`: a trained model as a file for deployment, with a model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from ma2ml_agents.commands.model_files.finalist_facts import finalists_of_run
from ma2ml_agents.commands.model_files.run_facts import facts_of_run, machine, versions
from ma2ml_agents.commands.model_files.saved_model import model_file, run_of
from ma2ml_agents.commands.options import parse
from ma2ml_agents.runs.model_card import model_card
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import write_text

if TYPE_CHECKING:
    from ma2ml_env.training.classifier import Classifier

CARD_FILE = "model_card.md"
EXPORT_FOLDER, NAME = "export", "model"
DEFAULT_FORMAT = "safetensors"
LIBRARIES = {
    "safetensors": ("torch", "safetensors"),
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "torch_export": ("torch",),
}


@dataclass(frozen=True)
class ExportOptions:
    """Export a trained model, with its class names, preprocessing and model card.

    The file is loaded again and must give the model's logits.
    """

    run_or_model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """Folder of a run, or a safetensors file of a model."""
    format: str | None = None
    """One of safetensors, onnx (needs the extra onnx) and torch_export; by default that of the ending of --out
    (.safetensors, .onnx, .pt2), else safetensors."""
    out: Path | None = None
    """File to write, or a folder; by default in the folder export beside the model. The card is written beside it."""


def main(argv: Sequence[str], prog: str) -> None:
    """Exports a model and writes its card."""
    options: ExportOptions = parse(ExportOptions, argv, prog)
    from ma2ml_env import load_model
    from ma2ml_env.training.export import export, require_format

    form = _format(options)
    require_format(form)
    source = model_file(options.run_or_model)
    model = load_model(source)
    out = _target(options.out, source, form)
    used = {"format": form, "file": out.name, "versions": versions(*LIBRARIES[form])}
    run = run_of(options.run_or_model)
    model.about = {**_facts(model, run), **used}
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.status(f"exporting {source}"):
        done = export(model, out, form)
        finalists = [] if run is None else finalists_of_run(run)
    measured = {"latency": done.latency, "machine": machine(), "export_difference": done.difference}
    card = out.parent / CARD_FILE
    write_text(card, model_card({**model.about, **measured, "finalists": finalists}))
    console.print(f"{out}: {out.stat().st_size:,} bytes of {form}")
    console.print(
        f"largest difference of a logit from the model: {done.difference:.2g}, of logits up to {done.scale:.3g}"
    )
    console.print(f"latency: {done.latency * 1e3:.2f} ms for one picture on one thread, the median")
    console.print(f"model card: {card}")


def _format(options: ExportOptions) -> str:
    """Returns the wanted format.

    Raises:
        MA2MLError: if the ending of the file is that of another one.
    """
    from ma2ml_env.training.export import FORMATS

    suffix = options.out.suffix if options.out is not None else ""
    ending = next((name for name, form in FORMATS.items() if form.suffix == suffix), None)
    if None not in (options.format, ending) and options.format != ending:
        raise MA2MLError(f"{options.out} ends as a file of {ending} does, not of {options.format}; change one of them")
    return options.format or ending or DEFAULT_FORMAT


def _target(out: Path | None, source: Path, form: str) -> Path:
    """Returns the file to write."""
    from ma2ml_env.training.export import FORMATS

    folder = source.parent / EXPORT_FOLDER if out is None else out
    return folder / f"{NAME}{FORMATS[form].suffix}" if out is None or folder.is_dir() else folder


def _facts(model: Classifier, run: Path | None) -> dict[str, Any]:
    """Returns the facts about a model that do not depend on its export."""
    from ma2ml_env.models import count

    images = model.images
    shapes = {"image_size": images.image_size, "in_channels": images.channels, "num_classes": len(images.classes)}
    cost = count(model.genotype, model.skeleton, **shapes)
    facts = dict(model.about) if run is None else facts_of_run(run)
    form = {"task": images.name, "image_size": images.image_size, "channels": images.channels}
    return {**facts, **form, "classes": list(images.classes), "flops": cost.flops, "params": cost.params}
