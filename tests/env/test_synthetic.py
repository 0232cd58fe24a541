"""The closed form against its own formula, its noise, and its limits."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

import ma2ml_env
from ma2ml_env import Pipeline
from ma2ml_env.evaluators.synthetic import SyntheticEvaluator

NVEC = {"a": (3, 2), "b": (2, 4)}


def score(evaluator: SyntheticEvaluator, x: tuple[int, ...]) -> float:
    return evaluator.expected(Pipeline({"a": x[:2], "b": x[2:]}, {})).accuracy


def interaction(evaluator: SyntheticEvaluator, first: int, second: int) -> float:
    """The largest second difference of the score in two decisions: 0 where they do not interact."""
    grid = np.array([score(evaluator, x) for x in np.ndindex(3, 2, 2, 4)]).reshape(3, 2, 2, 4)
    return float(np.abs(np.diff(np.diff(grid, axis=first), axis=second)).max())


def test_pairs_are_drawn_within_and_across_modules_as_asked() -> None:
    within, across = [(0, 1), (2, 3)], [(0, 2), (0, 3), (1, 2), (1, 3)]
    for pairs_within, pairs_across in [(0, 0), (2, 0), (0, 4), (1, 2)]:
        evaluator = SyntheticEvaluator(NVEC, 3, pairs_within, pairs_across)
        for pairs, count in ((within, pairs_within), (across, pairs_across)):
            assert sum(interaction(evaluator, *pair) > 1e-9 for pair in pairs) == count


def test_the_noise_has_its_deviation_around_the_expected_score_and_is_seeded() -> None:
    evaluator = SyntheticEvaluator(NVEC, 1, 1, 1, noise=0.05)
    pipeline = Pipeline({"a": (0, 0), "b": (0, 0)}, {})
    exact = evaluator.expected(pipeline).accuracy
    seen = [evaluator(pipeline, seed=seed).accuracy for seed in range(1000)]
    assert 0.25 < exact < 0.75, "far from the limits, where noise is cut off"
    assert statistics.fmean(seen) == pytest.approx(exact, abs=4 * 0.05 / 1000**0.5)
    assert statistics.stdev(seen) == pytest.approx(0.05, rel=0.1)
    assert seen[7] == evaluator(pipeline, seed=7).accuracy != seen[8]


def test_another_structure_seed_is_another_game_and_the_same_one_the_same() -> None:
    games = [[score(SyntheticEvaluator(NVEC, seed), x) for x in np.ndindex(3, 2, 2, 4)] for seed in (0, 0, 1)]
    assert games[0] == games[1] != games[2]


def test_the_registered_games_optimum_beats_all_its_neighbors() -> None:
    env = ma2ml_env.make("ma2ml/synthetic-v0", noise=0.0)
    best = env.evaluator.optimum
    assert env.evaluate(env.decode(best)).accuracy == 1.0
    for agent, space in env.search_spaces.items():
        for i, n in enumerate(space.nvec):
            changed = list(best[agent])
            changed[i] = (changed[i] + 1) % int(n)
            assert env.evaluate(env.decode({**best, agent: changed})).accuracy < 1.0


@pytest.mark.parametrize("setting", ["structure_seed", "pairs_within", "pairs_across", "noise"])
def test_a_setting_below_0_is_refused_by_name(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be at least 0, not -1"):
        ma2ml_env.make("ma2ml/synthetic-v0", **{setting: -1})
