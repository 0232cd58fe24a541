"""The command `ma2ml benchmark`: grid files, options, mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_grids import ENV

from ma2ml_agents.commands import main

pytestmark = pytest.mark.usefixtures("few_repetitions")


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
    assert main(["benchmark", "--report-only", "--no-figures", "--out", str(out)]) == 0
    assert "![" not in (out / "results.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --algos, --grid or --logs"),
        (["--algos", "random_search"], "at least one environment"),
        (["--algos", "nonsense", "--env", ENV], "unknown learner 'nonsense'"),
        (["--env", ENV, "--algos", "random_search", "--set", "noise"], "NAME=VALUE"),
        (["--grid", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--report-only"], "contains no benchmark"),
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
