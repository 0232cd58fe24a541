"""The published figures beside those computed now."""

from __future__ import annotations

from dataclasses import dataclass

from ma2ml_env.published.entries import ENTRIES
from ma2ml_env.published.networks import network


@dataclass(frozen=True)
class Row:
    """One published architecture or policy.

    Attributes:
        name: as `names` lists them.
        source: paper or code that it comes from.
        image_size: rows and columns of the images that are counted; None for a policy, like all figures.
        params: trainable parameters, computed.
        flops: multiply-accumulates of one image, computed.
        published_params: as published, None if not known.
        published_flops: as published, None if not known.
        note: reason why a published figure is not reproduced.
    """

    name: str
    source: str
    image_size: int | None = None
    params: int | None = None
    flops: int | None = None
    published_params: float | None = None
    published_flops: float | None = None
    note: str = ""

    @property
    def params_ratio(self) -> float | None:
        """Computed over published parameters, None where one is missing."""
        return self.params / self.published_params if self.params and self.published_params else None

    @property
    def flops_ratio(self) -> float | None:
        """Computed over published multiply-accumulates, None where one is missing."""
        return self.flops / self.published_flops if self.flops and self.published_flops else None


def sizes() -> list[Row]:
    """Every published architecture and policy, in the order of the catalogue, with its cost as computed now."""
    rows = []
    for name, found in ENTRIES.items():
        if found.family == "policy":
            rows.append(Row(name, found.source, note=found.note))
            continue
        what = network(name)
        cost = what.cost()
        published = (found.published_params, found.published_flops, found.note)
        rows.append(Row(name, found.source, what.image_size, cost.params, cost.flops, *published))
    return rows
