"""Networks of architectures, and their cost; one entry point for every family of networks.

An evaluator calls `build_network(pipeline["nas"], skeleton, image_size=..., in_channels=..., num_classes=...,
drop_path=...)` and `count(pipeline["nas"], skeleton, image_size=..., in_channels=..., num_classes=...)`, and need not
know which family it is. Counting loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ma2ml_env.errors import MA2MLError
from ma2ml_env.families import family_of
from ma2ml_env.types import Cost

if TYPE_CHECKING:
    from torch import nn

    from ma2ml_env.models.counting import cost


def build_network(
    architecture: Any,
    skeleton: Any,
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    drop_path: float = 0.0,
) -> nn.Module:
    """The network of an architecture of any family.

    It has a method `set_drop_path_progress(progress)`, the part of the training that is over, in [0, 1].

    Args:
        architecture: a `Genotype` of nasnet or darts, or an `Architecture` of fbnetv3 or residual.
        skeleton: network skeleton, of the same family.
        image_size: rows and columns of the square images; FBNetV3 resizes them to its own resolution.
        in_channels: 1 for gray images, 3 for colored ones.
        num_classes: number of logits.
        drop_path: probability of removing the deepest path at the end of training, in [0, 1).

    Raises:
        ValueError: for an architecture of no family, a skeleton of another, or an image that is too small.
    """
    module: nn.Module = _family(architecture, skeleton).build(
        architecture,
        skeleton,
        image_size=image_size,
        in_channels=in_channels,
        num_classes=num_classes,
        drop_path=drop_path,
    )
    return module


def count(architecture: Any, skeleton: Any, *, image_size: int, in_channels: int, num_classes: int) -> Cost:
    """Cost of the network of `build_network`, by arithmetic on the choices alone; same arguments and errors."""
    result: Cost = _family(architecture, skeleton).count(
        architecture, skeleton, image_size=image_size, in_channels=in_channels, num_classes=num_classes
    )
    return result


def _family(architecture: Any, skeleton: Any) -> Any:
    """The module that builds and counts, after a check that the skeleton is of the architecture's family."""
    family = family_of(architecture)
    if not isinstance(skeleton, family.load("skeleton")):
        expected = family.skeleton.partition(":")[2]
        raise MA2MLError(
            f"an architecture of the family {family.name!r} needs a {expected} as its skeleton, "
            f"not a {type(skeleton).__name__}"
        )
    return family.networks()


def __getattr__(name: str) -> Any:
    if name == "cost":
        from ma2ml_env.models.counting import cost

        return cost
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["build_network", "cost", "count"]
