"""The grid of a benchmark: what it runs, what it keeps, what it refuses before any work."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

import ma2ml_env
from ma2ml_agents.benchmark import Grid, make_grid, run_grid, summarize
from ma2ml_agents.benchmark.cell import CELLS_FOLDER, FACTS_FILE, TABLE_FILE
from ma2ml_agents.benchmark.grid import Cell
from ma2ml_agents.benchmark.logs import parse_logs
from ma2ml_agents.benchmark.progress import GridProgress
from ma2ml_agents.cli import main
from ma2ml_agents.learner import Batch
from ma2ml_agents.random_search import RandomSearch
from ma2ml_env.trials import TrialStore

ENV, BUDGET = "ma2ml/synthetic-v0", 30
FAST = ("random_search", "regularized_evolution")


def small(**changes: Any) -> Grid:
    return make_grid(**{"envs": [ENV], "algos": list(FAST), "seeds": 2, "budget": BUDGET, **changes})


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


@pytest.fixture(autouse=True)
def _few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ma2ml_agents.benchmark.statistics.REPETITIONS", 20)


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
    ]
    assert len(set(different)) == len(different)


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
        ({"algos": ["random_search", "random_search"]}, "'random_search' is there twice"),
        ({"settings": {"nois": 0.1}}, "did you mean 'noise'"),
        ({"budget": 0}, "budget must be at least 1, not 0"),
        ({"seeds": 0}, "how many, at least 1"),
        ({"seeds": [1, 1]}, "different whole numbers"),
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


def write_log(path: Path, steps: int, seed: int = 0, env_id: str = ENV, **settings: Any) -> pd.Series:
    """A log as another library's training leaves it; the rewards that were paid."""
    env = ma2ml_env.make(env_id, log_path=path, **settings)
    rewards = []
    for step in range(steps):
        env.reset(seed=seed)
        for agent in env.possible_agents:
            env.action_space(agent).seed(1000 * seed + step)
        _, paid, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.possible_agents})
        rewards.append(paid["nas"])
    return pd.Series(rewards)


def test_trial_logs_join_as_one_more_algorithm_with_a_seed_a_file(tmp_path: Path) -> None:
    paid = [write_log(tmp_path / f"{name}.db", steps, seed) for name, steps, seed in (("a", 40, 5), ("b", 22, 6))]
    run_grid(small(seeds=1), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/*.db"]))
    summary = summarize(tmp_path / "out")
    mine = summary.trials[summary.trials.algo == "mine"]
    assert mine[mine.seed == 0].reward.to_list() == paid[0][:BUDGET].to_list()
    assert mine[mine.seed == 1].reward.to_list() == paid[1].to_list()
    assert summary.of(ENV, "mine").evaluations.to_list() == [BUDGET, 22]
    assert summary.of(ENV, "mine").learner_seconds.isna().all()
    assert "mine" in summary.index.baselines


def test_every_log_is_told_with_what_was_read_and_used_of_it(tmp_path: Path) -> None:
    long, short = tmp_path / "a.db", tmp_path / "b.db"
    write_log(long, 32, seed=5)
    for seed in range(7):
        write_log(short, 1, seed)
    text = io.StringIO()
    grid = small(algos=[])
    run_grid(grid, tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/*.db"]), console=Console(file=text))
    assert text.getvalue().splitlines() == [
        f"{long}: mine on {ENV}, 32 trials read, {BUDGET} used, environment seeds 5",
        f"{short}: mine on {ENV}, 7 trials read, 7 used, environment seeds 0, 1, 2, 3, 4 and 2 more",
    ]


def test_a_log_finds_its_environment_by_definition_and_reward(tmp_path: Path) -> None:
    write_log(tmp_path / "a.db", 3, structure_seed=4)
    other = {"name": "other", "env": ENV, "settings": {"structure_seed": 4}}
    run_grid(small(envs=[ENV, other], algos=[]), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/a.db"]))
    assert summarize(tmp_path / "out").envs() == ["other"]


@pytest.mark.parametrize(
    ("env_id", "settings", "says"),
    [
        ("ma2ml/digits-flops-surrogate-v0", {}, "it is of ma2ml/digits-flops-surrogate-v0\n"),
        ("ma2ml/synthetic-v0", {"structure_seed": 4}, "give them with --set"),
    ],
)
def test_a_log_of_another_environment_is_told_which(
    env_id: str, settings: dict[str, int], says: str, tmp_path: Path
) -> None:
    write_log(tmp_path / "a.db", 2, env_id=env_id, **settings)
    grid = small(envs=["ma2ml/digits-surrogate-v0", ENV])
    with pytest.raises(ValueError, match=f"is of no environment of this grid; .*{says}"):
        run_grid(grid, tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/a.db"]))


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    TrialStore(tmp_path / "empty.db").open()
    with pytest.raises(ValueError, match=r"empty.db holds no trials"):
        run_grid(small(), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/empty.db"]))


def test_logs_that_cannot_be_compared_are_refused_before_any_work(tmp_path: Path) -> None:
    write_log(tmp_path / "other.db", 2, structure_seed=4)
    write_log(tmp_path / "mixed.db", 2)
    write_log(tmp_path / "mixed.db", 2, structure_seed=4)
    (tmp_path / "broken.db").write_text("no log")
    cases = {
        "other": "was evaluated under the definition",
        "mixed": "holds trials of 2 different environments",
        "broken": "damaged",
        "missing": "there is no file",
    }
    for name, says in cases.items():
        with pytest.raises(ValueError, match=says):
            run_grid(small(), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/{name}.db"]))
    with pytest.raises(ValueError, match="is in the grid already"):
        run_grid(small(), tmp_path / "out", logs={"random_search": [tmp_path / "mixed.db"]})
    with pytest.raises(ValueError, match="NAME=FILES"):
        parse_logs(["runs/*.db"])
    assert not (tmp_path / "out").exists()


def test_the_command_runs_a_grid_file_and_its_options_win(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(
        "envs: [ma2ml/synthetic-v0]\nseeds: 1\nbudget: 500\nsettings: {noise: 0.01}\n"
        "algos: [random_search, {name: 'evolution, few', algo: regularized_evolution, settings: {sample: 2}}]\n"
    )
    out = tmp_path / "out"
    command = ["benchmark", "--grid", str(file), "--budget", "25", "--set", "noise=0.0", "--out", str(out)]
    assert main([*command, "--workers", "1"]) == 0
    first = (out / "results.md").read_text()
    assert "| evolution, few |" in first
    runs = pd.read_parquet(out / "summary.parquet")
    trials = pd.read_parquet(out / "trials.parquet")
    assert set(runs.evaluations) == {25}
    assert (trials.reward == trials.true_value).all()
    (out / "results.md").unlink()
    assert main(["benchmark", "--report-only", "--out", str(out)]) == 0
    assert (out / "results.md").read_text() == first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --algos, --grid or --logs"),
        (["--algos", "random_search"], "at least one environment"),
        (["--algos", "nonsense", "--env", ENV], "unknown learner 'nonsense'"),
        (["--env", ENV, "--algos", "random_search", "--set", "noise"], "NAME=VALUE"),
        (["--grid", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--report-only"], "holds no benchmark"),
        (["--report-only", "--logs", "mine=runs/*.db"], "give one of them"),
    ],
)
def test_a_mistake_in_the_command_is_a_line_and_writes_nothing(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "says"), [("enws: []", "did you mean 'envs'"), ("envs: 3", "envs is a list"), ("[", "YAML")]
)
def test_a_grid_file_of_another_form_is_refused(text: str, says: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "grid.yaml").write_text(text)
    assert main(["benchmark", "--grid", str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err
