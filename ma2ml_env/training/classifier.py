"""Self-contained trained models: network, normalization and class names in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ma2ml_env import catalog
from ma2ml_env.errors import DamagedFileError, MA2MLError, UnknownNameError, nearest, require_range
from ma2ml_env.families import FAMILIES
from ma2ml_env.files import replacing
from ma2ml_env.models import build_network, count
from ma2ml_env.tasks.task import HasImageForm
from ma2ml_env.training.loop import Normalization

FORMAT = "ma2ml-classifier-2"
WITH_TASK = "ma2ml-classifier-1"
"""The format of 0.1.0, which names a task of this package in place of the form of its images."""
LARGEST_IMAGE, MOST_CLASSES = 2**14, 10**6


@dataclass(frozen=True)
class ImageForm:
    """Form of the images that a model classifies, and its classes.

    Attributes:
        name: name of the task that the model was trained for.
        image_size: rows and columns; images are square.
        channels: 1 or 3.
        classes: names of the classes, in the order of the logits.

    Raises:
        MA2MLError: for sizes out of range, or no classes.
    """

    name: str
    image_size: int
    channels: int
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        require_range("image_size", self.image_size, 1, LARGEST_IMAGE)
        require_range("the number of classes", len(self.classes), 1, MOST_CLASSES)
        if self.channels not in (1, 3):
            raise MA2MLError(f"channels are 1 or 3, not {self.channels}")

    @classmethod
    def of(cls, task: HasImageForm) -> ImageForm:
        """The form of a task's images."""
        return cls(str(task.name), int(task.image_size), int(task.channels), tuple(map(str, task.classes)))


class Classifier(nn.Module):
    """Classifies images as they come: uint8 pixels in, class names out.

    Args:
        network: standardized images to logits.
        genotype: the architecture agent's choice.
        skeleton: network skeleton of the genotype.
        normalization: normalization of the network's input.
        images: the task that it was trained for, of which it keeps the form of the images alone.

    Attributes:
        images: form of the images, and the names of the classes.
    """

    def __init__(
        self, network: nn.Module, genotype: Any, skeleton: Any, normalization: Normalization, images: HasImageForm
    ) -> None:
        super().__init__()
        self.network = network
        self.genotype = genotype
        self.skeleton = skeleton
        self.normalization = normalization
        self.images = ImageForm.of(images)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.images.classes

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits.

        Args:
            pixels: uint8, (N, channels, image_size, image_size).

        Returns:
            Shape (N, classes).

        Raises:
            ValueError: if the images are of another type or shape.
        """
        expected = (self.images.channels, self.images.image_size, self.images.image_size)
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != expected:
            raise MA2MLError(f"images must be uint8 of shape (N, {', '.join(map(str, expected))}), "
                             f"not {pixels.dtype} of {tuple(pixels.shape)}")  # fmt: skip
        logits: Tensor = self.network(self.normalization(pixels))
        return logits

    @torch.no_grad()
    def predict(self, pixels: Tensor) -> list[str]:
        """The class name of each image; arguments and errors as in `forward`."""
        self.eval()
        return [self.classes[index] for index in self(pixels).argmax(dim=1).tolist()]

    def save(self, path: str | Path) -> None:
        """Writes the model to one safetensors file, replacing it at once.

        Raises:
            MA2MLError: if its network is not one that this package can build by name.
        """
        description = {
            "network": described_network(self.skeleton),
            "genotype": asdict(self.genotype),
            "images": asdict(self.images),
            "normalization": {"mean": self.normalization.mean, "std": self.normalization.std},
        }
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        with replacing(path) as temporary:
            save_file(weights, temporary, metadata={"format": FORMAT, "description": json.dumps(description)})


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
