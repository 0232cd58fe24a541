"""`ma2ml export`: a trained model as a file for deployment, with a model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from ma2ml_agents.commands.options import parse
from ma2ml_agents.commands.run_facts import facts_of_run, machine, versions
from ma2ml_agents.commands.saved_model import model_file, run_of
from ma2ml_agents.runs.model_card import model_card
from ma2ml_env.files import write_text

if TYPE_CHECKING:
    from ma2ml_env.training.classifier import Classifier

CARD_FILE = "model_card.md"
EXPORT_FOLDER, NAME = "export", "model"
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
    format: str = "safetensors"
    """One of safetensors, onnx (needs the extra onnx) and torch_export."""
    out: Path | None = None
    """File to write, or a folder; by default in the folder export beside the model. The card is written beside it."""


def main(argv: Sequence[str], prog: str) -> None:
    """Exports a model and writes its card."""
    options: ExportOptions = parse(ExportOptions, argv, prog)
    from ma2ml_env import load_model
    from ma2ml_env.training.export import export, require_format

    require_format(options.format)
    source = model_file(options.run_or_model)
    model = load_model(source)
    out = _target(options, source)
    model.about = _facts(options, model, out)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.status(f"exporting {source}"):
        done = export(model, out, options.format)
    measured = {"latency": done.latency, "machine": machine(), "export_difference": done.difference}
    card = out.parent / CARD_FILE
    write_text(card, model_card({**model.about, **measured}))
    console.print(f"{out}: {out.stat().st_size:,} bytes of {options.format}")
    console.print(
        f"largest difference of a logit from the model: {done.difference:.2g}, of logits up to {done.scale:.3g}"
    )
    console.print(f"latency: {done.latency * 1e3:.2f} ms for one picture on one thread, the median")
    console.print(f"model card: {card}")


def _target(options: ExportOptions, source: Path) -> Path:
    """Returns the file to write."""
    from ma2ml_env.training.export import FORMATS

    out = source.parent / EXPORT_FOLDER if options.out is None else options.out
    return out / f"{NAME}{FORMATS[options.format].suffix}" if options.out is None or out.is_dir() else out


def _facts(options: ExportOptions, model: Classifier, out: Path) -> dict[str, Any]:
    """Returns all facts for the card but those that are measured on the exported file."""
    from ma2ml_env.models import count

    images, run = model.images, run_of(options.run_or_model)
    shapes = {"image_size": images.image_size, "in_channels": images.channels, "num_classes": len(images.classes)}
    cost = count(model.genotype, model.skeleton, **shapes)
    facts = dict(model.about) if run is None else facts_of_run(run)
    form = {"task": images.name, "image_size": images.image_size, "channels": images.channels}
    own = {"classes": list(images.classes), "flops": cost.flops, "params": cost.params}
    used = {"format": options.format, "file": out.name, "versions": versions(*LIBRARIES[options.format])}
    return {**facts, **form, **own, **used}
