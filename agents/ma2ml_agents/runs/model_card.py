"""Model cards: Markdown pages about exported models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ma2ml_agents.runs.words import percent

CLASSES = 50
"""Most classes that are listed."""
USE = {
    "safetensors": """from ma2ml_env import load_model

model = load_model("{file}")
print(model.predict(["picture.png"]), model.predict_proba(["picture.png"]))""",
    "onnx": """import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{file}")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
pixels = np.zeros({shape}, np.uint8)
(logits,) = session.run(["logits"], {{"pixels": pixels}})
print([classes[index] for index in logits.argmax(axis=1)])""",
    "torch_export": """import json, torch

texts = {{"classes.json": ""}}
model = torch.export.load("{file}", extra_files=texts).module()
logits = model(torch.zeros({shape}, dtype=torch.uint8))
print([json.loads(texts["classes.json"])[index] for index in logits.argmax(dim=1)])""",
}
"""{format: Python code that uses a file of it}."""


def model_card(about: Mapping[str, Any]) -> str:
    """Returns the card of an exported model in Markdown.

    Args:
        about: facts about the model, as in its file's metadata: `task`, `image_size`, `channels`, `classes`, `format`
            and `file` are required, others are left out of the card if they are missing.
    """
    shape = (1, about["channels"], about["image_size"], about["image_size"])
    parts = [
        f"# Model card: {about['task']}",
        _summary(about),
        "## Data",
        _table(("part", "images"), about.get("images", {}).items()),
        "The model was trained on the parts train and validation together." if "images" in about else "",
        f"Classes: {_listed(about['classes'])}",
        "## Quality",
        _table(("quantity", "value"), _quality(about)),
        "## Cost",
        _table(("quantity", "value"), _cost(about)),
        "## Search",
        _table(("fact", "value"), _search(about)),
        _finalists(about),
        _pipeline(about),
        "## Use",
        f"```python\n{USE[about['format']].format(file=about['file'], shape=shape)}\n```",
        "## Versions",
        _table(("library", "version"), _versions(about)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(about: Mapping[str, Any]) -> str:
    kind = {1: "gray", 3: "RGB"}[about["channels"]]
    size = about["image_size"]
    return (
        f"Classifies {kind} pictures of {size}x{size} pixels, uint8 from 0 to 255, into {len(about['classes'])} "
        "classes. Larger pictures are resized by their shorter side and cropped in the middle. Standardization is a "
        "part of the model. Accuracy is that on pictures like those it was trained on; on others it is unknown."
    )


def _quality(about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    metric = str(about.get("metric", "accuracy")).replace("_", " ")
    rows = (
        (f"test {metric}", "test_accuracy", "test_interval"),
        (f"expected validation {metric}", "expected_accuracy", "interval"),
        (f"validation {metric} observed in the search", "observed_accuracy", ""),
    )
    for label, name, interval in rows:
        if name in about:
            yield label, f"{about[name]:.2%}{_interval(about.get(interval))}"
    if "chance" in about:
        yield f"{metric} of guessing", percent(about["chance"])
    if "export_difference" in about:
        yield "largest difference of a logit from the original", f"{about['export_difference']:.2g}"


def _interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f" (95 % interval {bounds[0]:.2%} to {bounds[1]:.2%})"


def _cost(about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for label, name in (("multiply-accumulates of one picture", "flops"), ("parameters", "params")):
        if name in about:
            yield label, f"{about[name]:,}"
    if "latency" in about:
        yield "latency of one picture, median, one thread", f"{about['latency'] * 1e3:.2f} ms"
        yield "measured on", about["machine"]


def _search(about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    shown = dict(about)
    if "image_share" in about:
        shown["image_share"] = f"{about['image_share']:.2%}"
    labels = {
        "environment": "environment",
        "learner": "learner",
        "budget": "budget, in evaluated pipelines",
        "trials": "evaluated pipelines",
        "trial": "number of this pipeline",
        "seed": "seed",
        "epochs": "epochs of the final training",
        "image_share": "share of the training images in it",
        "augmentation": "augmentation of the final training",
    }
    return ((label, str(shown[name])) for name, label in labels.items() if name in shown)


def _finalists(about: Mapping[str, Any]) -> str:
    """Returns the section about the finalists; empty if there were none."""
    rows = [
        (
            str(one["trial"]),
            f"{one['expected_accuracy']:.2%}{_interval(one.get('interval'))}",
            one["flops"],
            one["params"],
            f"{one['latency'] * 1e3:.2f} ms",
        )
        for one in about.get("finalists", [])
    ]
    head = ("trial", "expected validation accuracy", "multiply-accumulates", "parameters", "latency in PyTorch")
    return f"## Finalists\n\n{_table(head, rows)}" if rows else ""


def _pipeline(about: Mapping[str, Any]) -> str:
    return f"## Pipeline\n\n```text\n{about['pipeline']}\n```" if "pipeline" in about else ""


def _versions(about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield from about.get("versions", {}).items()
    trained = about.get("training_versions") or {}
    if trained.get("version"):
        yield "ma2ml-env of the search", " ".join(filter(None, (trained["version"], trained.get("commit"))))


def _listed(classes: Sequence[str]) -> str:
    more = len(classes) - CLASSES
    return ", ".join(f"`{name}`" for name in classes[:CLASSES]) + (f" and {more:,} more" if more > 0 else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns a table; "Not known." if it has no rows."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    ruler = f"|{'---|' * len(head)}"
    return "\n".join([f"| {' | '.join(head)} |", ruler, *lines]) if lines else "Not known."


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")
