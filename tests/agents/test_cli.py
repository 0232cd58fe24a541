"""The command line: what it makes, and what it says to a mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import filelock
import numpy as np
import pytest
from PIL import Image

from ma2ml_agents.commands import main
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training.loop import DivergedError

ROOT = Path(__file__).parent.parent.parent
QUICK = ["train", "--env", "ma2ml/synthetic-v0", "--algo", "random_search", "--budget", "12"]
DIGITS = ["train", "--algo", "regularized_evolution", "--budget", "12", "--set", "epochs=1", "retrain_epochs=1"]


def run(*arguments: str, out: Path) -> int:
    try:
        return main([*arguments, "--out", str(out)])
    except SystemExit as end:
        return int(end.code or 0)


def table(out: Path) -> list[tuple]:
    connection = sqlite3.connect(out / "trials.db")
    rows = connection.execute(
        "SELECT number, seed, action, accuracy, reward, state FROM trials ORDER BY number"
    ).fetchall()
    connection.close()
    return rows


def test_a_run_leaves_what_the_readme_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*QUICK, out=tmp_path / "run") == 0
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "trials.db", "checkpoint", "top_reward.png", "batch_reward.png", "result.json"} <= names
    assert {"best.png", "leaderboard.csv"} <= names
    rows = table(tmp_path / "run")
    assert [row[0] for row in rows] == list(range(12))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["reward"] == max(row[4] for row in rows)
    said = capsys.readouterr().out
    assert "12/12 pipelines" in said
    assert "\x1b" not in said, "control characters where there is no terminal"


def test_the_same_command_again_changes_nothing_and_a_larger_budget_goes_on(tmp_path: Path) -> None:
    for budget in ("12", "12", "20"):
        assert run(*QUICK[:-1], budget, out=tmp_path / "run") == 0
    assert run(*QUICK[:-1], "20", out=tmp_path / "whole") == 0
    assert table(tmp_path / "run") == table(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--algo", "ma2mll"], "did you mean 'ma2ml'"),
        (["--algo", "no_module:X"], "no_module"),
        (["--env", "ma2ml/digit-v0"], "did you mean 'ma2ml/digits-v0'"),
        (["--log", "wandbb"], "did you mean 'wandb'"),
        (["--set", "nois=1"], "did you mean 'noise'"),
        (["--set", "noise"], "NAME=VALUE"),
        (["--set", "noise=["], "YAML"),
        (["--set", "structure_seed=abc"], "valid integer"),
        (["--budget", "0"], "budget must be at least 1"),
        (["--budget", "many"], "--budget"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--window", "0"], "window must be at least 1"),
        (["--time-limit", "-1"], "time_limit must be a duration such as 90s, 30m, 2h"),
        (["--time-limit", "nan"], "time_limit must be a duration"),
        (["--time-limit", "0m"], "time_limit must be above 0 seconds, not '0m'"),
        (["--finalists", "-1"], "finalists must be at least 0, not -1"),
        (["--finalist-trials", "0"], "finalist_trials must be at least 1, not 0"),
        (["--finalists", "6"], "6 finalists of 2 evaluations each leave nothing of a budget of 12"),
        (["--timeout", "0"], "timeout must be above 0"),
        (["--seed", "-1"], "a seed is a whole number from 0 to 2**63 - 1, not -1"),
        (["--seed", str(2**63)], "a seed is a whole number from 0 to 2**63 - 1"),
        (["--algo", "ma2ml_lite", "--batch-size", "0"], "batch_size"),
        (["--algo", "ma2ml", "--critic-step", "3"], "--critic-steps"),
        (["--registry", "/no/such/file.yaml"], "/no/such/file.yaml"),
    ],
)
def test_a_mistake_is_one_message_code_2_and_nothing_written(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*QUICK, *arguments, out=tmp_path / "run") == 2
    said = capsys.readouterr()
    assert says in said.err + said.out
    assert "Traceback" not in said.err
    assert not (tmp_path / "run").exists()


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "did you mean 'train'" in capsys.readouterr().err


def test_a_folder_of_another_run_is_refused_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(*QUICK, out=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()}
    assert run(*QUICK, "--seed", "1", out=tmp_path) == 2
    assert "seed is 0 there, 1 here" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()} == before


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_the_place_of_the_folder_is_refused(
    below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert run(*QUICK, out=tmp_path / "file" / below) == 2
    assert f"{tmp_path / 'file'} is a file, not a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_use_is_refused_with_the_pid_of_its_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*QUICK, out=tmp_path)
    with filelock.FileLock(tmp_path / "lock"):
        assert run(*QUICK, out=tmp_path) == 2
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err


def test_brackets_in_a_path_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "[bold]" / "[" / "run]"
    assert run(*QUICK, out=out) == 0
    assert f"in {out}\n" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["truncated", "garbage", "flipped", "config"])
def test_damage_is_told_and_never_overwritten(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(*QUICK, out=tmp_path)
    file = tmp_path / ("config.json" if damage == "config" else "trials.db")
    content = file.read_bytes()
    position = content.find(b'{"aug": [') + len(b'{"aug": [')
    broken = {
        "truncated": content[: len(content) // 2],
        "garbage": bytes(np.random.default_rng(0).integers(0, 256, len(content), dtype=np.uint8)),
        "flipped": content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :],
        "config": b"{",
    }[damage]
    file.write_bytes(broken)
    assert run(*QUICK, out=tmp_path) == 2
    assert "damaged" in capsys.readouterr().err
    assert file.read_bytes() == broken


def test_help_shows_the_settings_of_the_chosen_learner(capsys: pytest.CaptureFixture[str]) -> None:
    for algo, setting in (("ma2ml", "--kl-coef"), ("regularized_evolution", "--population")):
        with pytest.raises(SystemExit, match="0"):
            main(["train", "--algo", algo, "--help"])
        said = capsys.readouterr().out
        assert setting in said
        assert "Source:" not in said


def test_envs_lists_every_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envs"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("ma2ml/digits-v0", "ma2ml/digits-flops-v0", "ma2ml/synthetic-v0"))


def started(out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train.py"), *DIGITS[1:], "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c)


def _hear_ctrl_c() -> None:
    """A program started from a background job inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for_trials(out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (out / "trials.db").exists() and len(table_or_nothing(out)) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("no trial in two minutes")


def table_or_nothing(out: Path) -> list[tuple]:
    try:
        return table(out)
    except sqlite3.Error:
        return []


def test_a_real_run_that_is_killed_stopped_and_resumed_ends_as_one_that_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL, then SIGTERM, then SIGINT, then the end."""
    out = tmp_path / "run"
    kept: list[tuple] = []
    for stop in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = started(out)
        wait_for_trials(out, len(kept) + 1)
        os.kill(process.pid, stop)
        _, errors = process.communicate(timeout=60)
        if stop != signal.SIGKILL:
            assert process.returncode == 130
            assert "the same command resumes" in errors
            assert "Traceback" not in errors
        assert set(kept) <= set(table(out)), "lost or changed"
        kept = table(out)
    assert run(*DIGITS, out=out) == 0
    said = capsys.readouterr().out
    assert run(*DIGITS, "--workers", "1", out=tmp_path / "whole") == 0
    assert table(out) == table(tmp_path / "whole")
    assert set(kept) <= set(table(out)), "lost or changed"
    _check_the_printed_model_lines(said, tmp_path)


def _check_the_printed_model_lines(said: str, folder: Path) -> None:
    lines = re.findall(r"^    (from ma2ml_env .*|model = .*|print.*)$", said, flags=re.MULTILINE)
    assert len(lines) == 3
    Image.fromarray(Digits().load().test.pixels[0, 0].numpy()).save(folder / "picture.png")
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\['\d'\]", done.stdout.strip())


def test_a_warm_start_is_what_it_was_when_the_run_began(tmp_path: Path) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    quick = ("train", "--algo", "random_search", "--env", "ma2ml/synthetic-v0")
    assert run(*quick, "--budget", "30", out=other) == 0
    start = (*quick, "--seed", "1", "--warm-start", str(other / "trials.db"))
    assert run(*start, "--budget", "22", out=mine) == 0
    before = table(mine)
    assert run(*quick, "--budget", "60", out=other) == 0
    assert run(*start, "--budget", "25", out=mine) == 0, "the other run has grown, this one goes on as it began"
    assert table(mine)[:22] == before


def test_a_failed_final_training_leaves_the_result_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*arguments: object, **options: object) -> None:
        raise DivergedError("the loss is nan after epoch 1 of 20")

    monkeypatch.setattr(TrainEvaluator, "retrain_observed", diverge)
    small = ("--set", "epochs=1", "filters=2", "--executor", "inline")
    assert run("train", "--algo", "random_search", "--budget", "1", *small, out=tmp_path) == 0
    assert "failed, so there is no model: the loss is nan" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["trial"] == 0
