"""The report as one HTML file: its content, its escaping, and the command that writes it."""

from __future__ import annotations

import json
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stored_runs import MARKUP, some_trials, store_run, trial

import ma2ml_env
from ma2ml_agents import RandomSearch, agent_specs, run_search
from ma2ml_agents.commands import main
from ma2ml_agents.html_report.columns import columns
from ma2ml_agents.html_report.extras import extras
from ma2ml_agents.html_report.page import embedded_json, report_data, report_page
from ma2ml_agents.html_report.run import Run
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import TrialStore

ENV = "ma2ml/digits-surrogate-v0"


def data_of(page: str) -> dict[str, Any]:
    """The data that a page contains."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return dict(json.loads(found[0]))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    with closing(TrialStore(folder / "trials.db")) as store:
        return store.rows()


def test_columns_give_back_every_line_of_every_pipeline(tmp_path: Path) -> None:
    rows = rows_of(store_run(tmp_path, some_trials()))
    found = columns(rows)
    for i, row in enumerate(rows):
        words = [found["lines"][index] for index in found["words"][i]]
        assert words == [line for line in row["pipeline"].splitlines() if line.strip()]
        assert found["number"][i] == row["number"]
        assert found["reward"][i] == pytest.approx(row["reward"], rel=1e-5)
        assert (None if found["error"][i] is None else found["lines"][found["error"][i]]) == row["error"]


def test_lines_that_pipelines_share_stand_once(tmp_path: Path) -> None:
    found = columns(rows_of(store_run(tmp_path, [trial(number, 0.5, choice=1) for number in range(9)])))
    assert len(found["lines"]) == len(set(found["lines"])) == len(found["words"][0])


def test_no_text_of_the_user_can_end_the_script_element(tmp_path: Path) -> None:
    page = report_page(report_data([Run.find(store_run(tmp_path, some_trials()))]))
    assert MARKUP not in page
    assert "<img" not in page
    assert page.count("</script>") == 2
    data = data_of(page)
    assert any(MARKUP in line for line in data["runs"][0]["trials"]["lines"])
    assert ["version", MARKUP] in data["runs"][0]["config"]


def test_a_name_of_a_folder_is_escaped_in_the_title(tmp_path: Path) -> None:
    page = report_page(report_data([Run.find(store_run(tmp_path / "<b>&x", some_trials()))]))
    assert "<title>&lt;b&gt;&amp;x - ma2ml report</title>" in page


def test_embedded_json_is_the_same_value() -> None:
    value = {"text": "<>&\u2028'\"\\ {{script}} \ud800", "numbers": [1, 0.5, None]}
    text = embedded_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_the_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = report_page(report_data([Run.find(store_run(tmp_path, some_trials()))]))
    assert not re.search(r"(src|href)=\"(?!data:)", page.partition('id="data"')[0])
    assert "default-src &#x27;none&#x27;" in page
    assert "http://" not in page.replace(MARKUP, "")
    assert "https://" not in page


def test_a_run_whose_environment_cannot_be_made_has_a_report_with_the_reason(tmp_path: Path) -> None:
    (run,) = report_data([Run.find(store_run(tmp_path, some_trials()))])["runs"]
    assert len(run["trials"]["number"]) == 40
    assert run["pictures"] == []
    assert run["importance"] is None
    assert "damaged or not a run's" in run["importance_note"]


def test_a_run_without_a_configuration_has_a_report(tmp_path: Path) -> None:
    (run,) = report_data([Run.find(store_run(tmp_path, some_trials(), budget=None))])["runs"]
    assert (run["env"], run["budget"], run["config"]) == (None, None, [])
    assert run["batch"] == 5


@pytest.mark.parametrize(
    ("text", "accuracy"),
    [('{"test_accuracy": 0.75}', 0.75), ('{"test_accuracy": []}', None), ("{}", None), ("[]", None), ("{", None)],
)
def test_the_test_accuracy_of_the_final_model_is_shown_where_there_is_one(
    text: str, accuracy: float | None, tmp_path: Path
) -> None:
    run = Run.find(store_run(tmp_path, some_trials()))
    assert run.about()["test_accuracy"] is None
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    assert run.about()["test_accuracy"] == accuracy


def test_the_winner_has_its_expected_accuracy_and_interval(tmp_path: Path) -> None:
    run = Run.find(store_run(tmp_path, some_trials()))
    assert set(run.about()["winner"].values()) == {None}
    chosen = {"accuracy": 0.9, "expected_accuracy": 0.85, "interval": [0.8, 0.9]}
    (tmp_path / "result.json").write_text(json.dumps({"trial": 3, **chosen}), encoding="utf-8")
    assert run.about()["winner"] == chosen


def test_batches_of_one_are_shown_in_tens(tmp_path: Path) -> None:
    assert Run.find(store_run(tmp_path, some_trials(), batch_size=1)).batch_size() == 10


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched")
    env = ma2ml_env.make(ENV)
    run_search(env, RandomSearch(agent_specs(env), seed=0), budget=60, out=folder)
    return folder


def test_the_best_pipelines_are_drawn_and_importance_is_computed(searched: Path) -> None:
    found = extras(Run.find(searched), ma2ml_env.make(ENV))
    rows = sorted(rows_of(searched), key=lambda row: -row["reward"])
    assert [picture["number"] for picture in found["pictures"]] == [row["number"] for row in rows[:3]]
    assert all(picture["image"].startswith("data:image/png;base64,iVBOR") for picture in found["pictures"])
    assert found["pictures_note"] is None
    assert sum(effect["share"] for effect in found["importance"]["agents"].values()) == pytest.approx(1)


def test_too_few_trials_for_importance_are_reported_in_a_sentence(tmp_path: Path) -> None:
    env = ma2ml_env.make(ENV)
    run_search(env, RandomSearch(agent_specs(env), seed=0), budget=3, out=tmp_path)
    found = extras(Run.find(tmp_path), env)
    assert found["importance"] is None
    assert found["importance_note"].startswith("Importance requires the results of at least")


def test_without_lightgbm_the_report_names_the_extra(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    found = extras(Run.find(searched), ma2ml_env.make(ENV))
    assert found["importance"] is None
    assert "pip install 'ma2ml-env[surrogate]'" in found["importance_note"]
    assert len(found["pictures"]) == 3


def test_runs_of_one_name_are_told_apart_by_their_parents(tmp_path: Path) -> None:
    runs = [Run.find(store_run(tmp_path / parent / "demo", some_trials())) for parent in ("a", "b")]
    assert [run["name"] for run in report_data(runs)["runs"]] == ["a/demo", "b/demo"]


def test_the_command_writes_one_file_about_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(store_run(tmp_path / name, some_trials())) for name in ("first", "second")]
    assert main(["report", *runs]) == 0
    written = tmp_path / "first" / "report.html"
    assert capsys.readouterr().out.strip() == str(written)
    assert [run["name"] for run in data_of(written.read_text("utf-8"))["runs"]] == ["first", "second"]
    assert main(["report", runs[0], "--out", str(tmp_path / "new" / "page.html")]) == 0
    assert (tmp_path / "new" / "page.html").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "at least one run"),
        (["{}/none"], "no run at"),
        (["{}"], "the folder holds no trials.db"),
        (["{}/run", "--out", "{}/run/trials.db/x.html"], "cannot write"),
        (["{}/run", "--set", "a=1"], "name it by --env"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run(tmp_path / "run", some_trials())
    assert main(["report", *(argument.format(tmp_path) for argument in arguments)]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def test_a_damaged_configuration_is_reported(tmp_path: Path) -> None:
    folder = store_run(tmp_path, some_trials())
    for text in ("{", "[]", '{"run": []}', '{"options": 1}', '{"run": {"environment": "x"}}'):
        (folder / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(MA2MLError, match=r"config\.json"):
            Run.find(folder)
