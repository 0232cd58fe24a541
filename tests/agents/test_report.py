"""What a search found, in words and figures; and where its numbers go."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ma2ml_agents.runs.loggers import check_loggers, make_loggers
from ma2ml_agents.runs.progress import SearchProgress
from ma2ml_agents.runs.report import batch_means, best_in_words, draw_figures, top_k_curve
from ma2ml_env import Pipeline, Result, Trial


def trial(number: int, reward: float, choice: int | None = None, error: str | None = None) -> Trial:
    chosen = number if choice is None else choice
    return Trial(number, 0, Pipeline({"a": (chosen,)}, {"a": {"x": chosen}}), Result(reward, 1, 1, 0.1, error), reward)


TRIALS = [trial(0, 0.2), trial(1, 0.8), trial(2, 0.4), trial(3, 0.8, choice=1), trial(4, 0.6)]


def test_the_top_k_curve_takes_the_best_distinct_pipelines_so_far() -> None:
    assert top_k_curve(TRIALS, batch_size=2, k=2) == pytest.approx([(0.2 + 0.8) / 2, (0.8 + 0.4) / 2, (0.8 + 0.6) / 2])


def test_batch_means_are_those_of_all_trials_in_the_order_of_their_numbers() -> None:
    assert batch_means(TRIALS[::-1], batch_size=2) == pytest.approx([0.5, 0.6, 0.6])


def test_both_figures_are_pictures(tmp_path: Path) -> None:
    files = draw_figures(TRIALS, 2, tmp_path, "a title")
    assert [file.name for file in files] == ["top_reward.png", "batch_reward.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_the_best_pipelines_are_told_best_first_and_once() -> None:
    said = best_in_words(TRIALS, count=3)
    assert [line for line in said.splitlines() if line.startswith("pipeline")] == [
        str(t).splitlines()[0] for t in (TRIALS[1], TRIALS[4], TRIALS[2])
    ]


def test_a_search_in_which_all_failed_says_why() -> None:
    said = best_in_words([trial(0, 0.0, error="out of memory"), trial(1, 0.0, error="the loss is nan")])
    assert "out of memory" in said
    assert "the loss is nan" in said


def test_progress_away_from_a_terminal_is_about_ten_plain_lines() -> None:
    text = io.StringIO()
    with SearchProgress(40, Console(file=text)) as progress:
        for number in range(40):
            progress.show(trial(number, number / 100, error="broken" if number == 3 else None), fresh=True)
    lines = text.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("40/40 pipelines, best reward 0.3900, accuracy 39.00%")
    assert lines[-1].endswith("1 failed")
    assert "\x1b" not in text.getvalue()


def test_stored_trials_count_as_done_but_not_in_the_seconds_a_pipeline() -> None:
    text = io.StringIO()
    with SearchProgress(4, Console(file=text)) as progress:
        for t in TRIALS[:3]:
            progress.show(t, fresh=False)
        assert "s a pipeline" not in text.getvalue()
        progress.show(TRIALS[3], fresh=True)
    assert text.getvalue().splitlines()[-1].startswith("4/4 pipelines")
    assert "s a pipeline" in text.getvalue()


def test_a_notice_is_shown_as_it_is() -> None:
    text = io.StringIO()
    SearchProgress(4, Console(file=text)).notice("the checkpoint /runs/[bold]/[/x is damaged")
    assert text.getvalue() == "note: the checkpoint /runs/[bold]/[/x is damaged\n"


def test_progress_on_a_terminal_is_a_bar_with_budget_and_best() -> None:
    text = io.StringIO()
    with SearchProgress(4, Console(file=text, force_terminal=True, width=160)) as progress:
        for t in TRIALS[:4]:
            progress.show(t, fresh=True)
    assert "4/4" in text.getvalue()
    assert "best reward 0.8000" in text.getvalue()


def test_tensorboard_writes_what_is_logged(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (logger,) = make_loggers(["tensorboard"], tmp_path, {"algo": "x"})
    logger.log(10, {"reward": 0.25})
    logger.log(20, {"reward": 0.5})
    logger.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward")] == [(10, 0.25), (20, 0.5)]


def test_wandb_works_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    (logger,) = make_loggers(["wandb"], tmp_path, {"algo": "x"})
    logger.log(10, {"reward": 0.25})
    logger.close()
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_a_logger_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[tensorboard\]'"):
        check_loggers(["tensorboard"])


@pytest.mark.parametrize(("names", "says"), [(["wandbb"], "did you mean 'wandb'"), (["wandb", "wandb"], "twice")])
def test_an_unknown_or_repeated_logger_is_refused(names: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_loggers(names)
