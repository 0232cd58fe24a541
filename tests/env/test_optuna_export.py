"""A trial log becomes an Optuna study that Optuna's own tools read."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pytest

import ma2ml_env
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.errors import MA2MLError
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialLogError, TrialStore

SPACE = SearchSpace((Decision("depth", (1, 2, 4)), Decision("stem", (("a", 1), ("b", 2)))), dict)


def logged(folder: Path) -> tuple[TrialStore, AutoMLEnv]:
    def evaluate(pipeline, *, seed):
        depth = pipeline["nas"]["depth"]
        error = "out of memory" if depth == 4 else None
        return Result(depth / 5, depth * 10, depth, 2.0, error, curve=(depth / 10, depth / 5))

    store = TrialStore(folder / "demo" / "trials.db")
    env = AutoMLEnv({"nas": SPACE}, evaluate, accuracy, record=store.append)
    for action in ((0, 0), (1, 1), (2, 0)):
        env.reset()
        env.step({"nas": action})
    return store, env


@pytest.mark.parametrize("named", [True, False])
def test_a_study_holds_what_the_log_holds(named: bool, tmp_path: Path) -> None:
    store, env = logged(tmp_path)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    name = store.to_optuna(url, env.search_spaces if named else None)
    study = optuna.load_study(study_name=name, storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert study.best_trial.number == 1
    assert study.best_value == pytest.approx(0.4)
    first = study.trials[0]
    assert first.params == ({"nas.depth": 1, "nas.stem": "('a', 1)"} if named else {"nas.0": 0, "nas.1": 0})
    assert first.intermediate_values == {1: 0.1, 2: 0.2}
    assert first.user_attrs["flops"] == 10
    assert study.trials[2].user_attrs["error"] == "out of memory"
    assert first.duration is not None
    assert first.duration.total_seconds() == pytest.approx(2.0)


def test_optunas_importances_can_be_computed_from_it(tmp_path: Path) -> None:
    store, env = logged(tmp_path)
    study = optuna.load_study(
        study_name=store.to_optuna(url := f"sqlite:///{tmp_path / 'study.db'}", env.search_spaces), storage=url
    )
    assert set(optuna.importance.get_param_importances(study)) == {"nas.depth", "nas.stem"}


def test_a_second_export_adds_what_has_come_since_and_other_trials_need_another_name(tmp_path: Path) -> None:
    store, env = logged(tmp_path)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    assert ma2ml_env.to_optuna(store.path, url, env.search_spaces) == "demo"
    env.reset()
    env.step({"nas": (0, 1)})
    assert ma2ml_env.to_optuna(store, url, env.search_spaces) == "demo"
    held = optuna.load_study(study_name="demo", storage=url).trials
    assert [trial.number for trial in held] == [0, 1, 2, 3]
    assert [trial.user_attrs["key"] for trial in held] == [row["key"] for row in store.rows()]
    other, env = logged(tmp_path / "other")
    env.reset(seed=5)
    env.step({"nas": (2, 1)})
    with pytest.raises(MA2MLError, match=r"the study 'demo' .* holds other trials; choose another name"):
        ma2ml_env.to_optuna(other, url, env.search_spaces)
    assert ma2ml_env.to_optuna(other, url, env.search_spaces, name="mine") == "mine"


def test_what_cannot_be_exported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = logged(tmp_path)
    with pytest.raises(TrialLogError, match="no trial log"):
        TrialStore(tmp_path / "missing.db").to_optuna("sqlite://")
    url = f"sqlite:///{tmp_path / 'study.db'}"
    store.to_optuna(url)
    with pytest.raises(ValueError, match="cannot export"):
        store.to_optuna("nosuchdatabase://")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[optuna\]'"):
        store.to_optuna(url)
