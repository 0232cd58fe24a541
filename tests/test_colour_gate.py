"""The components of variance that the gate for small colour images reports."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
import colour_gate
from colour_gate import AGENTS, CHANGES, CHECKED, SIDE, components, jobs


def crossed(rng: np.random.Generator, blocks: int = 400, side: int = 4, **spread: float) -> np.ndarray:
    """Random effects of these standard deviations, shape (blocks, side, side, side)."""
    axes = {"aug": (1,), "nas": (2,), "hpo": (3,), "aug x nas": (1, 2), "nas x hpo": (2, 3), "rest": (1, 2, 3)}
    table = np.zeros((blocks, *[side] * 3))
    for name, deviation in spread.items():
        shape = [blocks, *(side if axis in axes[name] else 1 for axis in (1, 2, 3))]
        table = table + rng.normal(0.0, deviation, shape)
    return table


def test_the_components_of_random_effects_are_found_again() -> None:
    spread = {"aug": 2.0, "nas": 1.0, "hpo": 0.5, "aug x nas": 1.5, "nas x hpo": 0.0, "rest": 1.0}
    found = components(crossed(np.random.default_rng(0), **spread))
    for name, deviation in spread.items():
        assert found[name] == pytest.approx(deviation**2, rel=0.15, abs=0.05), name
    assert found["aug x hpo"] == pytest.approx(0.0, abs=0.05)


def test_a_table_of_one_effect_has_no_other() -> None:
    table = np.zeros((1, 3, 3, 3)) + np.array([0.0, 1.0, 5.0])[None, :, None, None]
    found = components(table)
    assert found["aug"] == pytest.approx(np.var([0, 1, 5], ddof=1))
    assert all(value == pytest.approx(0.0) for name, value in found.items() if name != "aug")


def test_every_training_has_a_key_of_its_own_and_blocks_come_before_what_checks_them() -> None:
    made = jobs(2)
    assert len({job.key for job in made}) == len(made) == 2 * (SIDE**3 + len(CHANGES) * CHECKED)
    assert all((job.seed, job.epochs, job.images) == (0, 1, 1) for job in made[: 2 * SIDE**3])


def test_a_block_has_no_augmentation_among_its_samples_and_is_always_the_same() -> None:
    spaces = colour_gate.CHOSEN.spaces
    first, again = (colour_gate.actions(spaces, 5) for _ in range(2))
    assert first == again
    assert first["aug"][0] == spaces["aug"].default
    assert all(len(set(first[agent])) == SIDE for agent in AGENTS)
