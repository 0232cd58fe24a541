from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.bezier import BezierSegment
from matplotlib.text import Text

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.render import compose, draw
from ma2ml_env.render.layout import BLOCK, arrange, control_points
from ma2ml_env.reward import FLOPsConstrained, accuracy
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces.autoaugment import autoaugment
from ma2ml_env.search_spaces.darts import darts
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.search_spaces.plain import plain
from ma2ml_env.search_spaces.recipe import recipe
from ma2ml_env.search_spaces.residual import residual
from ma2ml_env.types import Result


class Trained:
    def __call__(self, pipeline, *, seed):
        return Result(0.9421, 1.35e6, 48_213, 5.2, None, (0.5, 0.8, 0.9, 0.93, 0.9421))

    def sample_images(self, count=8):
        return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def broken(pipeline, *, seed):
    return Result(0.0, 0, 0, 1.0, "the loss is nan after epoch 1 of 5: $x_1 " + "and so on " * 40)


class Sentence:
    def __init__(self, chosen):
        self.words = "\n".join(
            f"{name} is {value}, which is " + "very " * 20 + "long" for name, value in chosen.items()
        )

    def __str__(self):
        return self.words


IMAGES = {"aug": autoaugment(), "nas": nasnet(), "hpo": recipe()}
TEXTS = {"said": SearchSpace([Decision(f"d{i}", (1, 2)) for i in range(60)], Sentence)}
NUMBERS = {"arch": plain([3, 4], 20), "reg": plain([2]), "hpo": plain([5], 7)}
PAGES = {
    "images": (IMAGES, Trained(), FLOPsConstrained(1e6)),
    "darts without images": ({"aug": autoaugment(), "nas": darts()}, broken, accuracy),
    "residual networks": ({"aug": autoaugment(), "nas": residual()}, broken, accuracy),
    "texts": (TEXTS, broken, accuracy),
    "tables": (NUMBERS, broken, FLOPsConstrained(1e6)),
}


def make(name, step=True):
    env = AutoMLEnv(*PAGES[name], render_mode="rgb_array", draw=draw, name="ma2ml/test-v0")
    env.reset(seed=0)
    if step:
        rng = np.random.default_rng(0)
        env.step({agent: space.sample(rng) for agent, space in env.search_spaces.items()})
    return env


def texts(env):
    """The words of a page and their rectangles in pixels."""
    figure = compose(env, env.last_trial).figure()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    written = [text for axes in figure.axes for text in (axes.findobj(Text) if axes.axison else axes.texts)]
    shown = [text for text in written if text.get_text() and text.get_visible()]
    return figure, {id(t): (t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in shown}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("step", [False, True])
def test_no_words_overlap_or_leave_the_page(name, step):
    figure, boxes = texts(make(name, step))
    for text, box in boxes.values():
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.y1 <= figure.bbox.y1, text
    for (one, first), (other, second) in combinations(boxes.values(), 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert width <= 1 or height <= 1, (one, other)


def test_the_page_says_what_was_chosen_and_what_came_out():
    env = make("images")
    words = " ".join(text for text, _ in texts(env)[1].values())
    chosen = env.last_trial.pipeline
    for part in chosen["aug"].subpolicies:
        assert all(operation.name in words for operation in part.operations)
    assert f"{chosen['hpo'].learning_rate:g}" in words
    for said in ("ma2ml/test-v0", "94.21%", "1.35 M", "48.2 k", "135% of the FLOPs constraint", "normal cell"):
        assert said in words


def test_before_the_first_trial_the_page_says_so():
    words = [text for text, _ in texts(make("images", step=False))[1].values()]
    assert "no pipeline has been evaluated yet" in words
    assert "30 decisions, 2.9e+32 possibilities" in words


def test_a_failure_is_shown_with_its_reason():
    words = " ".join(text for text, _ in texts(make("tables"))[1].values())
    assert "failed" in words
    assert "the loss is nan after epoch 1 of 5" in words


def test_render_gives_the_same_pixels_each_time_and_leaves_pyplot_alone():
    env = make("images")
    first, second = env.render(), env.render()
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert np.array_equal(first, second)
    assert first.std() > 5
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("space", [nasnet(), darts()], ids=["nasnet", "darts"])
def test_boxes_of_a_cell_never_overlap_and_lines_run_from_left_to_right(space):
    rng = np.random.default_rng(0)
    for _ in range(4):
        for cell in vars(space.decode(space.sample(rng))).values():
            layout = arrange(cell, 7.4, 3.25)
            for (x0, y0), (x1, y1) in combinations(layout.states[2:], 2):
                assert abs(x0 - x1) >= BLOCK[0] or abs(y0 - y1) >= BLOCK[1]
            assert all(start[0] < end[0] for _, start, end in layout.lines)
            assert len(layout.lines) == 2 * len(cell.blocks) + len(cell.outputs)


def test_no_line_of_nasnet_a_runs_behind_a_box():
    space = nasnet()
    for cell in vars(space.decode(space.default)).values():
        layout = arrange(cell, 7.4, 3.25)
        corners = np.array(layout.states[2:]) - (0, BLOCK[1] / 2)
        for state, start, end in layout.lines:
            points = BezierSegment(control_points(start, end))(np.linspace(0.01, 0.99, 99))[:, None]
            inside = (points > corners).all(axis=2) & (points < corners + BLOCK).all(axis=2)
            assert not inside.any(), (state, start, end)
