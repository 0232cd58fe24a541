"""What `run_search` shows and writes by one argument each."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

import ma2ml_env
from ma2ml_agents import RandomSearch, agent_specs, run_search
from ma2ml_agents.executors import InlineExecutor
from ma2ml_agents.search import Callbacks, SearchPlan
from ma2ml_agents.search.results import PartsOnDemand
from ma2ml_agents.search.run import shown_progress
from ma2ml_env import AutoMLEnv, Result, Trial
from ma2ml_env.trials import best

ENV = "ma2ml/digits-surrogate-v0"


def searched(env: AutoMLEnv, **options: object) -> list[Trial]:
    return run_search(env, RandomSearch(agent_specs(env), seed=0), budget=20, **options)  # type: ignore[arg-type]


def test_progress_is_shown_as_by_the_command_and_changes_no_trial(capsys: pytest.CaptureFixture[str]) -> None:
    env = ma2ml_env.make(ENV)
    silent = searched(env)
    assert capsys.readouterr().out == ""
    assert searched(env, progress=True) == silent
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith(f"20/20 pipelines, best reward {max(t.reward for t in silent):.4f}")


def test_the_progress_keeps_pipelines_whose_choices_are_decoded_on_demand() -> None:
    env, kept = ma2ml_env.make(ENV), list[Trial]()

    def reserve(trials: Sequence[Trial]) -> float:
        kept[:] = trials
        return 0.0

    plan = SearchPlan(env, RandomSearch(agent_specs(env), seed=0), 2, time_limit=1e6, reserve=reserve)
    trials = searched(env)[:1]
    with InlineExecutor(env.evaluate) as executor, shown_progress(plan, executor, Console(file=io.StringIO())) as shown:
        shown.on_trial(trials[0], True)
    assert kept == trials
    assert isinstance(kept[0].pipeline.parts, PartsOnDemand)


def test_progress_and_own_callbacks_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Trial] = []
    batches: list[int] = []
    callbacks = Callbacks(
        on_trial=lambda trial, fresh: seen.append(trial),
        on_update=lambda updates, trials, numbers: batches.append(len(trials)),
    )
    trials = searched(ma2ml_env.make(ENV), progress=True, callbacks=callbacks)
    assert seen == trials
    assert sum(batches) == 20
    assert "20/20 pipelines" in capsys.readouterr().out


def test_a_report_is_figures_leaderboard_and_result(tmp_path: Path) -> None:
    trials = searched(ma2ml_env.make(ENV), out=tmp_path, report=True)
    winner = best(trials)
    assert winner is not None
    found = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert found["trial"] == winner.number
    assert found["reward"] == winner.reward
    assert found["trials"] == 20
    assert {"top_reward.png", "batch_reward.png", "best.png", "leaderboard.csv"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_a_finished_search_that_is_resumed_has_its_report(tmp_path: Path) -> None:
    env = ma2ml_env.make(ENV)
    searched(env, out=tmp_path)
    assert not (tmp_path / "result.json").exists()
    searched(env, out=tmp_path, report=True)
    assert (tmp_path / "result.json").exists()


def test_a_search_in_which_all_failed_has_figures_but_no_result(tmp_path: Path) -> None:
    made = ma2ml_env.make(ENV)

    def broken(pipeline: object, *, seed: int) -> Result:
        return Result(0.0, 0, 0, 0.1, error="out of memory")

    env = AutoMLEnv(made.search_spaces, broken, made.reward)
    searched(env, out=tmp_path, report=True)
    assert (tmp_path / "top_reward.png").exists()
    assert not (tmp_path / "result.json").exists()


def test_a_report_without_a_folder_is_refused_before_the_search() -> None:
    evaluated: list[object] = []
    made = ma2ml_env.make(ENV)

    def count(pipeline: object, *, seed: int) -> Result:
        evaluated.append(pipeline)
        return Result(0.5, 0, 0, 0.1)

    with pytest.raises(ValueError, match="out="):
        searched(AutoMLEnv(made.search_spaces, count, made.reward), report=True)
    assert evaluated == []


def test_chained_callbacks_are_invoked_in_order() -> None:
    heard: list[str] = []
    first = Callbacks(on_notice=lambda notice: heard.append(f"first {notice}"))
    first.chained(Callbacks(on_notice=lambda notice: heard.append(f"second {notice}"))).on_notice("x")
    assert heard == ["first x", "second x"]
