"""Small trained models that no training made."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.image_form import ImageForm
from ma2ml_env.training.loop import Normalization

SIZE, CLASSES = 6, ("dark", "middle", "bright", "odd")


def linear_classifier(channels: int = 1) -> Classifier:
    """One linear layer with batch normalization; it cannot be saved as safetensors."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * SIZE**2, len(CLASSES)), nn.BatchNorm1d(len(CLASSES)))
    form = ImageForm("mine", SIZE, channels, CLASSES)
    normalization = Normalization((0.4,) * channels, (0.3,) * channels)
    return Classifier(network, None, NASNetSkeleton(2, 1, 2), normalization, form)


def squares(count: int, channels: int = 1) -> np.ndarray:
    """Random pixels of the model's size, uint8 (count, channels, SIZE, SIZE)."""
    return np.random.default_rng(0).integers(0, 256, (count, channels, SIZE, SIZE), dtype=np.uint8)


def softmax_by_hand(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """exp(z_c) / sum_k exp(z_k) in float64, of the logits z in evaluation mode."""
    z = classifier.eval()(torch.tensor(images)).detach().double().numpy()
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
