"""The picture of the best pipeline: its file, and what loggers receive of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import ma2ml_env
from ma2ml_agents.runs.loggers import SearchLog
from ma2ml_agents.runs.report import draw_best
from ma2ml_env import Result, Trial

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_the_file_holds_the_drawing_of_the_pipeline_on_the_tasks_own_images(tmp_path: Path) -> None:
    env = ma2ml_env.make("ma2ml/digits-v0", render_mode="rgb_array")
    pipeline = env.decode({agent: space.default for agent, space in env.search_spaces.items()})
    trial = Trial(3, 0, pipeline, Result(0.9, 1e6, 1e4, 1.0), 0.9)
    file, pixels = draw_best(env, trial, tmp_path)
    assert file == tmp_path / "best.png"
    assert (np.rint(255 * imread(file)[..., :3]).astype(np.uint8) == pixels).all()
    env.last_trial = trial
    assert (env.render() == pixels).all()
    assert [path.name for path in tmp_path.iterdir()] == ["best.png"]


def test_tensorboard_receives_the_picture_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        log = SearchLog(["tensorboard"], tmp_path, {}, notice=print)
        log.log(10, {"reward": 0.5})
        log.image(10, "best", PIXELS)
        log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (image,) = events.Images("best")
    assert (image.step, image.height, image.width) == (10, 4, 6)


def test_wandb_receives_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    notices: list[str] = []
    log = SearchLog(["wandb"], tmp_path, {}, notices.append)
    log.image(10, "best", PIXELS)
    log.close()
    assert notices == []
    (file,) = tmp_path.glob("wandb/offline-run-*/files/media/images/best*.png")
    assert (np.rint(255 * imread(file)[..., :3]).astype(np.uint8) == PIXELS).all()
