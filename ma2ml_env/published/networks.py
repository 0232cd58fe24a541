"""Builds and counts the published networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.families import FAMILIES
from ma2ml_env.models import build_network, count
from ma2ml_env.published.entries import ENTRIES, Entry
from ma2ml_env.types import Cost

if TYPE_CHECKING:
    from torch import nn

LARGEST_CIFAR_LIKE = 64


@dataclass(frozen=True)
class Network:
    """A published network with every option decided.

    Attributes:
        architecture: architecture to build; for timm's networks their name there.
        skeleton: network skeleton; None for timm's.
        image_size: rows and columns of the images.
        in_channels: number of channels of the images.
        num_classes: number of logits.
        drop_path: probability of removing the deepest path at the end of training.
    """

    architecture: Any
    skeleton: Any
    image_size: int
    in_channels: int
    num_classes: int
    drop_path: float

    def build(self) -> nn.Module:
        """The torch module."""
        if self.skeleton is None:
            return _timm(self)
        sizes = {"image_size": self.image_size, "in_channels": self.in_channels, "num_classes": self.num_classes}
        return build_network(self.architecture, self.skeleton, drop_path=self.drop_path, **sizes)

    def cost(self) -> Cost:
        """FLOPs of one image and parameters; by arithmetic, of timm's networks on the meta device."""
        if self.skeleton is None:
            import torch

            from ma2ml_env.models.counting import cost

            with torch.device("meta"):
                model = _timm(self)
            return cost(model, self.image_size, self.in_channels)
        sizes = {"image_size": self.image_size, "in_channels": self.in_channels, "num_classes": self.num_classes}
        return count(self.architecture, self.skeleton, **sizes)


def entry(name: str) -> Entry:
    """Catalogue entry of a name.

    Raises:
        ValueError: for an unknown name, with the nearest one.
    """
    if name not in ENTRIES:
        raise UnknownNameError(f"nothing is published as {name!r}; {nearest(name, ENTRIES)}")
    return ENTRIES[name]


def architecture(name: str) -> Any:
    """Architecture or policy published under a name.

    Returns:
        A `Genotype` of nasnet or darts, an `Architecture` of fbnetv3 or residual, a `Policy` of autoaugment, or the
        name that timm has for it.

    Raises:
        ValueError: for an unknown name.
    """
    found = entry(name)
    if found.family == "policy":
        from ma2ml_env.search_spaces.autoaugment import PUBLISHED_POLICIES

        return PUBLISHED_POLICIES[name]
    return found.network["model"] if found.family == "timm" else FAMILIES[found.family].load("published")(name)


def network(
    name: str,
    *,
    image_size: int | None = None,
    in_channels: int = 3,
    num_classes: int | None = None,
    drop_path: float = 0.0,
    **skeleton: Any,
) -> Network:
    """A published network; arguments and errors as for `build`."""
    found = entry(name)
    if found.family == "policy":
        raise MA2MLError(f"{name} is an augmentation policy, not a network; `published.architecture` returns it")
    _require_options(name, skeleton, _options(found.family))
    given = {"image_size": image_size, "num_classes": num_classes, **skeleton}
    chosen = _resolve(found, {option: value for option, value in given.items() if value is not None})
    what = architecture(name)
    if found.family == "fbnetv3":
        what = replace(what, resolution=chosen.get("image_size", what.resolution))
        chosen["image_size"] = what.resolution
    make = FAMILIES[found.family].load("skeleton") if found.family in FAMILIES else None
    options = {option: value for option, value in chosen.items() if option in _options(found.family)}
    sizes = {"image_size": chosen["image_size"], "num_classes": chosen["num_classes"]}
    return Network(what, make(**options) if make else None, in_channels=in_channels, drop_path=drop_path, **sizes)


def _resolve(found: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the published network for this kind of images, overridden by those given."""
    stem = given.get("stem")
    if stem is None and "image_size" in given:
        stem = "cifar" if given["image_size"] <= LARGEST_CIFAR_LIKE else "imagenet"
    base = found.elsewhere if found.elsewhere and stem not in (None, found.network["stem"]) else found.network
    chosen = {**base, **given}
    variant = found.variants.get((chosen.get("filters", 0), chosen.get("repeats", 0)), {})
    return {**base, **variant, **given} if chosen.get("stem") == variant.get("stem") else chosen


def _options(family: str) -> tuple[str, ...]:
    if family not in FAMILIES:
        return ()
    return tuple(option.name for option in fields(FAMILIES[family].load("skeleton")))


def _require_options(name: str, given: Iterable[str], known: Iterable[str]) -> None:
    allowed = ("image_size", "in_channels", "num_classes", "drop_path", *known)
    for option in given:
        if option not in known:
            raise UnknownNameError(f"{name} has no option {option!r}; {nearest(option, allowed)}")


def _timm(what: Network) -> nn.Module:
    import timm

    options: dict[str, Any] = {
        "num_classes": what.num_classes,
        "in_chans": what.in_channels,
        "drop_path_rate": what.drop_path,
    }
    module: nn.Module = timm.create_model(what.architecture, pretrained=False, **options)
    return module
