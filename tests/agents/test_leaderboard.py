"""The leaderboard: which pipelines it lists, in which order, and what it knows of them."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Console

import ma2ml_agents
from ma2ml_agents.search.finalists import Finalist
from ma2ml_agents.search.leaderboard import leaderboard, leaderboard_table, save_leaderboard
from ma2ml_agents.search.shrinkage import Estimate
from ma2ml_env import Pipeline, Result, Trial


def trial(number: int, choice: int, accuracy: float, *, seed: int = 0, error: str | None = None) -> Trial:
    pipeline = Pipeline({"nas": (choice,)}, {"nas": choice})
    return Trial(number, seed, pipeline, Result(accuracy, 2e6, 3e3, 1.5, error), accuracy)


TRIALS = [trial(0, 0, 0.5), trial(1, 1, 0.9), trial(2, 2, 0.8), trial(3, 1, 0.9), trial(4, 4, 0.0, error="no memory")]
SECOND = Finalist(TRIALS[2], (trial(0, 2, 0.7, seed=9), trial(1, 2, 0.8, seed=10)), Estimate(0.75, 0.7, 0.8))
FIRST = Finalist(TRIALS[1], (trial(0, 1, 0.6, seed=9), trial(1, 1, 0.6, seed=10)), Estimate(0.6, 0.55, 0.65))


def test_without_finalists_the_best_distinct_pipelines_that_did_not_fail_are_ranked_by_reward() -> None:
    rows = ma2ml_agents.leaderboard(TRIALS)
    assert [(row.rank, row.trial, row.reward, row.trials) for row in rows] == [
        (1, 1, 0.9, 1),
        (2, 2, 0.8, 1),
        (3, 0, 0.5, 1),
    ]
    assert {row.expected_accuracy for row in rows} == {None}


def test_finalists_come_first_in_their_own_order_with_their_intervals() -> None:
    rows = leaderboard(TRIALS, finalists=[SECOND, FIRST])
    assert [row.trial for row in rows] == [2, 1, 0]
    assert (rows[0].expected_accuracy, rows[0].low, rows[0].high, rows[0].trials) == (0.75, 0.7, 0.8, 3)
    assert [row.trial for row in leaderboard(TRIALS, k=1, finalists=[SECOND, FIRST])] == [2]


def test_the_file_holds_every_column_and_leaves_the_unknown_empty(tmp_path: Path) -> None:
    path = save_leaderboard(leaderboard(TRIALS, finalists=[SECOND]), tmp_path)
    with path.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert path.name == "leaderboard.csv"
    assert rows[0]["trial"] == "2"
    assert (rows[0]["low"], rows[0]["flops"], rows[0]["key"]) == ("0.7", "2000000.0", TRIALS[2].pipeline.key)
    assert rows[1]["low"] == ""


def shown(rows) -> str:
    console = Console(width=140, record=True)
    console.print(leaderboard_table(rows))
    return console.export_text()


def test_the_table_shows_intervals_and_leaves_costs_out_that_mean_nothing() -> None:
    said = shown(leaderboard(TRIALS, finalists=[SECOND]))
    assert "75.00% (70.00% to 80.00%)" in said
    assert "MFLOPs" in said
    free = [Trial(0, 0, TRIALS[0].pipeline, Result(0.5, 0, 0, 0.1), 0.5)]
    said = shown(leaderboard(free))
    assert "MFLOPs" not in said
    assert "50.00%" in said


def test_a_search_in_which_nothing_succeeded_has_an_empty_leaderboard() -> None:
    assert leaderboard([TRIALS[4]]) == []
    assert "leaderboard" not in shown([]) or "%" not in shown([])
