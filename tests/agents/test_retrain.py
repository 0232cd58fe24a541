"""`ma2ml retrain`: which pipelines are trained how often, what is kept of it, and what is refused."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import asdict
from pathlib import Path

import pytest

import ma2ml_env
from ma2ml_agents.commands import main
from ma2ml_agents.commands.finale.retrainings import mean_and_spread
from ma2ml_agents.commands.retrain import training_seed
from ma2ml_agents.search.finalists import ranked_trials
from ma2ml_env import registry
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.trials import TrialStore

SMALL = {"epochs": 1, "retrain_epochs": 1, "filters": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    settings = [f"{name}={value}" for name, value in SMALL.items()]
    command = ["train", "--algo", "random_search", "--budget", "5", "--finalists", "2", "--finalist-trials", "1"]
    assert main([*command, "--executor", "inline", "--set", *settings, "--out", str(folder)]) == 0
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "retrain.csv").open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_the_best_pipelines_are_trained_under_several_seeds_and_a_stopped_command_goes_on(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = ma2ml_env.make("ma2ml/digits-v0", **SMALL)
    trials = TrialStore(run / "trials.db").load(env.decode)
    best = ranked_trials(trials, run)[:2]
    train, calls = TrainEvaluator.retrain_observed, []

    def stop_at_the_third(self, pipeline, **options):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append((pipeline.key, options["seed"]))
        return train(self, pipeline, **options)

    monkeypatch.setattr(TrainEvaluator, "retrain_observed", stop_at_the_third)
    command = ["retrain", str(run), "--top", "2", "--trials", "2"]
    assert main(command) == 130
    assert len(rows(run)) == 2
    monkeypatch.setattr(TrainEvaluator, "retrain_observed", train)
    assert main(command) == 0
    found = rows(run)
    assert [(row["key"], row["number"]) for row in found] == [(t.pipeline.key, n) for t in best for n in "01"]
    for row, trial in zip(found[::2], best, strict=True):
        _, accuracy = env.evaluator.retrain(trial.pipeline, seed=training_seed(0))
        assert float(row["test_accuracy"]) == accuracy
    models, test = sorted((run / "models").iterdir()), env.evaluator.task.load().test
    assert len(models) == len(found)
    loaded = [ma2ml_env.load_model(model) for model in models]
    assert sorted((m.about["trial"], m.about["test_accuracy"]) for m in loaded) == sorted(
        (int(row["trial"]), float(row["test_accuracy"])) for row in found
    )
    assert all({"environment", "budget", "images", "epochs", "pipeline"} <= m.about.keys() for m in loaded)
    answers = [model.predict(test.pixels) for model in loaded]
    names = [env.evaluator.task.classes[label] for label in test.labels]
    shares = [statistics.fmean(a == b for a, b in zip(given, names, strict=True)) for given in answers]
    assert sorted(shares) == pytest.approx(sorted(float(row["test_accuracy"]) for row in found))
    mean = 100 * statistics.fmean(float(row["test_accuracy"]) for row in found[:2])
    assert f"{mean:.2f} ± " in capsys.readouterr().out


def test_networks_are_scaled_and_the_pool_is_judged_on_validation_images(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scaled = ["--epochs", "1", "--filters", "4", "--repeats", "1", "--pool", "3", "--trials", "1"]
    assert main(["retrain", str(run), *scaled]) == 0
    said = capsys.readouterr().out
    env = ma2ml_env.make("ma2ml/digits-v0", **SMALL | {"filters": 4, "repeats": 1})
    pool = ranked_trials(TrialStore(run / "trials.db").load(env.decode), run)[:3]
    stored = TrialStore(run / f"pool-{env.definition}.db").load(env.decode)
    assert [trial.pipeline for trial in stored] == [trial.pipeline for trial in pool]
    winner = max(stored, key=lambda trial: trial.result.accuracy)
    assert rows(run)[-1]["key"] == winner.pipeline.key
    assert f"{env.cost(winner.pipeline).params / 1e6:.3f}" in said


def test_finalists_are_ranked_first_by_their_evaluations_after_the_search(run: Path) -> None:
    env = ma2ml_env.make("ma2ml/digits-v0", **SMALL)
    trials = TrialStore(run / "trials.db").load(env.decode)
    finals = TrialStore(run / "finalists.db").load(env.decode)
    expected = [trial.pipeline for trial in sorted(finals, key=lambda trial: -trial.reward)]
    ranked = [trial.pipeline for trial in ranked_trials(trials, run)]
    assert ranked[:2] == expected
    assert len(ranked) == len({trial.pipeline for trial in trials})
    assert {p.key for p in ranked} == {trial.pipeline.key for trial in ranked_trials(trials)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--trial", "99"], "holds no trial 99; it holds 3, from 0"),
        (["--top", "0"], "top must be at least 1, not 0"),
        (["--epochs", "0"], "epochs must be at least 1, not 0"),
        (["--pool", "1", "--top", "2"], "a pool of 1 pipelines is smaller than the 2"),
        (["--trial", "0", "--pool", "3"], "give one of them"),
    ],
)
def test_mistakes_are_one_line(run: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrain", str(run), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_runs_without_networks_or_without_such_a_size_or_damaged_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["train", "--env", "ma2ml/synthetic-v0", "--algo", "random_search", "--budget", "3"]
    assert main([*quick, "--out", str(tmp_path / "quick")]) == 0
    assert main(["retrain", str(tmp_path / "quick")]) == 2
    assert "trains no networks" in capsys.readouterr().err
    assert main(["retrain", str(tmp_path / "none")]) == 2
    assert "holds no config.json" in capsys.readouterr().err
    environment = asdict(registry.entry("ma2ml/cifar10-16px-v0"))
    (tmp_path / "config.json").write_text(json.dumps({"run": {"environment": environment}}))
    assert main(["retrain", str(tmp_path), "--filters", "32"]) == 2
    assert "--filters does not apply: the networks of ma2ml/cifar10-16px-v0 are of kind" in capsys.readouterr().err
    assert main(["retrain", str(tmp_path)]) == 2
    assert "there are no trials in" in capsys.readouterr().err


def test_the_spread_is_that_of_a_sample() -> None:
    assert mean_and_spread([0.97, 0.98, 0.99]) == "98.00 ± 1.00 %"
    assert mean_and_spread([0.97]) == "97.00 %"
    assert mean_and_spread([]) == "none"
