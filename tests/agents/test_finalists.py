"""Finalists: how the winner of a search is chosen, and what is known of its accuracy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import InlineExecutor, ProcessExecutor
from ma2ml_agents.search.finalists import FinalistPlan, finalist_seed, run_finalists
from ma2ml_agents.search.shrinkage import expected_values
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialStore, best

NOISE = 0.1


class Noisy:
    """Accuracy grows with the sum of two choices; noise is as large as five steps."""

    def __init__(self, noise: float = NOISE, failing: int | None = None) -> None:
        self.noise, self.failing, self.calls = noise, failing, Counter[tuple[str, int]]()

    def __call__(self, pipeline, *, seed):
        self.calls[pipeline.key, seed] += 1
        if self.failing is not None and sum(self.calls.values()) > self.failing:
            raise KeyboardInterrupt
        drawn = np.random.default_rng(pipeline.random_seed(seed)).standard_normal()
        return Result(float(np.clip(truth(pipeline) + self.noise * drawn, 0, 1)), 1, 1, 0.0)


def truth(pipeline) -> float:
    return 0.3 + 0.02 * sum(pipeline["a"].values())


def game(evaluator) -> AutoMLEnv:
    space = SearchSpace((Decision("x", tuple(range(10))), Decision("y", tuple(range(10)))), dict)
    return AutoMLEnv({"a": space}, evaluator, accuracy)


def searched(evaluator, seed: int = 0, budget: int = 60) -> tuple[AutoMLEnv, list[Trial]]:
    env = game(evaluator)
    env.reset(seed=seed)
    return env, run_search(env, make_learner("random_search", agent_specs(env), seed=seed), budget)


def finals(env: AutoMLEnv, trials: list[Trial], plan: FinalistPlan, **options):
    return run_finalists(env, trials, plan, InlineExecutor(env.evaluate), **options)


def test_finalists_are_the_best_distinct_pipelines_under_seeds_of_their_own() -> None:
    env, trials = searched(Noisy())
    found = finals(env, trials, FinalistPlan(4, 3))
    observed = sorted({t.pipeline.key: t.reward for t in trials}.items(), key=lambda entry: -entry[1])
    assert {finalist.trial.pipeline.key for finalist in found} == {key for key, _ in observed[:4]}
    for finalist in found:
        assert [trial.seed for trial in finalist.again] == [finalist_seed(0, repeat) for repeat in range(3)]
        assert all(t.reward == env.evaluate(t.pipeline, seed=t.seed).accuracy for t in finalist.again)
        assert finalist.reward == pytest.approx(np.mean([trial.reward for trial in finalist.again]))
    assert [f.reward for f in found] == sorted((f.reward for f in found), reverse=True)


def test_their_winner_is_truly_better_than_the_luckiest_of_the_search() -> None:
    chosen, luckiest = [], []
    for seed in range(30):
        env, trials = searched(Noisy(), seed)
        chosen.append(truth(finals(env, trials, FinalistPlan(5, 3), seed=seed)[0].trial.pipeline))
        luckiest.append(truth(best(trials).pipeline))
    assert np.mean(chosen) > np.mean(luckiest) + 0.02


def test_the_intervals_of_winners_hold_the_truth_and_their_means_are_not_lucky() -> None:
    rng, held, errors = np.random.default_rng(0), [], []
    for count, repeats, spread in [(1, 3, 0.0), (3, 2, 0.0), (5, 2, 0.0), (5, 2, 0.01), (10, 1, 0.01), (10, 3, 0.05)]:
        inside, error = [], []
        for _ in range(800):
            true = 0.5 + spread * rng.standard_normal(count)
            first = true + 0.02 * rng.standard_normal(count)
            values = true[:, None] + 0.02 * rng.standard_normal((count, repeats))
            winner = int(values.mean(axis=1).argmax())
            said = expected_values(values.tolist(), first.tolist())[winner]
            inside.append(said.low <= true[winner] <= said.high)
            error.append(said.expected - true[winner])
        held.append(np.mean(inside))
        errors.append(np.mean(error))
    assert min(held) > 0.9
    assert max(map(abs, errors)) < 0.013, "the raw mean of the best of ten is 0.03 above its truth"


def test_one_finalist_has_the_t_interval_of_its_evaluations() -> None:
    (said,) = expected_values([[0.5, 0.6, 0.7]], [0.9])
    half = student.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert (said.expected, said.low, said.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))


def test_equal_means_are_shrunk_to_one_and_distant_ones_hardly() -> None:
    near = expected_values([[0.50, 0.60], [0.52, 0.62], [0.51, 0.61], [0.53, 0.63]], [0.7] * 4)
    assert [said.expected for said in near] == pytest.approx([0.565] * 4)
    far = expected_values([[0.1, 0.101], [0.3, 0.301], [0.5, 0.501], [0.9, 0.901]], [0.7] * 4)
    assert [said.expected for said in far] == pytest.approx([0.1005, 0.3005, 0.5005, 0.9005], abs=1e-4)


def test_a_single_evaluation_of_a_single_finalist_has_no_interval() -> None:
    (said,) = expected_values([[0.5]], [0.9])
    assert (said.expected, said.low, said.high) == (0.5, None, None)


def test_intervals_stay_within_zero_and_one() -> None:
    said = expected_values([[0.99, 1.0], [0.01, 0.0]], [1.0, 0.5])
    assert all(0 <= s.low <= s.expected <= s.high <= 1 for s in said)


@pytest.mark.parametrize(("again", "first"), [([], []), ([[]], [0.5]), ([[0.1], [0.1, 0.2]], [0, 0]), ([[0.1]], [])])
def test_finalists_without_equal_numbers_of_evaluations_are_refused(again, first) -> None:
    with pytest.raises(MA2MLError, match="same number of evaluations"):
        expected_values(again, first)


def test_stored_evaluations_are_not_repeated_and_more_finalists_add_theirs(tmp_path: Path) -> None:
    env, trials = searched(evaluator := Noisy())
    first = finals(env, trials, FinalistPlan(3, 2), out=tmp_path)
    again = finals(env, trials, FinalistPlan(3, 2), out=tmp_path)
    assert [f.trial.pipeline for f in first] == [f.trial.pipeline for f in again]
    assert first[0].accuracy == again[0].accuracy
    finals(env, trials, FinalistPlan(5, 3), out=tmp_path)
    made = [count for (_, seed), count in evaluator.calls.items() if seed != 0]
    assert made == [1] * 15


def test_an_interrupted_call_keeps_what_was_evaluated(tmp_path: Path) -> None:
    env, trials = searched(Noisy())
    whole = finals(env, trials, FinalistPlan(4, 2), out=tmp_path / "whole")
    env.evaluator = Noisy(failing=5)
    with pytest.raises(KeyboardInterrupt):
        finals(env, trials, FinalistPlan(4, 2), out=tmp_path / "run")
    assert len(TrialStore(tmp_path / "run" / "finalists.db").load(env.decode)) == 5
    env.evaluator = Noisy()
    resumed = finals(env, trials, FinalistPlan(4, 2), out=tmp_path / "run")
    assert [(f.trial, f.accuracy) for f in resumed] == [(f.trial, f.accuracy) for f in whole]
    assert sum(env.evaluator.calls.values()) == 3


def test_workers_change_nothing(tmp_path: Path) -> None:
    env, trials = searched(Noisy())
    alone = finals(env, trials, FinalistPlan(4, 2))
    with ProcessExecutor(env.evaluate, workers=2) as executor:
        together = run_finalists(env, trials, FinalistPlan(4, 2), executor, out=tmp_path)
    assert [(f.trial, f.accuracy) for f in together] == [(f.trial, f.accuracy) for f in alone]


def test_after_the_deadline_only_complete_rounds_count() -> None:
    env, trials = searched(Noisy())
    assert finals(env, trials, FinalistPlan(4, 2), deadline=0.0) == []
    assert finals(env, trials, FinalistPlan(0, 2)) == []


def test_failed_evaluations_are_repeated_on_demand(tmp_path: Path) -> None:
    env, trials = searched(Noisy())
    whole = env.evaluator
    env.evaluator = lambda pipeline, *, seed: Result(0.0, 0, 0, 0.0, error="no memory")
    failed = finals(env, trials, FinalistPlan(2, 2), out=tmp_path)
    assert [finalist.reward for finalist in failed] == [0.0, 0.0]
    env.evaluator = whole
    assert [f.reward for f in finals(env, trials, FinalistPlan(2, 2), out=tmp_path)] == [0.0, 0.0]
    mended = finals(env, trials, FinalistPlan(2, 2), out=tmp_path, retry_failed=True)
    assert min(finalist.reward for finalist in mended) > 0
    assert len(TrialStore(tmp_path / "finalists.db").load(env.decode)) == 4


@pytest.mark.parametrize(
    ("budget", "plan"),
    [(39, (0, 1)), (40, (2, 1)), (60, (3, 1)), (80, (2, 2)), (120, (2, 3)), (180, (3, 3)), (10_000, (5, 3))],
)
def test_the_default_is_at_most_a_twentieth_of_the_budget(budget: int, plan: tuple[int, int]) -> None:
    found = FinalistPlan.of_budget(budget)
    assert (found.count, found.repeats) == plan
    assert found.cost <= budget / 20


def test_finalists_or_evaluations_that_are_asked_for_stay_as_they_are() -> None:
    assert FinalistPlan.of_budget(80, 5) == FinalistPlan(5, 2)
    assert FinalistPlan.of_budget(80, None, 1) == FinalistPlan(4, 1)
    assert FinalistPlan.of_budget(10**4, None, 7) == FinalistPlan(5, 7)


@pytest.mark.parametrize("repeats", [None, 1, 2])
def test_the_finalists_of_a_search_suit_the_budget_that_the_two_make_up(repeats: int | None) -> None:
    for budget in range(1, 400):
        wanted = FinalistPlan.of_budget(budget, None, repeats)
        trials = budget - wanted.cost
        found = FinalistPlan.of_search(trials, repeats)
        assert wanted.cost <= found.cost <= (trials + found.cost) / 20


def test_a_plan_out_of_range_or_beyond_the_budget_is_refused() -> None:
    for count, repeats, says in ((-1, 1, "finalists must be at least 0"), (1, 0, "finalist_trials must be at least 1")):
        with pytest.raises(MA2MLError, match=says):
            FinalistPlan.of_budget(80, count, repeats)
    with pytest.raises(MA2MLError, match="leave nothing of a budget of 12"):
        FinalistPlan.of_budget(12, 6, 2)
