"""A trained model that stands on its own: network, normalization and class names in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ma2ml_env import catalog
from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.families import FAMILIES
from ma2ml_env.files import replacing
from ma2ml_env.models import build_network
from ma2ml_env.tasks.task import Task
from ma2ml_env.training.loop import Normalization

FORMAT = "ma2ml-classifier-1"


class Classifier(nn.Module):
    """Classifies images as they come: uint8 pixels in, class names out.

    Args:
        network: standardized images to logits.
        genotype: what the architecture agent chose.
        skeleton: what the genotype was put into.
        normalization: of the network's input.
        task: what it was trained for.

    Source: ours.
    """

    def __init__(
        self, network: nn.Module, genotype: Any, skeleton: Any, normalization: Normalization, task: Task
    ) -> None:
        super().__init__()
        self.network = network
        self.genotype = genotype
        self.skeleton = skeleton
        self.normalization = normalization
        self.task = task

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits.

        Args:
            pixels: uint8, (N, channels, image_size, image_size).

        Returns:
            Shape (N, classes).

        Raises:
            ValueError: if the images are of another type or shape.
        """
        expected = (self.task.channels, self.task.image_size, self.task.image_size)
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != expected:
            raise MA2MLError(f"images must be uint8 of shape (N, {', '.join(map(str, expected))}), "
                             f"not {pixels.dtype} of {tuple(pixels.shape)}")  # fmt: skip
        logits: Tensor = self.network(self.normalization(pixels))
        return logits

    @torch.no_grad()
    def predict(self, pixels: Tensor) -> list[str]:
        """The class name of each image; arguments and errors as in `forward`."""
        self.eval()
        return [self.task.classes[index] for index in self(pixels).argmax(dim=1).tolist()]

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file, replacing it at once.

        Raises:
            ValueError: if its network or task is not one that this package can build by name.
        """
        description = {
            "network": _described(self.skeleton, catalog.NETWORKS),
            "genotype": asdict(self.genotype),
            "task": _described(self.task, catalog.TASKS),
            "normalization": asdict(self.normalization),
        }
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        with replacing(path) as temporary:
            save_file(weights, temporary, metadata={"format": FORMAT, "description": json.dumps(description)})


def load_model(path: str | Path) -> Classifier:
    """Load a model that `Classifier.save` wrote; ready to predict, on the CPU.

    Raises:
        ValueError: if the file is missing, damaged, or not such a model.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise MA2MLError(f"cannot load a model from {path}: {error}") from error
    if metadata.get("format") != FORMAT:
        raise MA2MLError(f"{path} is not a model of format {FORMAT}")
    try:
        model = _built(json.loads(metadata["description"]))
        model.network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise MA2MLError(f"{path} does not describe its own weights: {error}") from error
    return model.eval()


def _built(description: dict[str, Any]) -> Classifier:
    task = _part(description["task"], catalog.TASKS, "task of the model")
    skeleton = _part(description["network"], catalog.NETWORKS, "network of the model")
    genotype_type = FAMILIES[description["network"]["kind"]].load("architecture")
    genotype = TypeAdapter(genotype_type).validate_json(json.dumps(description["genotype"]))
    normalization = TypeAdapter(Normalization).validate_json(json.dumps(description["normalization"]))
    network = build_network(
        genotype,
        skeleton,
        image_size=task.image_size,
        in_channels=task.channels,
        num_classes=len(task.classes),
        drop_path=0.0,
    )
    return Classifier(network, genotype, skeleton, normalization, task)


def _part(spec: dict[str, Any], catalogue: dict[str, str], where: str) -> Any:
    """The part of a spec, by the catalogue's names alone: a file must not choose what code is run."""
    if spec["kind"] not in catalogue:
        raise UnknownNameError(f"{where}: unknown kind {spec['kind']!r}; {nearest(spec['kind'], catalogue)}")
    return catalog.build(spec, catalogue, where)


def _described(part: Any, catalogue: dict[str, str]) -> dict[str, Any]:
    """The spec from which `catalog.build` makes an equal part."""
    for kind, reference in catalogue.items():
        if reference == f"{type(part).__module__}:{type(part).__qualname__}":
            return {"kind": kind, **asdict(part)}
    raise MA2MLError(f"a model with a {type(part).__name__} cannot be saved; these can: {sorted(catalogue)}")
