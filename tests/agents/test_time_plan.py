"""Plan of a search under a time limit: pipelines and finalists that fit, and what is said about them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from test_outcome import slow_trials

from ma2ml_agents.commands.finale.pace import PlanWatch, ended_early
from ma2ml_agents.commands.finale.time_split import LOADING, MARGIN, TimeSplit
from ma2ml_agents.search.finalists import FinalistPlan, finalist_seed, missing_evaluations
from ma2ml_env import AutoMLEnv, Result, Trial


def split_of(limit: float | None, *seconds: float, **settings) -> tuple[TimeSplit, list]:
    """A split for two workers whose time begins now, and trials that took so many seconds."""
    env, trials = slow_trials(*seconds)
    return TimeSplit(limit, env, settings.pop("finalists", FinalistPlan(4, 2)), workers=2, **settings), trials


def test_the_pipelines_that_fit_leave_the_share_of_the_final_training() -> None:
    split, _ = split_of(1000.0, expected=20.0)
    # 44 fit at 20 s for two workers in the search's least share, which 2 finalists of one evaluation suit
    kept = MARGIN * 20 + MARGIN * 20 * 4
    assert split.fitting() == 2 * math.floor((1000 - 1 - kept) / 20)
    assert replace(split, loading=100.0).fitting() == 2 * math.floor((1000 - 1 - 100 - kept) / 20)
    assert replace(split, expected=math.nan).fitting() is None
    assert replace(split, limit=None).fitting() is None


def test_the_pace_of_finished_evaluations_replaces_the_expected_one() -> None:
    split, trials = split_of(1000.0, 300.0, 300.0, 100.0, 100.0, expected=20.0)
    kept = MARGIN * 100 * 4
    assert split.pace(trials) == 100
    assert split.fitting(trials) == 4 + 2 * math.floor((1000 - 1 - min(kept, 400)) / 100)


def test_the_first_evaluation_of_each_worker_which_loads_libraries_does_not_count_alone() -> None:
    split, trials = split_of(1000.0, 50.0, 60.0, expected=20.0)
    assert split.pace(trials) == 20
    assert replace(split, expected=5.0).pace(trials) == pytest.approx(50 / LOADING)
    assert replace(split, expected=math.nan).pace(trials) == 55
    assert split.pace([]) == 0


def test_finalists_follow_from_the_pipelines_there_are_and_the_time_that_is_left() -> None:
    split, trials = split_of(1000.0, *[10.0] * 10)
    assert split.extent(trials).count == 0, "ten pipelines are too few"
    asked = replace(split, fixed_finalists=True)
    assert asked.extent(trials) == FinalistPlan(4, 2)
    late = replace(asked, limit=50.0)  # 30 s are left beside the final training, less a moment: 2 rounds of two
    assert late.extent(trials) == FinalistPlan(4, 1)
    assert replace(asked, limit=12.0).extent(trials).count == 0
    assert replace(late, finalists=FinalistPlan(6, 2)).extent(trials).count == 0


@pytest.mark.parametrize(("pipelines", "count"), [(75, 0), (76, 2), (113, 2), (114, 3), (151, 3), (152, 4), (400, 4)])
def test_the_finalists_that_suit_the_pipelines_are_those_of_a_budget_for_both(pipelines: int, count: int) -> None:
    env, _ = slow_trials()
    trials = [trial_of(env, number) for number in range(pipelines)]
    split = TimeSplit(1e6, env, FinalistPlan(4, 2), workers=2, repeats=2)
    assert split.extent(trials).count == count
    assert 2 * count <= (pipelines + 2 * count) / 20


def test_few_pipelines_have_fewer_evaluations_of_a_finalist_unless_their_number_is_asked_for() -> None:
    env, _ = slow_trials()
    trials = [trial_of(env, number) for number in range(57)]
    split = TimeSplit(1e6, env, FinalistPlan(5, 3), workers=2)
    assert split.extent(trials) == FinalistPlan(3, 1), "57 trials and 3 evaluations are a budget of 60"
    assert replace(split, repeats=3).extent(trials).count == 0
    assert replace(split, finalists=FinalistPlan(2, 1)).extent(trials) == FinalistPlan(2, 1), "no more than wanted"


def test_stored_finalists_need_no_time_and_stay() -> None:
    env, _ = slow_trials()
    trials = [trial_of(env, number) for number in range(152)]
    split = TimeSplit(25.0, env, FinalistPlan(4, 2), workers=2, repeats=2)
    assert split.extent(trials).count == 2, "15 s suffice for two evaluations of 10 s at once"

    def stored(*pairs: tuple[int, int]) -> Callable[[FinalistPlan], int]:
        again = [replace(trials[number], seed=finalist_seed(0, repeat)) for number, repeat in pairs]
        return lambda plan: missing_evaluations(trials, plan, again)

    whole = stored(*itertools.product(range(4), range(2)))
    gone = replace(split, limit=0.001)
    assert (whole(FinalistPlan(4, 2)), gone.extent(trials, whole)) == (0, FinalistPlan(4, 2))
    assert gone.extent(trials, stored(*itertools.product(range(2), range(2)))) == FinalistPlan(2, 2)
    assert split.extent(trials, stored(*itertools.product(range(4), range(1)), (0, 1), (1, 1))) == FinalistPlan(4, 2)
    assert gone.extent(trials[:40], whole) == FinalistPlan(4, 2), "more than suit so few pipelines"
    other = stored((5, 0), (6, 0))
    assert gone.extent(trials, other).count == 0, "of pipelines that are no longer the best"
    assert replace(gone, fixed_finalists=True).extent(trials, whole) == FinalistPlan(4, 2)


def trial_of(env: AutoMLEnv, number: int) -> Trial:
    """A trial of 10 s; the first ten are of distinct pipelines, best first."""
    return Trial(number, 0, env.decode({"a": (number % 10,)}), Result(0.9, 1, 1, 10.0), 0.9 - number / 1000)


def watch_of(split: TimeSplit, budget: int) -> tuple[PlanWatch, list[str]]:
    said: list[str] = []
    return PlanWatch(split, budget, said.append), said


def test_the_plan_says_how_many_pipelines_fit() -> None:
    for limit, budget, text in (
        (1000.0, 72, "plan: the time limit of 0:16:40 suffices for 72 pipelines"),
        (1000.0, 1, "plan: the time limit of 0:16:40 suffices for 1 pipeline"),
        (300.0, 72, "plan: about 20 of 72 pipelines fit in the time limit of 0:05:00"),
        (100.0, 72, "plan: about 4 of 72 pipelines fit in the time limit of 0:01:40; so few tell little, "),
    ):
        split, _ = split_of(limit, expected=20.0)
        watch, said = watch_of(split, budget)
        watch.announce()
        assert len(said) == 1
        assert said[0].startswith(text)


def test_a_resumed_search_without_time_for_another_pipeline_says_so_beforehand() -> None:
    split, trials = split_of(30.0, 40.0, 40.0, 40.0)
    watch, said = watch_of(split, 72)
    watch.announce(trials)
    assert said == ["plan: no further pipeline fits in the time limit of 0:00:30"]


def test_evaluations_that_are_much_slower_than_planned_are_said_once() -> None:
    split, trials = split_of(1000.0, *[100.0] * 8, expected=20.0)
    watch, said = watch_of(split, 72)
    for trial in trials:
        watch.see(trial, True)
    assert len(said) == 1
    assert said[0].startswith("slower than planned: an evaluation takes 100 s, not 20 s; about ")


def test_evaluations_of_the_planned_length_are_not_worth_a_line() -> None:
    split, trials = split_of(1000.0, *[30.0] * 8, expected=20.0)
    watch, said = watch_of(split, 72)
    for trial in trials:
        watch.see(trial, True)
    assert said == []


def test_failed_and_repeated_pipelines_do_not_settle_the_plan() -> None:
    split, trials = split_of(1000.0, *[100.0] * 8, expected=20.0)
    watch, said = watch_of(split, 72)
    failed = [replace(trial, result=replace(trial.result, error="it broke", infeasible=True)) for trial in trials[:2]]
    for trial in [*failed, *[trials[2]] * 6, *trials[3:5]]:
        watch.see(trial, True)
    assert (said, watch.fresh) == ([], 10), "three of these were evaluated"
    watch.see(trials[5], False)
    watch.see(trials[5], True)
    assert said == [], "a repetition of one that was stored"
    watch.see(trials[6], True)
    assert len(said) == 1
    assert (watch.fresh, watch._trials) == (12, []), "what is no longer read is not kept"


def test_without_a_measurement_the_plan_follows_the_first_evaluations() -> None:
    split, trials = split_of(1000.0, *[100.0] * 8)
    watch, said = watch_of(split, 72)
    watch.announce()
    assert said == []
    for trial in trials:
        watch.see(trial, True)
    assert len(said) == 1
    assert said[0].startswith("plan: about ")


def test_a_search_that_the_limit_ended_says_whether_anything_was_added() -> None:
    split, trials = split_of(100.0, 40.0, 40.0, 40.0)
    text = "the time limit came first: 3 of 72 pipelines were evaluated"
    assert ended_early(split, trials, fresh=1, budget=72) == text
    assert ended_early(split, trials, fresh=0, budget=72) == (
        f"{text}, and it leaves no room for another one, of which each takes about 40 s; "
        "a longer --time-limit goes on from here"
    )
    assert ended_early(split, trials[:1], 1, 2) == "the time limit came first: 1 of 2 pipelines was evaluated"


@pytest.mark.parametrize("limit", [None, 1000.0])
def test_the_split_is_said_in_one_line(limit: float | None) -> None:
    split, trials = split_of(limit, 10.0, 10.0, 10.0)
    said = split.in_words(trials, 6)
    assert said.endswith("search 0:00:00, finalists about 0:00:33, final training about 0:00:44")
