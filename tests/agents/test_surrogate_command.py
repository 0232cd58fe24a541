"""`ma2ml surrogate fit`, `show` and `test`, on the trials of small searches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.commands import main
from ma2ml_env import AutoMLEnv
from ma2ml_env.evaluators.surrogate import SurrogateEvaluator
from ma2ml_env.surrogate.model import load_surrogate
from ma2ml_env.surrogate.noise_floor import reachable, smallest_step
from ma2ml_env.surrogate.quality import Agreement
from ma2ml_env.trials import TrialStore

ENV = "ma2ml/synthetic-v0"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("runs")
    env = ma2ml_env.make(ENV)
    made = {"random": ("random_search", 0, 0), "again": ("random_search", 0, 1), "evolved": ("one_plus_one", 1, 0)}
    for name, (algo, learner_seed, seed) in made.items():
        run_search(env, make_learner(algo, agent_specs(env), seed=learner_seed), 30, out=root / name, seed=seed)
    return [str(root / "random"), str(root / "again"), str(root / "evolved" / "trials.db")]


def test_fit_tells_what_it_reaches_on_held_out_pipelines_and_runs(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "file.xz"
    assert main(["surrogate", "fit", *runs, "--out", str(out), "--env", ENV]) == 0
    said = capsys.readouterr().out
    for line in (
        "90 evaluations",
        "in 3 runs",
        "a second evaluation, by the noise",
        "held-out pipelines",
        "held-out run evolved",
    ):
        assert line in said
    assert "a second evaluation, measured (random)" not in said, "it is held out in no fit"
    surrogate = load_surrogate(out)
    assert surrogate.definition == ma2ml_env.make(ENV).definition
    assert {"held-out pipelines", "held-out run evolved"} <= set(surrogate.quality)
    assert main(["surrogate", "show", str(out)]) == 0
    assert f"a surrogate of {ENV}" in capsys.readouterr().out


def test_a_surrogate_is_tested_on_runs_that_it_has_not_seen(runs: list[str], tmp_path: Path, capsys) -> None:
    file = str(tmp_path / "file.xz")
    assert main(["surrogate", "fit", *runs[:2], "--out", file, "--env", ENV, "--no-quality"]) == 0
    capsys.readouterr()
    assert main(["surrogate", "test", file, runs[2]]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line[:44].strip() for line in said] == ["run evolved", "what the noise allows (evolved)"]
    env = ma2ml_env.make(ENV)
    trials = TrialStore(runs[2], env.definition).load(env.decode)
    surrogate = AutoMLEnv(env.search_spaces, SurrogateEvaluator(ma2ml_env.make(ENV), Path(file)), env.reward)
    predicted = np.array([surrogate.expected(trial.pipeline).accuracy for trial in trials])
    measured = np.array([trial.result.accuracy for trial in trials])
    assert str(Agreement.of(measured, predicted)) in said[0]
    assert str(reachable(measured, load_surrogate(file).noise, smallest_step(measured))) in said[1]
    assert main(["surrogate", "test", file, *runs]) == 0
    assert "runs, together" in capsys.readouterr().out


def test_one_evaluation_is_too_few_to_test_a_surrogate(runs: list[str], tmp_path: Path, capsys) -> None:
    file = str(tmp_path / "file.xz")
    assert main(["surrogate", "fit", *runs, "--out", file, "--env", ENV, "--no-quality"]) == 0
    env = ma2ml_env.make(ENV)
    run_search(env, make_learner("random_search", agent_specs(env), seed=0), 1, out=tmp_path / "short")
    assert main(["surrogate", "test", file, str(tmp_path / "short")]) == 2
    assert "requires at least 2 evaluations" in capsys.readouterr().err


def test_a_surrogate_of_another_definition_is_not_tested(runs: list[str], tmp_path: Path, capsys) -> None:
    file = tmp_path / "file.xz"
    assert main(["surrogate", "fit", *runs, "--out", str(file), "--env", ENV, "--no-quality"]) == 0
    replace(load_surrogate(file), definition="another").save(file)
    assert main(["surrogate", "test", str(file), runs[2]]) == 2
    assert "under the definition another, but" in capsys.readouterr().err


def test_a_run_that_is_given_twice_is_refused(runs: list[str], tmp_path: Path, capsys) -> None:
    twice = [*runs, str(Path(runs[0]) / "trials.db")]
    assert main(["surrogate", "fit", *twice, "--out", str(tmp_path / "file.xz"), "--env", ENV]) == 2
    assert "was given before; give each run once" in capsys.readouterr().err
    assert not (tmp_path / "file.xz").exists()


def test_runs_of_one_folder_name_are_told_apart(runs: list[str], tmp_path: Path, capsys) -> None:
    env = ma2ml_env.make(ENV)
    other = tmp_path / "elsewhere" / "evolved"
    run_search(env, make_learner("one_plus_one", agent_specs(env), seed=5), 30, out=other)
    assert main(["surrogate", "fit", *runs, str(other), "--out", str(tmp_path / "file.xz"), "--env", ENV]) == 0
    figures = load_surrogate(tmp_path / "file.xz").quality
    held_out = {name for name in figures if name.startswith("held-out run /") and name.endswith("evolved")}
    assert len(held_out) == 2


def test_trials_of_another_environment_are_refused(runs: list[str], tmp_path: Path, capsys) -> None:
    assert main(["surrogate", "fit", *runs, "--out", str(tmp_path / "file.xz"), "--env", "ma2ml/digits-v0"]) == 2
    assert "was evaluated under the definition" in capsys.readouterr().err
    assert not (tmp_path / "file.xz").exists()


def test_a_folder_without_trials_is_refused(tmp_path: Path, capsys) -> None:
    assert main(["surrogate", "fit", str(tmp_path), "--out", str(tmp_path / "file.xz")]) == 2
    assert "there are no trials in" in capsys.readouterr().err
