"""Actions in and out of a search space, and what is refused on the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ma2ml_env import Decision, SearchSpace
from ma2ml_env.search_spaces.plain import plain

SPACE = SearchSpace((Decision("x", (1, 2)), Decision("y", ("p", "q", "r"))), dict)


@pytest.mark.parametrize(
    "action",
    [
        [[0], [1, 2]],
        [2**70, 0],
        [True, False],
        [],
        None,
        {"x": 0},
        [0, "1"],
        [0, None],
        np.array([0.0, 1.0]),
        torch.zeros(2, requires_grad=True),
    ],
)
def test_what_is_no_list_of_whole_numbers_is_refused_in_the_name_of_its_agent(action: object) -> None:
    with pytest.raises(ValueError, match=r"agent 'nas': an action is 2 whole numbers, one per decision, not "):
        SPACE.validate(action, agent="nas")


@pytest.mark.parametrize("index", [-1, 3, np.int8(-128), np.uint64(2**64 - 1)])
def test_an_index_out_of_range_is_refused_with_decision_value_and_range(index: object) -> None:
    with pytest.raises(ValueError, match=rf"agent 'nas', decision 'y': {index} is not in 0\.\.2"):
        SPACE.validate(np.array([0, index], dtype=np.asarray(index).dtype), agent="nas")


def test_every_action_is_decoded_to_its_choices_and_encoded_back() -> None:
    actions = list(np.ndindex(*SPACE.nvec))
    assert len(actions) == SPACE.size == 6
    assert len({str(SPACE.decode(action)) for action in actions}) == SPACE.size
    assert [SPACE.encode(SPACE.decode(action)) for action in actions] == actions


def test_size_is_exact_where_floats_are_not() -> None:
    assert plain([3], repeat=60).size == 3**60
    assert plain([2, 3], repeat=2).nvec.tolist() == [2, 3, 2, 3]


def test_samples_lie_in_the_action_space_and_reach_every_choice() -> None:
    rng = np.random.default_rng(0)
    samples = [SPACE.sample(rng) for _ in range(100)]
    assert all(SPACE.action_space.contains(np.array(sample)) for sample in samples)
    assert set(samples) == set(np.ndindex(*SPACE.nvec))


def test_a_default_that_does_not_fit_and_an_object_without_values_are_refused() -> None:
    with pytest.raises(ValueError, match="agent 'default', decision 'x': 2"):
        SearchSpace((Decision("x", (1, 2)),), dict, default=(2,))
    with pytest.raises(ValueError, match="no `values` function, so it cannot encode a set"):
        SPACE.encode({1})
    for sizes, message in (([0], r"must be in 1\.\.1,000,000, not 0"), ([], r"must be in 1\.\.2,000, not 0")):
        with pytest.raises(ValueError, match=message):
            plain(sizes)
