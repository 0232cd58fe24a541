"""A list of decisions that is made one token at a time; what the three token forms are built on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

Mask = NDArray[np.int8]


class TokenList:
    """How far one agent has come with its decisions, and what it sees of that.

    The observation is, one after the other: the agent's role, one-hot; the position in the list, one-hot of
    `length + 1`; and for every decision (c + 1) / n where choice c of n was made, 0 where none was made yet. After the
    last decision there is one legal token, 0, which does nothing.

    Attributes:
        width: number of tokens.
        space: of the observation.
        seen: the observation, shape (role + 2 * length + 1,), float32; it changes, so hand out copies.
        legal: which tokens are legal now, shape (width,), int8, never all zero; hand out copies.
        choices: the choices made so far.
        illegal: how many tokens were out of range and folded by `% n`; a float, as infos hold them.

    Args:
        nvec: number of choices of each decision.
        width: number of tokens; at least the largest of `nvec`.
        length: number of decisions that observations have room for; at least that of `nvec`.
        role: the first numbers of the observation.

    Source: ours.
    """

    __slots__ = (
        "_history_at", "_last", "_masks", "_position", "_position_at", "_sizes", "_start",
        "choices", "illegal", "legal", "seen", "space", "width",
    )  # fmt: skip

    def __init__(self, nvec: Sequence[int], width: int, length: int, role: Sequence[float] = ()) -> None:
        self.width = width
        self._sizes = tuple(int(n) for n in nvec)
        self._last = len(nvec)
        self._position_at = len(role)
        self._history_at = len(role) + length + 1
        self._masks: list[Mask] = list((np.arange(width) < np.array([*self._sizes, 1])[:, None]).astype(np.int8))
        self._start = np.zeros(self._history_at + length, dtype=np.float32)
        self._start[: len(role)] = role
        self._start[self._position_at] = 1.0
        self.space = Box(0.0, 1.0, self._start.shape, np.float32)
        self.restart()

    def restart(self) -> None:
        """Forget all choices."""
        self._position = 0
        self.seen = self._start.copy()
        self.legal = self._masks[0]
        self.choices: list[int] = []
        self.illegal = 0.0

    @property
    def done(self) -> bool:
        """Whether all decisions are made."""
        return self._position == self._last

    def choose(self, token: int) -> None:
        """Make the next decision; a token out of range is folded."""
        position = self._position
        if position == self._last:
            self.illegal += token != 0
            return
        size = self._sizes[position]
        choice = token % size
        if choice != token:
            self.illegal += 1.0
        self.choices.append(choice)
        seen, at = self.seen, self._position_at + position
        seen[at] = 0.0
        seen[at + 1] = 1.0
        seen[self._history_at + position] = (choice + 1) / size
        self._position = position + 1
        self.legal = self._masks[position + 1]
