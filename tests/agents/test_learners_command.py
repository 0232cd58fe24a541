"""`ma2ml learners`, and presets on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ma2ml_agents.commands import main
from ma2ml_agents.commands.learners import rows
from ma2ml_agents.commands.train_options import parse_train
from ma2ml_agents.learners import learner_class, learner_names, make_config, preset_names
from ma2ml_env.errors import MA2MLError


def test_every_learner_and_every_preset_has_one_row() -> None:
    names = [row[0] for row in rows()]
    assert sorted(names) == sorted({*learner_names(), *preset_names()})
    assert all(all(row) for row in rows()), "no cell is empty"


def test_a_row_names_the_presets_that_can_be_asked_for() -> None:
    for name, _, _, presets, _ in rows():
        for kind in ("published", "tuned"):
            if kind in presets:
                assert isinstance(make_config(name, {}, kind), learner_class(name).Config)


@pytest.mark.parametrize("preset", ["published", "tuned"])
def test_a_preset_is_the_default_of_the_settings_and_a_flag_overrides_it(preset: str) -> None:
    flags = ["--algo", "amoebanet", "--preset", preset]
    assert parse_train(flags, "train").config == make_config("amoebanet", {}, preset)
    changed = parse_train([*flags, "--sample", "7"], "train").config
    assert changed == make_config("amoebanet", {"sample": 7}, preset)


def test_a_preset_that_does_not_exist_is_refused() -> None:
    with pytest.raises(MA2MLError, match="published"):
        parse_train(["--algo", "mnasnet", "--preset", "published"], "train")


def test_a_run_of_a_system_by_name_keeps_the_settings_of_its_preset(tmp_path: Path) -> None:
    arguments = ["train", "--algo", "amoebanet", "--preset", "published", "--env", "ma2ml/synthetic-v0"]
    assert main([*arguments, "--budget", "5", "--out", str(tmp_path)]) == 0
    settings = json.loads((tmp_path / "config.json").read_text())["run"]["settings"]
    assert (settings["population"], settings["sample"]) == (100, 25)


def test_the_command_prints_the_systems(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["learners"]) == 0
    assert "AmoebaNet (Real et al., 2019)" in capsys.readouterr().out
