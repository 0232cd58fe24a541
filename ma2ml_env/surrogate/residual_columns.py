"""Residual networks as columns: what each stage has, and what the whole network is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.search_space import SearchSpace
from ma2ml_env.search_spaces.residual import KINDS
from ma2ml_env.surrogate.columns import Columns, Integers

LAYERS = {"plain": 1, "basic": 2, "bottleneck": 3, "inverted": 3}
"""Convolutions of a block, one after the other."""


class ResidualColumns:
    """The columns of a residual space; decisions that are inactive have no part in them.

    Of a stage: depth, width, kernel, expansion and squeeze-and-excitation, 0 without blocks, and the blocks of each
    kind. Of the network: the stem, the activation, blocks of each kind, blocks with squeeze-and-excitation,
    convolutions one after the other, halvings before the first block, and the channels that the classifier reads.

    Args:
        space: the function `residual`'s.

    Source: ours.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._places = {decision.name: place for place, decision in enumerate(space.decisions)}
        self._stages = sum(name.endswith("_depth") for name in self._places)

    def __call__(self, actions: Integers) -> Columns:
        """The columns by name, each of shape (B,).

        Args:
            actions: of the space, shape (B, decisions).
        """
        active = self._space.active(actions)
        columns: Columns = {"stem": self._numbers("stem", actions, active)}
        columns |= {f"activation_{name}": column for name, column in self._shares("activation", actions, active)}
        empty = np.zeros(len(actions))
        totals = dict.fromkeys((*KINDS, "squeezed", "layers", "late", "last_width"), empty)
        begun = np.zeros(len(actions), dtype=bool)
        for number in range(1, self._stages + 1):
            stage = self._stage(f"stage{number}", actions, active)
            columns |= {f"stage{number}_{name}": column for name, column in stage.items()}
            for kind in KINDS:
                totals[kind] = totals[kind] + stage[kind]
                totals["layers"] = totals["layers"] + LAYERS[kind] * stage[kind]
            totals["squeezed"] = totals["squeezed"] + stage["depth"] * stage["squeeze"]
            begun |= stage["depth"] > 0
            totals["late"] = totals["late"] + ~begun
            totals["last_width"] = np.where(stage["depth"] > 0, stage["width"], totals["last_width"])
        return columns | totals

    def _stage(self, prefix: str, actions: Integers, active: NDArray[np.bool_]) -> Columns:
        """Columns of one stage, without its name."""
        names = [
            name for name in ("depth", "width", "kernel", "expansion", "squeeze") if f"{prefix}_{name}" in self._places
        ]
        columns = {name: self._numbers(f"{prefix}_{name}", actions, active) for name in names}
        shares = dict(self._shares(f"{prefix}_kind", actions, active))
        nothing = np.zeros(len(actions))
        return columns | {kind: columns["depth"] * shares.get(kind, nothing) for kind in KINDS}

    def _numbers(self, name: str, actions: Integers, active: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The chosen numbers of a decision, 0 where it is inactive."""
        place = self._places[name]
        values = np.array(self._space.decisions[place].choices, dtype=float)
        return np.asarray(np.where(active[:, place], values[actions[:, place]], 0.0))

    def _shares(self, name: str, actions: Integers, active: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.float64]]]:
        """For every choice of a decision whether it is the one, and active."""
        place = self._places[name]
        chosen = actions[:, place][:, None] == np.arange(len(self._space.decisions[place].choices))
        shares = (chosen & active[:, place, None]).astype(float)
        return [(str(choice), shares[:, i]) for i, choice in enumerate(self._space.decisions[place].choices)]
