"""Private random states for code that draws from the global ones."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


class PrivateRandomState:
    """Context manager that replaces the global random states of Python, NumPy and torch (CPU) by its own.

    Args:
        seed: seed of all three, as in stable-baselines3's `set_random_seed`.

    Source: the idea of `torch.random.fork_rng`.
    """

    def __init__(self, seed: int) -> None:
        self._outer = _global_states()
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the library draws from the global state
        torch.default_generator.manual_seed(seed)
        self._own = _global_states()
        _set_global_states(self._outer)

    def __enter__(self) -> None:
        self._outer = _global_states()
        _set_global_states(self._own)

    def __exit__(self, *error: object) -> None:
        self._own = _global_states()
        _set_global_states(self._outer)

    def state_dict(self) -> dict[str, Any]:
        """Returns the three states, as tensors, numbers, strings and tuples of them."""
        return dict(self._own)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the three states."""
        self._own = dict(state)


def _global_states() -> dict[str, Any]:
    name, key, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (name, np.array(key).tolist(), *rest),
        "torch": torch.get_rng_state(),
    }


def _set_global_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
