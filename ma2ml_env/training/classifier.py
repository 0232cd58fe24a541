"""Trained models: network, normalization and class names in one module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ma2ml_env.tasks.task import HasImageForm
from ma2ml_env.training.image_form import ImageForm
from ma2ml_env.training.loop import Normalization
from ma2ml_env.training.pixels import require_pixels
from ma2ml_env.training.predictor import Predictor


class Classifier(nn.Module, Predictor):
    """Classifies images as they come: files, pictures or uint8 pixels in, class names out.

    Args:
        network: standardized images to logits.
        genotype: the architecture agent's choice.
        skeleton: network skeleton of the genotype.
        normalization: normalization of the network's input.
        images: the task that it was trained for, of which it keeps the form of the images alone.
        about: origin and quality of the model as JSON values, for its model card; None if they are not known.

    Attributes:
        images: form of the images, and the names of the classes.
    """

    def __init__(
        self,
        network: nn.Module,
        genotype: Any,
        skeleton: Any,
        normalization: Normalization,
        images: HasImageForm,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.genotype = genotype
        self.skeleton = skeleton
        self.normalization = normalization
        self.images = ImageForm.of(images)
        self.about = dict(about or {})

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits.

        Args:
            pixels: uint8, (N, channels, image_size, image_size).

        Returns:
            Shape (N, classes).

        Raises:
            ValueError: if the images are of another type or shape.
        """
        logits: Tensor = self.network(self.normalization(require_pixels(pixels, self.images)))
        return logits

    def logits(self, pixels: Tensor) -> Tensor:
        """Logits in evaluation mode, computed on the model's device; see `Predictor.logits`."""
        self.eval()
        with torch.no_grad():
            logits: Tensor = self(pixels.to(next(self.parameters()).device))
        return logits.float().cpu()

    def save(self, path: str | Path) -> None:
        """Writes the model to one safetensors file, replacing it at once; see `model_file.save_model`."""
        from ma2ml_env.training.model_file import save_model

        save_model(self, path)
