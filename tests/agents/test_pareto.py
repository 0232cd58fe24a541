"""The front of accuracy against FLOPs, bounds in words, and `ma2ml pareto`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from small_runs import write_trials

from ma2ml_agents.commands import main
from ma2ml_agents.runs.front import (
    Bound,
    Point,
    best_within,
    pareto_front,
    parse_bounds,
    parse_number,
    points_of,
    with_suffix,
)
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import TrialStore


def random_points(seed: int, count: int = 40) -> list[Point]:
    """Points with many ties."""
    rng = np.random.default_rng(seed)
    rows = zip(rng.integers(1, 12, count), rng.integers(1, 12, count), rng.integers(1, 5, count), strict=True)
    return [Point(i, float(a) / 12, float(f), float(p), 1.0) for i, (a, f, p) in enumerate(rows)]


def dominates(one: Point, other: Point) -> bool:
    no_worse = one.flops <= other.flops and one.accuracy >= other.accuracy
    return no_worse and (one.flops < other.flops or one.accuracy > other.accuracy)


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_brute_force_finds(seed: int) -> None:
    points = random_points(seed)
    undominated = [p for p in points if not any(dominates(other, p) for other in points)]
    earliest = {(p.flops, p.accuracy): p for p in reversed(undominated)}
    assert pareto_front(points) == sorted(earliest.values(), key=lambda p: p.flops)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_within_bounds_is_what_brute_force_finds(seed: int) -> None:
    points, bounds = random_points(seed), parse_bounds("flops<8, params<=2")
    within = [p for p in points if p.flops < 8 and p.params <= 2]
    most = max(p.accuracy for p in within)
    fewest = min(p.flops for p in within if p.accuracy == most)
    assert best_within(points, bounds) == next(p for p in within if (p.accuracy, p.flops) == (most, fewest))


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("flops<5M", [Bound("flops", 5e6, True)]),
        ("params<=100k,flops<2M", [Bound("params", 1e5, False), Bound("flops", 2e6, True)]),
        (" flops < 1.5 G ", [Bound("flops", 1.5e9, True)]),
        ("params<2_000", [Bound("params", 2000, True)]),
        ("flops<=.5e6", [Bound("flops", 5e5, False)]),
        ("flops<5e6", [Bound("flops", 5e6, True)]),
    ],
)
def test_bounds_are_read_with_their_suffixes(text: str, bounds: list[Bound]) -> None:
    assert parse_bounds(text) == bounds
    assert parse_bounds(", ".join(map(str, bounds))) == bounds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flops>5M", "a bound is like flops<5M or params<=100k, not 'flops>5M'"),
        ("", "a bound is like flops<5M"),
        ("flops<5M,", "a bound is like flops<5M"),
        ("flops<", "a bound is like flops<5M"),
        ("flop<5M", "unknown cost 'flop'; did you mean 'flops'"),
        ("flops<5m", "unknown suffix 'm'; did you mean 'M'"),
        ("flops<5T", r"unknown suffix 'T'; choose from \['G', 'M', 'k'\]"),
        ("flops<0", "a bound is above 0, not 'flops<0'"),
        ("flops<1e999", "a bound is above 0"),
        ("flops<1M,flops<2M", "flops has two bounds"),
    ],
)
def test_a_bound_of_another_form_is_refused_with_a_hint(text: str, says: str) -> None:
    with pytest.raises(MA2MLError, match=says):
        parse_bounds(text)


def test_a_number_may_end_in_a_suffix() -> None:
    texts = {"5M": 5e6, "100k": 1e5, " 1.5 G ": 1.5e9, "2e6": 2e6, "100_000": 1e5, ".5k": 500}
    assert {text: parse_number(text) for text in texts} == texts
    for wrong, says in (("M", "a number is like 5M"), ("-5", "a number is like 5M"), ("5 m", "did you mean 'M'")):
        with pytest.raises(MA2MLError, match=says):
            parse_number(wrong)


def test_large_numbers_are_short() -> None:
    values = (0, 999, 1000, 433_312, 5e6, 2.5e9)
    assert [with_suffix(value) for value in values] == ["0", "999", "1k", "433.3k", "5M", "2.5G"]


def test_equal_pipelines_are_one_point_of_their_mean_over_seeds(tmp_path: Path) -> None:
    rows = [(0, 0, 0.5, 10, 1), (1, 0, 0.9, 20, 2), (0, 0, 0.5, 10, 1), (0, 1, 0.7, 10, 1), (2, 0, -1.0, 5, 1)]
    write_trials(tmp_path, rows)
    points = points_of(TrialStore(tmp_path / "trials.db").rows())
    assert points == [Point(0, pytest.approx(0.6), 10, 1, 1.5, 2), Point(1, 0.9, 20, 2, 1.5)]  # type: ignore[arg-type]


FRONT = [(0, 0, 0.5, 1e6, 9e3), (1, 0, 0.8, 2e6, 5e4), (2, 0, 0.7, 3e6, 1e3), (3, 0, 0.9, 8e7, 9e4)]


def test_the_command_draws_the_front_and_picks_the_best_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trials(tmp_path / "run", FRONT)
    assert main(["pareto", str(tmp_path / "run"), "--pick", "flops<5M,params<10k"]) == 0
    said = capsys.readouterr().out
    assert f"ma2ml retrain {tmp_path / 'run'} --trial 2" in said
    assert "picked, not on the front" in said
    with (tmp_path / "run" / "pareto.csv").open(newline="") as file:
        assert [int(row["trial"]) for row in csv.DictReader(file)] == [0, 1, 3]
    assert (tmp_path / "run" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert main(["pareto", str(tmp_path / "run" / "trials.db"), "--out", str(tmp_path / "new" / "folder")]) == 0
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {"pareto.csv", "pareto.png"}
    assert "retrain" not in capsys.readouterr().out


def test_evaluations_of_finalists_count(tmp_path: Path) -> None:
    write_trials(tmp_path, [(0, 0, 0.9, 1e6, 9), (1, 0, 0.8, 2e6, 9), (2, 0, 0.7, 3e6, 9)])
    (tmp_path / "trials.db").rename(tmp_path / "search.db")
    write_trials(tmp_path, [(1, 5, 0.9, 2e6, 9), (0, 5, 0.5, 1e6, 9), (0, 6, 0.4, 1e6, 9)])
    (tmp_path / "trials.db").rename(tmp_path / "finalists.db")
    (tmp_path / "search.db").rename(tmp_path / "trials.db")
    assert main(["pareto", str(tmp_path)]) == 0
    with (tmp_path / "pareto.csv").open(newline="") as file:
        rows = [(row["trial"], float(row["accuracy"]), row["evaluations"]) for row in csv.DictReader(file)]
    assert rows == [("0", pytest.approx(0.6), "3"), ("1", pytest.approx(0.85), "2")]


@pytest.mark.parametrize(
    ("rows", "arguments", "says"),
    [
        (None, [], "there are no trials in"),
        ([(0, 0, -1.0, 10, 1)], [], "no trial of"),
        ([(0, 0, 0.5, 0, 0)], [], "have no FLOPs"),
        (FRONT, ["--pick", "flops<1k"], "no pipeline has flops<1k; the smallest have 1,000,000 multiply-accumulates"),
        (
            FRONT,
            ["--pick", "flops<2M,params<2k"],
            "the smallest have 1,000,000 multiply-accumulates and 1,000 parameters",
        ),
        (FRONT, ["--pick", "flop<2M"], "did you mean 'flops'"),
    ],
)
def test_a_mistake_is_one_line(
    rows: list | None, arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if rows is not None:
        write_trials(tmp_path / "run", rows)
    assert main(["pareto", str(tmp_path / "run"), *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
