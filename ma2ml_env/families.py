"""Families of networks: one record each, read by everything that has to know a family."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ma2ml_env.errors import MA2MLError


@dataclass(frozen=True)
class Family:
    """A search space of architectures, and the code that builds, prices and publishes its networks.

    References have the form `module:name` and are loaded when they are used: looking a family up loads nothing.

    Attributes:
        name: in registry files, saved models and the catalogue of published networks.
        space: function that returns the search space.
        architecture: dataclass that the space's actions decode to.
        skeleton: dataclass that an architecture is put into; its module has `build` and `count`.
        published: function from a published name to its architecture.
        nearest: function from (architecture, search space) to the nearest choices or architecture that the space can
            represent, and a list of what had to change; None where every published one is exact or refused.
    """

    name: str
    space: str
    architecture: str
    skeleton: str
    published: str
    nearest: str | None = None

    def load(self, attribute: str) -> Any:
        """Returns the object that one of the references names."""
        module, _, name = getattr(self, attribute).partition(":")
        return getattr(importlib.import_module(module), name)

    def networks(self) -> Any:
        """Returns the module with `build` and `count`; it loads torch only to build."""
        return importlib.import_module(self.skeleton.partition(":")[0])


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="darts",
            space="ma2ml_env.search_spaces.darts:darts",
            architecture="ma2ml_env.search_spaces.darts:Genotype",
            skeleton="ma2ml_env.models.darts:DARTSSkeleton",
            published="ma2ml_env.published.cells:darts_genotype",
        ),
        Family(
            name="fbnetv3",
            space="ma2ml_env.search_spaces.fbnetv3:fbnetv3",
            architecture="ma2ml_env.search_spaces.fbnetv3:Architecture",
            skeleton="ma2ml_env.models.fbnetv3:FBNetV3Skeleton",
            published="ma2ml_env.published.fbnetv3:fbnetv3_architecture",
            nearest="ma2ml_env.search_spaces.fbnetv3:nearest_values",
        ),
        Family(
            name="nasnet",
            space="ma2ml_env.search_spaces.nasnet:nasnet",
            architecture="ma2ml_env.search_spaces.nasnet:Genotype",
            skeleton="ma2ml_env.models.nasnet:NASNetSkeleton",
            published="ma2ml_env.published.cells:nasnet_genotype",
            nearest="ma2ml_env.search_spaces.nasnet:nearest_genotype",
        ),
        Family(
            name="residual",
            space="ma2ml_env.search_spaces.residual:residual",
            architecture="ma2ml_env.search_spaces.residual:Architecture",
            skeleton="ma2ml_env.models.residual:ResidualSkeleton",
            published="ma2ml_env.published.residual:residual_architecture",
            nearest="ma2ml_env.search_spaces.residual:nearest_values",
        ),
    )
}


def family_of(architecture: Any) -> Family:
    """Returns the family that an architecture belongs to.

    Raises:
        ValueError: if it belongs to none.
    """
    reference = f"{type(architecture).__module__}:{type(architecture).__name__}"
    for family in FAMILIES.values():
        if family.architecture == reference:
            return family
    known = [family.architecture for family in FAMILIES.values()]
    raise MA2MLError(f"no network is built from a {reference}; architectures are {known}")


__all__ = ["FAMILIES", "Family", "family_of"]
