"""Interface of trained models: pictures in, class names and probabilities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ma2ml_env.training.image_form import ImageForm
from ma2ml_env.training.pixels import Pictures, pixel_batches


class Predictor(ABC):
    """A trained model, in whatever runtime it is executed.

    Attributes:
        images: form of the images, and the names of the classes.
        about: origin and quality of the model as JSON values, for its model card; empty if they are not known.
    """

    images: ImageForm
    about: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.images.classes

    @abstractmethod
    def logits(self, pixels: Tensor) -> Tensor:
        """Logits without gradients.

        Args:
            pixels: uint8, (N, channels, image_size, image_size).

        Returns:
            float32 on the CPU, (N, classes).

        Raises:
            MA2MLError: if the images are of another type or shape.
        """

    def predict_proba(self, pictures: Pictures) -> NDArray[np.float32]:
        """Probabilities of the classes, the softmax of the logits.

        Args:
            pictures: one picture or several: files, pictures of Pillow, uint8 arrays (H, W), (H, W, C) or (C, H, W),
                uint8 tensors of the model's own size; also a batch as one array or tensor. Files, pictures and arrays
                of another size are resized by their shorter side and cropped in the middle.

        Returns:
            Shape (pictures, classes); each row sums to 1.

        Raises:
            MA2MLError: for a picture of another kind, type or shape, or a damaged file; it names the picture.
        """
        parts = [self.logits(pixels).softmax(dim=1).numpy() for pixels in pixel_batches(pictures, self.images)]
        return np.concatenate([np.empty((0, len(self.classes)), np.float32), *parts])

    def predict(self, pictures: Pictures) -> list[str]:
        """The most probable class of each picture; arguments and errors as in `predict_proba`."""
        return [self.classes[index] for index in self.predict_proba(pictures).argmax(axis=1)]
