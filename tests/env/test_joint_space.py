"""The joint action as one row of integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_games import NVECS, game

from ma2ml_env.search_space import JointSpace

JOINT = JointSpace({"aug": (2, 3), "nas": (2,)})


def test_every_row_is_one_joint_action_and_back():
    rows = list(itertools.product(*(range(n) for n in JOINT.sizes)))
    actions = [JOINT.split(row) for row in rows]
    assert actions == [{"aug": (a, b), "nas": (c,)} for a in range(2) for b in range(3) for c in range(2)]
    assert [JOINT.join(action) for action in actions] == rows
    assert len(JOINT) == len(JOINT.sizes) == 3


def test_a_joint_space_of_search_spaces_has_their_sizes_in_order():
    joint = JointSpace.of(game().search_spaces)
    assert joint.sizes == (*NVECS["aug"], *NVECS["nas"], *NVECS["hpo"])


@pytest.mark.parametrize("row", [[1, 2, 0], (1, 2, 0), np.array([1, 2, 0], dtype=np.uint8), range(3)])
def test_rows_of_any_integer_type_become_tuples_of_ints(row):
    action = JOINT.split(row)
    assert [type(index) for part in action.values() for index in part] == [int] * 3
    assert JOINT.join(action) == tuple(row)


@pytest.mark.parametrize("row", [[0, 0], [0] * 4, [[0, 0, 0]], [0.0] * 3, [[0], [0, 0]], "no row", None, 0])
def test_what_is_no_row_is_refused(row):
    with pytest.raises(ValueError, match="an action is 3 whole numbers, one per decision of all agents, not"):
        JOINT.split(row)


def test_the_order_of_a_row_is_that_of_the_space_and_not_of_the_action():
    assert JOINT.join({"nas": (1,), "aug": (0, 2)}) == (0, 2, 1)
