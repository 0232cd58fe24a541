"""What a session of `ma2ml train` says of its finalists."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import ma2ml_env
from ma2ml_agents import RandomSearch, agent_specs, run_search
from ma2ml_agents.commands.finale.time_split import TimeSplit
from ma2ml_agents.commands.session import Session
from ma2ml_agents.executors import InlineExecutor
from ma2ml_agents.search import SearchPlan
from ma2ml_agents.search.finalists import FinalistPlan


@pytest.mark.parametrize(
    ("extent", "said"),
    [
        (FinalistPlan(3, 2), ""),
        (FinalistPlan(3, 1), "finalists: 3 of 3, with 1 of 2 evaluations each, as the pipelines and the time allow"),
        (FinalistPlan(2, 1), "finalists: 2 of 3, with 1 of 2 evaluations each, as the pipelines and the time allow"),
        (FinalistPlan(2, 2), "finalists: 2 of 3, as the pipelines and the time allow"),
        (FinalistPlan(0, 2), "finalists: 0 of 3, as the pipelines and the time allow"),
    ],
)
def test_finalists_and_evaluations_that_are_fewer_than_wanted_are_said(
    tmp_path: Path, extent: FinalistPlan, said: str
) -> None:
    env, text = ma2ml_env.make("ma2ml/synthetic-v0"), io.StringIO()
    learner = RandomSearch(agent_specs(env), seed=0)
    trials = run_search(env, learner, 12)
    split = TimeSplit(None, env, FinalistPlan(3, 2), workers=1)
    with InlineExecutor(env.evaluate) as executor:
        console = Console(file=text, width=200)
        session = Session(SearchPlan(env, learner, 12), tmp_path, "a title", split, executor, console)
        found = session._finalists(trials, extent)
    assert [len(finalist.again) for finalist in found] == [extent.repeats] * extent.count
    assert [line for line in text.getvalue().splitlines() if " of 3" in line] == ([said] if said else [])
