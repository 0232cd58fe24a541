"""Safetensors files of trained models: weights, and all that is needed to build the model around them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ma2ml_env import catalog
from ma2ml_env.errors import DamagedFileError, MA2MLError, UnknownNameError, nearest
from ma2ml_env.families import FAMILIES
from ma2ml_env.files import replacing
from ma2ml_env.models import build_network, count
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.image_form import ImageForm
from ma2ml_env.training.loop import Normalization

FORMAT = "ma2ml-classifier-2"
WITH_TASK = "ma2ml-classifier-1"
"""The format of 0.1.0, which names a task of this package in place of the form of its images."""


def save_model(model: Classifier, path: str | Path) -> None:
    """Writes a model to one safetensors file, replacing it at once.

    Raises:
        MA2MLError: if its network is not one that this package can build by name.
    """
    description = {
        "network": described_network(model.skeleton),
        "genotype": asdict(model.genotype),
        "images": asdict(model.images),
        "normalization": {"mean": model.normalization.mean, "std": model.normalization.std},
    }
    weights = {name: tensor.contiguous() for name, tensor in model.network.state_dict().items()}
    metadata = {"format": FORMAT, "description": json.dumps(description), "about": json.dumps(model.about)}
    with replacing(path) as temporary:
        temporary.write_bytes(
            save(weights, metadata=metadata)
        )  # `save_file` makes a file that its owner alone may read


def load_model(path: str | Path) -> Classifier:
    """Loads a model that `Classifier.save` wrote; ready to predict, on the CPU.

    Raises:
        ValueError: if the file is missing, damaged, or not such a model.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(f"cannot load a model from {path}: {error}") from error
    if metadata.get("format") not in (FORMAT, WITH_TASK):
        raise DamagedFileError(f"{path} is not a model of format {FORMAT}")
    try:
        model = _built(json.loads(metadata["description"]), sum(tensor.numel() for tensor in weights.values()))
        model.network.load_state_dict(weights)
        model.about = _typed(dict[str, Any], json.loads(metadata.get("about", "{}")))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise DamagedFileError(f"{path} does not describe its own weights: {error}") from error
    return model.eval()


def _built(description: dict[str, Any], numbers: int) -> Classifier:
    """The model of a description, of as many parameters as a file of so many numbers can hold."""
    if "task" in description:
        images = ImageForm.of(_part(description["task"], catalog.TASKS, "task of the model"))
    else:
        images = _typed(ImageForm, description["images"])
    skeleton = _part(description["network"], catalog.NETWORKS, "network of the model")
    genotype = _typed(FAMILIES[description["network"]["kind"]].load("architecture"), description["genotype"])
    moments = {name: _typed(tuple[float, ...], description["normalization"][name]) for name in ("mean", "std")}
    if {len(values) for values in moments.values()} != {images.channels}:
        raise MA2MLError(f"the normalization is of {len(moments['mean'])} channels, not {images.channels}")
    shapes = {"image_size": images.image_size, "in_channels": images.channels, "num_classes": len(images.classes)}
    if (needed := count(genotype, skeleton, **shapes).params) > numbers:
        raise MA2MLError(f"its network has {needed:,} parameters, it holds {numbers:,} numbers")
    network = build_network(genotype, skeleton, **shapes, drop_path=0.0)
    return Classifier(network, genotype, skeleton, Normalization(**moments), images)


def _typed(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_json(json.dumps(value))


def _part(spec: dict[str, Any], catalogue: dict[str, str], where: str) -> Any:
    """The part of a spec, by the catalogue's names alone: a file must not choose what code is run."""
    if spec["kind"] not in catalogue:
        raise UnknownNameError(f"{where}: unknown kind {spec['kind']!r}; {nearest(spec['kind'], catalogue)}")
    return catalog.build(spec, catalogue, where)


def described_network(skeleton: Any) -> dict[str, Any]:
    """The spec from which `catalog.build` makes an equal skeleton.

    Raises:
        MA2MLError: if the catalogue has no such skeleton, so that a model with it cannot be saved.
    """
    for kind, reference in catalog.NETWORKS.items():
        if reference == f"{type(skeleton).__module__}:{type(skeleton).__qualname__}":
            return {"kind": kind, **asdict(skeleton)}
    raise MA2MLError(
        f"a model with a {type(skeleton).__name__} cannot be saved; these networks can: {sorted(catalog.NETWORKS)}"
    )
