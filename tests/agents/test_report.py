"""What a search found, in words and figures; and where its numbers go."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ma2ml_agents.runs import loggers
from ma2ml_agents.runs.loggers import SearchLog, TensorBoardLogger, WandbLogger, check_loggers
from ma2ml_agents.runs.progress import SearchProgress
from ma2ml_agents.runs.report import batch_means, best_curve, best_in_words, draw_figures, top_k_curve
from ma2ml_env import Pipeline, Result, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import top_k_mean


def trial(number: int, reward: float, choice: int | None = None, error: str | None = None) -> Trial:
    chosen = number if choice is None else choice
    return Trial(number, 0, Pipeline({"a": (chosen,)}, {"a": {"x": chosen}}), Result(reward, 1, 1, 0.1, error), reward)


TRIALS = [trial(0, 0.2), trial(1, 0.8), trial(2, 0.4), trial(3, 0.8, choice=1), trial(4, 0.6)]


def test_the_top_k_curve_takes_the_best_distinct_pipelines_so_far_once_there_are_k() -> None:
    curve = top_k_curve(TRIALS[::-1], k=2)
    assert curve[1:] == pytest.approx([(0.2 + 0.8) / 2, (0.8 + 0.4) / 2, (0.8 + 0.4) / 2, (0.8 + 0.6) / 2])
    assert math.isnan(curve[0])


def test_the_last_point_of_the_top_k_curve_is_the_mean_of_the_ranking() -> None:
    many = [trial(number, (number * 7 % 31) / 31, choice=number * 5 % 23) for number in range(60)]
    assert top_k_curve(many, k=5)[-1] == pytest.approx(top_k_mean(many, 5))


def test_the_best_so_far_leaves_failures_out() -> None:
    curve = best_curve([trial(0, 0.9, error="broken"), trial(1, 0.2), trial(2, 0.1), trial(3, 0.3)])
    assert curve[1:] == [0.2, 0.2, 0.3]
    assert math.isnan(curve[0])


def test_batch_means_are_those_of_all_trials_in_the_order_of_their_numbers() -> None:
    assert batch_means(TRIALS[::-1], batch_size=2) == pytest.approx([0.5, 0.6, 0.6])


def test_both_figures_are_pictures(tmp_path: Path) -> None:
    files = draw_figures(TRIALS, 2, tmp_path, "a title")
    assert [file.name for file in files] == ["top_reward.png", "batch_reward.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_a_search_in_which_all_failed_has_figures_too(tmp_path: Path) -> None:
    assert len(draw_figures([trial(0, 0.0, error="out of memory")], 2, tmp_path, "a title")) == 2


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


def test_an_evaluation_that_takes_long_has_a_plain_line_of_its_own() -> None:
    text = io.StringIO()
    with SearchProgress(40, Console(file=text, width=30), limit=lambda trials: 100.0 - len(trials)) as progress:
        progress.show(slow(0, 60.0), fresh=False)
        progress.show(slow(2, 60.0), fresh=True)
        failed = slow(1, 7.0)
        progress.show(replace(failed, result=replace(failed.result, error="out of memory")), fresh=True)
        paid = slow(3, 60.0)
        progress.show(replace(paid, reward=0.9), fresh=True)
    first, second, third = text.getvalue().splitlines()
    assert first == "pipeline 2 (2/40): accuracy 50.00%, best so far 50.00%, 60.0 s, 0:01:38 left"
    assert second == "pipeline 1 (3/40): failed: out of memory, 7.0 s, 0:01:37 left"
    assert third.startswith("pipeline 3 (4/40): accuracy 50.00%, reward 0.9000, best so far reward 0.9000, 60.0 s")


def slow(number: int, seconds: float) -> Trial:
    done = trial(number, 0.5)
    return replace(done, result=replace(done.result, seconds=seconds))


def test_the_time_left_is_the_remaining_pipelines_at_the_mean_over_the_workers() -> None:
    with SearchProgress(10, Console(file=io.StringIO()), workers=4) as progress:
        assert progress.seconds_left() is None
        assert progress.summary() == "starting 4 workers"
        progress.show(slow(0, 30.0), fresh=True)
        progress.show(slow(1, 90.0), fresh=True)
        assert progress.seconds_left() == pytest.approx((10 - 2) * 60.0 / 4)


def test_the_time_left_is_known_right_after_a_resume() -> None:
    text = io.StringIO()
    with SearchProgress(3, Console(file=text)) as progress:
        for number in range(2):
            progress.show(slow(number, 60.0), fresh=False)
    assert progress.seconds_left() == pytest.approx(60.0)
    assert "60.0 s per pipeline, 0:01:00 left" in text.getvalue()


def test_a_repeated_pipeline_takes_no_time() -> None:
    progress = SearchProgress(8, Console(file=io.StringIO()))
    for _ in range(4):
        progress.show(slow(0, 60.0), fresh=True)
    assert progress.seconds_left() == pytest.approx(4 * 60.0 / 4)


def test_a_simulated_clock_does_not_predict_the_time_left() -> None:
    progress = SearchProgress(2, Console(file=io.StringIO()), simulated=True)
    progress.show(slow(0, 1e6), fresh=False)
    assert progress.seconds_left() is None
    progress.show(slow(1, 1e6), fresh=True)
    assert progress.seconds_per_pipeline() < 1e3


def test_a_pipeline_that_costs_too_much_is_too_large_and_not_failed() -> None:
    large = trial(0, 0.0, error="infeasible: 9 parameters, more than 8")
    progress = SearchProgress(2, Console(file=io.StringIO()))
    progress.show(replace(large, result=replace(large.result, infeasible=True)), fresh=True)
    assert progress.summary().endswith(", 1 too large")


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


def test_tensorboard_writes_what_is_logged_and_every_step_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def session(*steps: int) -> None:
        log = SearchLog(["tensorboard"], tmp_path, {"algo": "x"}, notice=print)
        for step in steps:
            log.log(step, {"reward": step / 40})
        log.close()

    session(10, 20)
    session(10, 20, 30)  # a resumed search reports all its updates again
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward")] == [(10, 0.25), (20, 0.5), (30, 0.75)]


def test_wandb_works_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for _ in range(2):
        logger = WandbLogger(tmp_path, {"algo": "x"})
        logger.log(10, {"reward": 0.25})
        logger.close()
    run_id = (tmp_path / "wandb_id").read_text()
    assert len(list(tmp_path.glob(f"wandb/offline-run-*/run-{run_id}.wandb"))) >= 1
    assert {path.stem for path in tmp_path.glob("wandb/offline-run-*/run-*.wandb")} == {f"run-{run_id}"}


def test_runs_of_the_same_path_have_ids_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    ids = set()
    for _ in range(2):
        WandbLogger(tmp_path, {}).close()
        ids.add((tmp_path / "wandb_id").read_text())
        (tmp_path / "wandb_id").unlink()
    assert len(ids) == 2


def test_wandb_without_a_key_is_one_line_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def refuse(**options: object) -> bool:
        raise wandb.errors.UsageError("No API key configured. Use `wandb login` to log in.")

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb, "login", refuse)
    with pytest.raises(MA2MLError, match=r"No API key configured.*WANDB_MODE=offline"):
        check_loggers(["wandb"])


def test_a_logger_that_fails_is_given_up_with_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(TensorBoardLogger):
        def log(self, step: int, numbers: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setitem(loggers.LOGGERS, "tensorboard", Full)
    notices: list[str] = []
    log = SearchLog(["tensorboard"], tmp_path, {}, notices.append)
    assert log
    for step in (1, 2):
        log.log(step, {"reward": 0.5})
    log.close()
    assert not log
    assert len(notices) == 1
    assert "No space left on device" in notices[0]


def test_a_logger_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'ma2ml-env\[tensorboard\]'"):
        check_loggers(["tensorboard"])


@pytest.mark.parametrize(("names", "says"), [(["wandbb"], "did you mean 'wandb'"), (["wandb", "wandb"], "twice")])
def test_an_unknown_or_repeated_logger_is_refused(names: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_loggers(names)
