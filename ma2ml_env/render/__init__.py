"""The last trial of an environment as a picture: a column per agent, and the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.evaluator import Illustrated
from ma2ml_env.reward import Constrained

if TYPE_CHECKING:
    from ma2ml_env.env import AutoMLEnv
    from ma2ml_env.render.page import Page
    from ma2ml_env.types import Trial


SAMPLES = 8


def draw(env: AutoMLEnv, trial: Trial | None, remark: str = "") -> NDArray[np.uint8]:
    """Draws a trial: cells as graphs, augmentations on sample images, settings as tables, cost against the constraint.

    Parts are drawn by `ma2ml_env.render.panels.panel`, according to their type. Sample images come from
    `env.evaluator.sample_images(count)`, where there is such a method. Matplotlib is loaded at the first call.

    Args:
        env: environment of the trial.
        trial: trial to draw, None before the first one.
        remark: for the subtitle, beside the reward.

    Returns:
        An RGB image, (height, width, 3); its size depends on what there is to show.
    """
    return compose(env, trial, remark).pixels()


def compose(env: AutoMLEnv, trial: Trial | None, remark: str = "") -> Page:
    """The page that `draw` draws, before it becomes pixels."""
    from ma2ml_env.render.page import Page
    from ma2ml_env.render.panels import overview, panel, result_panel

    if trial is None:
        return Page(env.name, "no pipeline has been evaluated yet", {"agents": overview(env.search_spaces)})
    images = env.evaluator.sample_images(SAMPLES) if isinstance(env.evaluator, Illustrated) else None
    columns = {agent: panel(part, images) for agent, part in trial.pipeline.items()}
    columns["result"] = result_panel(trial, env.reward.constraint if isinstance(env.reward, Constrained) else None)
    outcome = (
        "too large" if trial.result.infeasible else "failed" if trial.result.failed else f"reward {trial.reward:.4f}"
    )
    beside = f" ({remark})" if remark else ""
    return Page(env.name, f"pipeline {trial.number}: {outcome}{beside}", columns)


__all__ = ["compose", "draw"]
