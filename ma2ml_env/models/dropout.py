"""Dropout before the classifier, for networks of every family."""

from __future__ import annotations

from typing import Any

from torch import nn

from ma2ml_env.errors import MA2MLError


def add_dropout(network: nn.Module, probability: float) -> None:
    """Drops inputs of a network's classifier in training; names and values of its parameters stay as they are.

    Args:
        network: ends, in its `head`, with a flattening and a linear layer; so do the networks of this package.
        probability: probability of each input to be dropped, in [0, 1).

    Raises:
        ValueError: if the network ends otherwise, or the probability is out of range.

    Source: Srivastava et al. (2014), placed as in EfficientNet and FBNetV3.
    """
    if not 0 <= probability < 1:
        raise MA2MLError(f"dropout is a probability in [0, 1), not {probability}")
    head = getattr(network, "head", None)
    classifier: Any = head[-1] if isinstance(head, nn.Sequential) else nn.Identity()
    if [type(layer) for layer in classifier.children()] != [nn.Flatten, nn.Linear]:
        raise MA2MLError(
            f"a {type(network).__name__} has no linear classifier at the end of its `head` to put dropout before; "
            "use a recipe with dropout 0"
        )
    flatten = next(classifier.children())
    classifier[0] = nn.Sequential(flatten, nn.Dropout(probability)).train(network.training)
