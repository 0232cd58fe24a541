"""What the results page tells: curves, targets, intervals, figures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rliable import library, metrics

from ma2ml_agents.benchmark import figures, make_grid, run_grid, statistics, summarize, tables, write_results
from ma2ml_agents.benchmark.cell import optimum, random_mean
from ma2ml_agents.benchmark.curves import Curve, at, checkpoints, curve, evaluations_to
from ma2ml_agents.benchmark.figures import LEAST_ERROR, Sheet, _draw, error_curves
from ma2ml_agents.benchmark.index import Index, read_index
from ma2ml_agents.benchmark.page import render
from ma2ml_agents.benchmark.runner import make_index
from ma2ml_agents.benchmark.statistics import Estimate, check_packages, estimate, improvement, iqm, middle, profile
from ma2ml_agents.benchmark.styles import KNOWN, label_lines, list_lines, spread, styles
from ma2ml_agents.benchmark.summary import Summary
from ma2ml_agents.benchmark.tables import overall_table
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace, Trial
from ma2ml_env.reward import accuracy, flops_constrained
from ma2ml_env.trials import top_k

ENV, BUDGET = "ma2ml/synthetic-v0", 40


@pytest.fixture(autouse=True)
def _few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "REPETITIONS", 50)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark of three algorithms."""
    folder = tmp_path_factory.mktemp("results")
    algos = ["random_search", "regularized_evolution", {"name": "few", "algo": "one_plus_one", "seeds": 2}]
    run_grid(make_grid([ENV], algos, 3, BUDGET), folder)
    return folder


def runs(summary: Summary) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Every row of the summary with its trials."""
    for row in summary.runs.itertuples():
        mine = (summary.trials.algo == row.algo) & (summary.trials.seed == row.seed)
        yield row, summary.trials[mine]


def test_top_means_are_those_of_distinct_pipelines_by_brute_force(out: Path) -> None:
    for row, trials in runs(summarize(out)):
        best = trials.drop_duplicates("key").sort_values(["reward", "number"], ascending=[False, True])
        assert row.top_mean == pytest.approx(best.true_value[:20].mean())
        assert row.apparent_best == best.true_value.iloc[0]
        assert row.true_best == trials.true_value.max()
        assert row.distinct == trials.key.nunique()


def test_a_curve_ranks_as_the_trial_log_does_after_every_evaluation() -> None:
    rng = np.random.default_rng(0)
    choices, rewards = rng.integers(12, size=40), rng.integers(4, size=12) / 4
    true = rng.random(12)
    trials = [
        Trial(n, 0, Pipeline({"a": (int(c),)}, {"a": c}), Result(0.5, 1, 1, 0.0), float(rewards[c]))
        for n, c in enumerate(choices)
    ]
    found = curve([t.pipeline.key for t in trials], [t.reward for t in trials], true[choices].tolist(), k=5)
    for n in range(len(trials)):
        best = [true[trial.pipeline["a"]] for trial in top_k(trials[: n + 1], 5)]
        assert found.top[n] == pytest.approx(np.mean(best))
        assert found.distinct[n] == len(set(choices[: n + 1]))


def test_proposing_the_best_pipeline_again_does_not_help() -> None:
    once = curve(["a", "b", "c"], [1.0, 0.5, 0.0], [1.0, 0.5, 0.0], k=2)
    again = curve(["a", "b", "a"], [1.0, 0.5, 1.0], [1.0, 0.5, 1.0], k=2)
    assert once.top[-1] == again.top[-1] == 0.75


def test_evaluations_to_a_target_are_counted_from_one_and_need_k_distinct_pipelines() -> None:
    for top in itertools.product([0.0, 0.5, 1.0], repeat=4):
        for distinct in ([1, 2, 3, 4], [1, 1, 2, 2], [1, 1, 1, 1]):
            run = Curve(np.array(top), np.array(distinct))
            by_hand = [n + 1 for n in range(4) if top[n] >= 0.5 and distinct[n] >= 2]
            assert evaluations_to(run, 0.5, k=2) == (by_hand[0] if by_hand else None)


def test_a_run_that_ended_early_keeps_its_last_value() -> None:
    assert checkpoints(60) == [25, 50, 60]
    assert checkpoints(20) == [20]
    assert [at(np.array([0.1, 0.2, 0.3]), n) for n in (1, 3, 25)] == [0.1, 0.3, 0.3]


def test_the_target_is_the_best_baselines_final_value_and_each_run_says_when_it_got_there(out: Path) -> None:
    summary = summarize(out)
    finals = {algo: float(iqm(summary.scores(ENV, algo))[0]) for algo in summary.index.algos}
    target = summary.targets[ENV]
    assert target.value == max(finals.values())
    assert finals[target.baseline] == target.value
    for row, trials in runs(summary):
        columns = (trials.key.to_list(), trials.reward.to_list(), trials.true_value.to_list())
        expected = evaluations_to(curve(*columns), target.value)
        assert row.evaluations_to_target == expected or (expected is None and np.isnan(row.evaluations_to_target))


def test_the_median_of_evaluations_needs_no_number_for_not_reached() -> None:
    for counts in itertools.product([10, 20, 999], repeat=3):
        assert middle(np.array(counts, dtype=float)[:, None]) == sorted(counts)[1]
    assert middle(np.array([[10.0], [999.0]])) == 999


def test_intervals_are_rliables_own_and_do_not_depend_on_the_company() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((7, 2)), rng.random((5, 2))
    np.random.seed(0)  # noqa: NPY002 (rliable draws from the global state)
    points, intervals = library.get_interval_estimates(
        {"a": a}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=50
    )
    for found in (estimate({"a": a}, iqm)["a"], estimate({"b": b, "a": a}, iqm)["a"]):
        assert found.point == pytest.approx(points["a"])
        assert [found.low[0], found.high[0]] == pytest.approx(intervals["a"][:, 0])


def test_intervals_leave_the_global_random_state_as_it_was() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    estimate({"a": np.ones((3, 1))}, iqm)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index, union-attr]  # noqa: NPY002


def test_the_mean_of_curves_is_rliables_at_every_point() -> None:
    scores = np.random.default_rng(2).random((6, 2, 4))
    assert iqm(scores) == pytest.approx([metrics.aggregate_iqm(scores[..., point]) for point in range(4)])


def test_improvement_and_profiles_are_what_counting_gives() -> None:
    rng = np.random.default_rng(3)
    a, b, thresholds = rng.random((4, 2)), rng.random((3, 2)), np.array([0.0, 0.3, 0.9])
    counted = np.mean([np.mean([x > y for x in a[:, task] for y in b[:, task]]) for task in range(2)])
    assert improvement(a, b) == pytest.approx([counted])
    tied = rng.integers(3, size=(6, 4)).astype(float)
    assert improvement(tied[:, :2], tied[:, 2:]) == pytest.approx(
        [metrics.probability_of_improvement(tied[:, :2], tied[:, 2:])]
    )
    assert profile(thresholds)(a) == pytest.approx([np.mean(a > t) for t in thresholds])


class Known:
    """An evaluator whose true values and optimum are known: the share of ones."""

    optimum_accuracy = 1.0

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        return self.expected(pipeline)

    def expected(self, pipeline: Pipeline) -> Result:
        return Result(float(np.mean(pipeline.action["a"])), 1.0, 1.0, 0.0)


def test_the_optimum_is_known_only_where_the_reward_is_one_of_accuracy_alone() -> None:
    spaces = {"a": SearchSpace([Decision(str(i), (0, 1)) for i in range(4)], dict)}
    assert optimum(AutoMLEnv(spaces, Known(), accuracy)) == 1.0
    assert optimum(AutoMLEnv(spaces, Known(), lambda r: flops_constrained(r, constraint=10.0, exponent=-0.07))) is None
    blind = AutoMLEnv(spaces, lambda pipeline, *, seed: Result(0.5, 1, 1, 0.0), accuracy)
    assert optimum(blind) is None
    assert random_mean(blind) is None


def test_a_random_pipeline_has_regret_one_and_score_zero() -> None:
    spaces = {"a": SearchSpace([Decision(str(i), (0, 1)) for i in range(8)], dict)}
    env = AutoMLEnv(spaces, Known(), accuracy)
    assert random_mean(env, 2000) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 8 / 2000))
    assert random_mean(env) == random_mean(env)


def test_regret_and_score_are_places_between_a_random_pipeline_and_the_optimum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ma2ml_env.evaluators.synthetic import SyntheticEvaluator

    monkeypatch.setattr(SyntheticEvaluator, "optimum_accuracy", 1.0, raising=False)
    run_grid(make_grid([ENV], ["random_search"], 1, 25), tmp_path)
    (row,) = summarize(tmp_path).runs.itertuples()
    assert row.regret == pytest.approx((1 - row.top_mean) / (1 - row.random_mean))
    assert row.score == pytest.approx(1 - row.regret)


def test_the_page_has_every_algorithm_and_its_figures(out: Path) -> None:
    text = write_results(out).read_text()
    table = text.partition(f"## {ENV}")[2]
    for algo, seeds in (("random_search", 3), ("regularized_evolution", 3), ("few", 2)):
        (line,) = [line for line in table.splitlines() if line.startswith(f"| {algo} |")]
        assert line.endswith(f"| {seeds} |")
    for name in ("top_reward.png", "batch_reward.png", "errors.png", "profiles.png"):
        assert f"({name})" in text
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert "Not finished" not in text
    assert "trial logs" not in text


def test_a_page_without_figures_has_the_same_tables_and_draws_nothing(out: Path) -> None:
    whole = write_results(out).read_text().splitlines()
    for file in out.glob("*.png"):
        file.unlink()
    bare = write_results(out, figures=False).read_text().splitlines()
    assert not list(out.glob("*.png"))
    assert [line for line in bare if line] == [line for line in whole if line and not line.startswith("![")]


def cells(page: str, heading: str) -> dict[str, dict[str, str]]:
    """The table below a heading, {algorithm: {column: text}}."""
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    head, _, *rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_the_first_table_has_score_and_environments_with_the_best_in_bold(out: Path) -> None:
    summary = summarize(out)
    table = cells(write_results(out).read_text(), "All environments")
    assert list(next(iter(table.values()))) == [
        *("algorithm", "normalized score, IQM", "synthetic", "P(random_search better)"),
        *("new only", "CPU ms, D = 89", "runs"),
    ]
    finals = {algo: float(iqm(summary.scores(ENV, algo))[0]) for algo in summary.index.algos}
    best = max(finals, key=lambda algo: finals[algo])
    for algo, value in finals.items():
        mark = "**" if algo == best else ""
        score = float(iqm(summary.scores(ENV, algo, "score"))[0])
        assert table[algo]["synthetic"] == f"{mark}{value:.4f}{mark}"
        assert table[algo]["normalized score, IQM"] == f"{mark}{score:.4f}{mark}", "no interval of three runs"
        assert table[algo]["P(random_search better)"] == "", "nor a probability"
        assert table[algo]["runs"] == str(len(summary.of(ENV, algo)))
    assert next(iter(table)) == best


def test_the_first_table_marks_settings_that_exclude_known_pipelines(tmp_path: Path) -> None:
    off = {"name": "off", "algo": "one_plus_one", "settings": {"distinct": False}}
    newest = {"name": "newest", "algo": "ma2ml", "settings": {"off_policy": False}}
    grid = make_grid([ENV], ["random_search", "one_plus_one", "ppo", off, newest], 1, 5)
    assert make_index(grid).distinct == ("one_plus_one", "ppo")
    run_grid(make_grid([ENV], ["random_search", "one_plus_one", off], 1, 25), tmp_path)
    table = cells(write_results(tmp_path).read_text(), "All environments")
    assert {algo: row["new only"] for algo, row in table.items()} == {
        "random_search": "", "one_plus_one": "yes", "off": ""
    }  # fmt: skip


def test_the_time_of_a_learner_is_the_mean_over_runs_of_as_many_decisions(out: Path) -> None:
    summary = summarize(out)
    runs = pd.concat([summary.runs, summary.runs.assign(env="other", learner_seconds=7.0)], ignore_index=True)
    index = replace(summary.index, envs=(ENV, "other"), decisions={ENV: 89, "other": 9})
    table = cells("## All\n" + overall_table(replace(summary, index=index, runs=runs), {}), "All")
    for algo in index.algos:
        assert table[algo]["CPU ms, D = 9"] == "7000.0"
        assert table[algo]["CPU ms, D = 89"] == f"{1000 * summary.of(ENV, algo).learner_seconds.mean():.1f}"


def test_the_index_of_an_older_version_can_be_read(out: Path, tmp_path: Path) -> None:
    stored = json.loads((out / "index.json").read_text())
    for name in ("logged", "distinct", "decisions", "bounds"):
        del stored[name]
    (tmp_path / "index.json").write_text(json.dumps(stored))
    assert read_index(tmp_path).decisions == {}
    assert read_index(tmp_path).runs == read_index(out).runs


def test_the_distribution_of_errors_is_the_mean_over_runs_of_the_fraction_below(out: Path) -> None:
    summary = summarize(out)
    places, curves = error_curves(summary, ENV)
    trials = summary.trials.drop_duplicates(["algo", "seed", "key"])
    errors = 1 - trials.true_value
    assert places[[0, -1]] == pytest.approx([max(errors.min(), LEAST_ERROR), errors.max()])
    for algo, found in curves.items():
        mine = errors[trials.algo == algo]
        for where in (10, 60, 100):
            shares = [(run <= places[where] + 1e-12).mean() for _, run in mine.groupby(trials.seed)]
            assert found.point[where] == pytest.approx(np.mean(shares), abs=0.02)
        assert found.point[-1] == 1


def test_no_learner_scores_above_one(tmp_path: Path) -> None:
    """Under noise the apparently best pipelines of all runs are worse than the best pipelines that were tried."""
    algos = ["random_search", "regularized_evolution", "one_plus_one"]
    run_grid(make_grid([ENV], algos, 2, 200, settings={"noise": 0.3}), tmp_path)
    summary = summarize(tmp_path)
    assert (summary.runs.score <= 1).all()
    assert summary.runs.top_mean.max() > summary.runs.apparent_best.min(), "the apparent best is no bound"
    assert (summary.runs.true_best >= summary.runs[["apparent_best", "top_mean"]].max(axis=1)).all()


def test_intervals_and_probabilities_are_told_from_five_runs_on() -> None:
    rng = np.random.default_rng(0)
    few, enough = rng.random((4, 1)), rng.random((5, 1))
    found = estimate({"few": few, "enough": enough}, iqm)
    assert "[" not in tables._interval(found["few"], 4)
    assert "[" in tables._interval(found["enough"], 5)
    index = Index(10, ("e",), ("a", "b", "c"), "a", (), (), (), {}, ())
    summary = Summary(index, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {})
    assert set(tables._improvements(summary, {"a": enough, "b": enough, "c": few})) == {"b"}
    assert tables._improvements(summary, {"a": few, "b": enough}) == {}
    drawn = figures._bands({"few": few, "enough": enough}, iqm)
    assert drawn["few"].low == drawn["few"].high == drawn["few"].point
    assert drawn["enough"].low < drawn["enough"].high


def test_an_algorithm_without_all_environments_is_told_last_and_without_a_score(out: Path) -> None:
    summary = summarize(out)
    scores = {algo: summary.scores(ENV, algo, "score") for algo in ("few", "random_search")}
    *_, last = cells("## All\n" + overall_table(summary, scores), "All").values()
    assert last["algorithm"] == "regularized_evolution"
    assert last["normalized score, IQM"] == ""
    assert last["runs"] == "3"


def test_the_page_does_not_vouch_for_runs_from_logs(out: Path) -> None:
    summary = summarize(out)
    summary.runs["learner_seconds"] = np.nan  # none was measured, as after a resume
    assert "read from trial logs" not in render(summary, {}, [])
    summary = replace(summary, index=replace(summary.index, logged=("few", "one that has no run")))
    assert "earlier results. Runs of few were read from trial logs: what they knew" in render(summary, {}, [])


def test_no_name_is_cut_from_a_figure(tmp_path: Path) -> None:
    from matplotlib.image import imread

    name, where = "a_name_that_is_longer_than_its_curve_is_wide", np.array([0.0, 1.0])
    line = Estimate(where, where, where)
    for tell in (label_lines, list_lines):
        _draw(tmp_path / "figure.png", Sheet({"title": (where, {name: line})}, ("x", "y"), tell), styles([name]))
        pixels = imread(tmp_path / "figure.png")[..., :3]
        assert (pixels[:, -10:] == 1).all()
        assert (pixels[:, :10] == 1).all()


def test_an_algorithm_looks_the_same_in_any_company() -> None:
    assert styles(["ppo"])["ppo"] == styles(["mine", "ma2ml", "ppo"])["ppo"]
    looks = styles([*KNOWN, "mine", "yours"]).values()
    assert len({(look.color, look.dash) for look in looks}) == len(KNOWN) + 2


def test_a_stranger_takes_a_color_that_the_page_does_not_have_and_a_look_that_no_known_one_has() -> None:
    names = ["random_search", "ppo", "one", "two", "three", "four", "five"]
    looks = styles(names)
    colors = [looks[name].color for name in names]
    assert len(set(colors[:6])) == 6
    assert colors[6] in colors[:6]
    assert looks["five"] not in [looks[name] for name in names[:6]]
    assert not {looks[name] for name in names[2:]} & set(styles(KNOWN).values())


def test_names_are_spread_as_little_as_need_be() -> None:
    assert spread([0.1, 0.5, 0.9], 0.1, 0.0, 1.0) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.5, 0.6, 0.7])
    assert spread([0.9, 1.0, 1.0], 0.1, 0.0, 1.0) == pytest.approx([0.8, 0.9, 1.0])


def test_a_missing_extra_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[benchmark\]'"):
        check_packages()
    with pytest.raises(ValueError, match="rliable"):
        run_grid(make_grid([ENV], ["random_search"], 1, 25), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_benchmark_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="contains no benchmark"):
        summarize(tmp_path)
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(ValueError, match="is damaged"):
        summarize(tmp_path)
