"""The grid of a benchmark: what it runs, what it keeps, what it refuses before any work."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from small_grids import BUDGET, ENV, FAST, small

import ma2ml_env
from ma2ml_agents.benchmark import Grid, run_grid, summarize
from ma2ml_agents.benchmark.cell import CELLS_FOLDER, FACTS_FILE, TABLE_FILE
from ma2ml_agents.benchmark.grid import Cell
from ma2ml_agents.benchmark.page import write_results
from ma2ml_agents.benchmark.progress import GridProgress
from ma2ml_agents.learner import Batch
from ma2ml_agents.learners.random_search import RandomSearch
from ma2ml_agents.learners.regularized_evolution import RegularizedEvolution
from ma2ml_env.trials import TrialStore

pytestmark = pytest.mark.usefixtures("few_repetitions")


def tables(out: Path, grid: Grid) -> dict[str, pd.DataFrame]:
    """What the runs found, without the time that it took."""
    folders = [cell.folder for cell in grid.cells()]
    return {f: pd.read_parquet(out / CELLS_FOLDER / f / TABLE_FILE).drop(columns="seconds") for f in folders}


def assert_same(one: Mapping[str, pd.DataFrame], other: Mapping[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for folder in one:
        pd.testing.assert_frame_equal(one[folder], other[folder])


class Breaks(RandomSearch):
    """Fails after as many results as a file says, while it is there."""

    flag: Path

    def update(self, batch: Batch) -> Mapping[str, float]:
        self.seen = getattr(self, "seen", 0) + len(batch)
        if self.flag.exists() and self.flag.read_text() == str(self.seen):
            raise RuntimeError("interrupted")
        return super().update(batch)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark, run in this process."""
    out = tmp_path_factory.mktemp("benchmark")
    run_grid(small(), out)
    return out


def test_two_workers_find_what_one_finds(done: Path, tmp_path: Path) -> None:
    run_grid(small(), tmp_path, workers=2)
    assert_same(tables(done, small()), tables(tmp_path, small()))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_grid_tells_how_far_its_runs_are(workers: int, tmp_path: Path, monkeypatch) -> None:
    told: dict[str, list[int]] = {}

    def note(progress: GridProgress, cell: Cell, count: int, others: int = 0) -> None:
        told.setdefault(cell.folder, []).append(count)

    monkeypatch.setattr(GridProgress, "evaluated", note)
    monkeypatch.setattr("ma2ml_agents.benchmark.runner.REFRESH_SECONDS", 0.001)
    run_grid(small(), tmp_path, workers=workers)
    assert told
    if workers == 1:
        assert told == {cell.folder: list(range(1, BUDGET + 1)) for cell in small().cells()}
    for counts in told.values():
        assert counts == sorted(counts)
        assert set(counts) <= set(range(1, BUDGET + 1))


def test_a_grid_on_a_terminal_is_one_bar_with_the_current_run_and_its_evaluation() -> None:
    text = io.StringIO()
    cell, *_ = small().cells()
    with GridProgress(300, Console(file=text, force_terminal=True, width=160)) as progress:
        progress.found(118)
        progress.show(cell, None)
        progress.evaluated(cell, 17, others=1)
    shown = text.getvalue()
    assert "119/300" in shown
    assert f"random_search on {ENV}, seed 0, pipeline 17/{BUDGET} (and 1 more)" in shown


def test_every_cell_is_one_run_and_the_first_seeds_come_first() -> None:
    grid = small(algos=[*FAST, {"name": "slow", "algo": FAST[1], "settings": {"sample": 5}, "seeds": 1}])
    assert [(cell.contender.name, cell.seed) for cell in grid.cells()] == [
        *[("random_search", 0), ("regularized_evolution", 0), ("slow", 0)],
        *[("random_search", 1), ("regularized_evolution", 1)],
    ]


def test_what_a_result_depends_on_names_its_folder_and_names_in_tables_do_not() -> None:
    def folder(**changes: Any) -> str:
        return next(small(**changes).cells()).folder

    def algo(**keys: Any) -> str:
        return folder(algos=[{"algo": "regularized_evolution", **keys}])

    env = {"env": ENV, "name": "mine"}
    assert folder(envs=[env]) == folder()
    assert algo(name="mine") == algo()
    different = [
        folder(),
        folder(budget=31),
        folder(seeds=[1]),
        folder(settings={"noise": 0.0}),
        folder(envs=[{**env, "settings": {"structure_seed": 3}}]),
        algo(),
        algo(settings={"population": 11}),
        folder(max_flops=1e6),
        folder(max_params=1e6),
    ]
    assert len(set(different)) == len(different)


def test_a_bound_is_part_of_what_a_result_depends_on_only_where_there_is_one() -> None:
    free, bounded = (next(small(max_flops=bound).cells()) for bound in (None, 5_000_000))
    assert "bounds" not in free.identity
    assert bounded.identity == {**free.identity, "bounds": {"max_flops": 5e6, "max_params": None}}
    assert bounded.folder == next(small(max_flops=5e6).cells()).folder


def test_within_a_bound_nothing_above_it_is_evaluated_and_the_page_tells_it(tmp_path: Path) -> None:
    grid = small(algos=["random_search", "sb3_a2c"], seeds=1, max_flops=1_250_000)
    run_grid(grid, tmp_path)
    found = {
        cell.contender.name: pd.read_parquet(tmp_path / CELLS_FOLDER / cell.folder / TABLE_FILE)
        for cell in grid.cells()
    }
    assert found["random_search"].flops.max() <= 1_250_000
    assert not found["random_search"].failed.any()
    above = found["sb3_a2c"].flops > 1_250_000
    assert above.any(), "the library's own policy knows no bound"
    assert (found["sb3_a2c"].failed == above).all()
    assert (found["sb3_a2c"].true_value[above] == 0).all()
    assert summarize(tmp_path).runs.optimum.isna().all(), "it may be above the bound"
    assert (
        "more than 1,250,000 multiply-accumulates were not evaluated"
        in write_results(tmp_path, figures=False).read_text()
    )


def test_an_algorithm_takes_the_settings_of_a_preset_unless_told_otherwise() -> None:
    published = {"name": "p", "algo": "amoebanet", "preset": "published", "settings": {"sample": 7}}
    tuned, given = (contender.config for contender in small(algos=["amoebanet", published]).contenders)
    assert (tuned.population, tuned.mutation) == (RegularizedEvolution.Config().population, "by_kind")
    assert (given.population, given.mutation, given.sample) == (100, "by_kind", 7)


def test_two_names_of_one_thing_are_run_once_and_both_told(tmp_path: Path) -> None:
    grid = small(algos=["random_search", {"name": "again", "algo": "random_search"}], seeds=1)
    assert len(run_grid(grid, tmp_path)) == 1
    summary = summarize(tmp_path)
    assert summary.scores(ENV, "again") == summary.scores(ENV, "random_search")


def test_the_tidy_table_agrees_with_the_trial_logs(done: Path) -> None:
    table = summarize(done).trials
    env = ma2ml_env.make(ENV)
    for cell in small().cells():
        trials = TrialStore(done / CELLS_FOLDER / cell.folder / "trials.db", env.definition).load(env.decode)
        rows = table[(table.algo == cell.contender.name) & (table.seed == cell.seed)]
        assert rows.number.to_list() == list(range(BUDGET))
        assert rows.key.to_list() == [trial.pipeline.key for trial in trials]
        assert rows.reward.to_list() == [trial.reward for trial in trials]
        assert rows.seconds.to_list() == [trial.result.seconds for trial in trials]
        assert rows.true_value.to_list() == [env.reward(env.expected(trial.pipeline)) for trial in trials]


def test_a_finished_cell_is_not_run_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ma2ml_agents.benchmark.cell.run_search", lambda *args, **kwargs: pytest.fail("ran"))
    assert run_grid(small(), done) == list(small().cells())


def test_a_cell_whose_end_is_lost_goes_on_from_its_trials(done: Path, tmp_path: Path) -> None:
    import sqlite3

    run_grid(small(), tmp_path)
    folder = tmp_path / CELLS_FOLDER / next(small().cells()).folder
    (folder / FACTS_FILE).unlink()
    with sqlite3.connect(folder / "trials.db") as log:
        log.execute("DELETE FROM trials WHERE number >= 17")
        kept = log.execute("SELECT finished, seconds FROM trials ORDER BY number").fetchall()
    run_grid(small(), tmp_path)
    assert_same(tables(done, small()), tables(tmp_path, small()))
    with sqlite3.connect(folder / "trials.db") as log:
        assert log.execute("SELECT finished, seconds FROM trials ORDER BY number LIMIT 17").fetchall() == kept


def test_a_run_that_fails_leaves_the_others_and_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaks, "flag", tmp_path / "flag", raising=False)
    Breaks.flag.write_text("11")
    grid = small(algos=[{"name": "breaks", "algo": f"{__name__}:Breaks"}, "random_search"], seeds=1)
    with pytest.raises(ValueError, match=r"1 of 2 runs failed.*\n  breaks on .*, seed 0: RuntimeError: interrupted"):
        run_grid(grid, tmp_path / "out")
    assert summarize(tmp_path / "out").algos(ENV) == ["random_search"]
    Breaks.flag.unlink()
    run_grid(grid, tmp_path / "out")
    broken, plain = tables(tmp_path / "out", grid).values()
    pd.testing.assert_frame_equal(broken, plain)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"envs": ["ma2ml/sintetic-v0"]}, "did you mean 'ma2ml/synthetic-v0'"),
        ({"envs": []}, "at least one environment"),
        ({"algos": ["random_serch"]}, "did you mean 'random_search'"),
        ({"algos": [{"algo": "random_search", "setings": {}}]}, "did you mean 'settings'"),
        ({"algos": [{"algo": "ppo", "settings": {"learning_rat": 1}}]}, "no setting 'learning_rat'"),
        ({"algos": [{"name": "x"}]}, "a name or a mapping with 'algo'"),
        ({"algos": ["random_search", "random_search"]}, "'random_search' appears twice"),
        ({"settings": {"nois": 0.1}}, "did you mean 'noise'"),
        ({"max_flops": 0}, "max_flops must be above 0, not 0"),
        ({"max_params": "5M"}, "max_params: expected a number above 0, such as 5_000_000, not '5M'"),
        ({"budget": 0}, "budget must be at least 1, not 0"),
        ({"seeds": 0}, "a number of at least 1"),
        ({"seeds": [1, 1]}, "distinct integers"),
        ({"seeds": [-1]}, "at least 0"),
    ],
)
def test_a_mistake_is_told_before_any_work(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        small(**changes)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trials.db").touch()
    with pytest.raises(ValueError, match="choose another --out"):
        run_grid(small(), tmp_path)


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, not 0"):
        run_grid(small(), tmp_path, workers=0)
