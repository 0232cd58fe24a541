"""Checks of the parts that an environment is assembled from."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import cloudpickle
import numpy as np

from ma2ml_env.evaluator import Evaluator
from ma2ml_env.search_space import SearchSpace, decode_joint
from ma2ml_env.testing.abilities import check_abilities
from ma2ml_env.types import AgentID, Result


def check_search_space(space: SearchSpace, *, samples: int = 20, seed: int = 0) -> None:
    """Checks that a search space conforms.

    Every sampled action, the default and the two extreme ones must be decodable, to equal objects each time, with a
    descriptive text; `encode` must return the action, where the space has that inverse; actions that
    differ in inactive decisions only must be one action, with one meaning; what is out of range, too short, too long
    or not whole must be refused; and the space must survive pickling.

    Args:
        space: to check.
        samples: number of random actions.
        seed: seed of the random actions.

    Raises:
        AssertionError: naming what does not hold.

    Source: after Gymnasium's `check_env`.
    """
    rng = np.random.default_rng(seed)
    last = tuple(int(n) - 1 for n in space.nvec)
    copy: SearchSpace = cloudpickle.loads(cloudpickle.dumps(space))
    for action in (space.default, (0,) * len(space), last, *(space.sample(rng) for _ in range(samples))):
        built = space.decode(action)
        assert space.action_space.contains(np.array(action)), f"{action} is not in the action space"
        assert space.decode(np.array(action)) == built, f"{action} is decoded to different objects"
        assert copy.decode(action) == built, f"a pickled copy decodes {action} to something else"
        assert str(built), f"what {action} means has an empty text"
        if space.values is not None or isinstance(built, Mapping):
            assert space.decode(space.encode(built)) == built, f"encode does not invert decode at {action}"
        _check_inactive(space, action, built)
    too_large = (*last[:-1], last[-1] + 1)
    for refused in ((-1, *last[1:]), too_large, last[:-1], (*last, 0), [0.5] * len(space), "no action"):
        assert _refuses(space, refused), f"{refused} should be refused"


def check_evaluator(
    evaluator: Evaluator, search_spaces: Mapping[AgentID, SearchSpace], *, pipelines: int = 3, seed: int = 0
) -> None:
    """Checks that an evaluator conforms; it is called twice per pipeline.

    Its result must depend on pipeline and seed alone (apart from the seconds), hold numbers in their ranges, and leave
    the global random states as they are; a failed pipeline has accuracy 0; and the evaluator must survive pickling.
    Its optional abilities (`ma2ml_env.evaluator`) must agree with it: costs with those of the result, a batch with
    single evaluations, no noise-free accuracy above a known optimum. Nothing is retrained.

    Args:
        evaluator: to check.
        search_spaces: by agent; where pipelines are drawn from.
        pipelines: number of pipelines; the defaults of the spaces come first.
        seed: seed of the draw and of the evaluations.

    Raises:
        AssertionError: naming what does not hold.
    """
    rng = np.random.default_rng(seed)
    copy: Evaluator = cloudpickle.loads(cloudpickle.dumps(evaluator))
    for number in range(pipelines):
        action = {a: space.sample(rng) if number else space.default for a, space in search_spaces.items()}
        pipeline = decode_joint(search_spaces, action)
        before = _random_states()
        result = evaluator(pipeline, seed=seed)
        assert _random_states() == before, "the evaluator uses a global random state"
        assert isinstance(result, Result), f"an evaluator returns a Result, not a {type(result).__name__}"
        assert "not a finite number" not in (result.error or ""), result.error
        assert 0.0 <= result.accuracy <= 1.0, f"accuracy {result.accuracy} is not in [0, 1]"
        assert not result.failed or result.accuracy == 0.0, "a failed pipeline has accuracy 0"
        assert _facts(copy(pipeline, seed=seed)) == _facts(result), "a second evaluation of a pipeline differs"
        check_abilities(evaluator, pipeline, result, seed=seed)


def _check_inactive(space: SearchSpace, action: tuple[int, ...], built: Any) -> None:
    """Checks that choices of inactive decisions neither matter nor come back."""
    rows = np.array([action])
    canonical = space.validate(action)
    assert tuple(space.canonical(rows)[0].tolist()) == canonical, f"{action} has two canonical forms"
    assert space.validate(canonical) == canonical, f"the canonical form of {action} is not canonical"
    other = tuple(np.where(space.active(rows), rows, space.nvec - 1)[0].tolist())
    assert space.validate(other) == canonical, f"{other} and {action} differ in inactive decisions only"
    assert space.decode(other) == built, f"{other} means something else than {action}: an inactive decision is read"


def _refuses(space: SearchSpace, action: Any) -> bool:
    for use in (space.validate, space.decode):
        try:
            use(action)
        except ValueError:
            continue
        return False
    return True


def _facts(result: Result) -> tuple[Any, ...]:
    return result.accuracy, result.flops, result.params, result.error, result.curve


def _random_states() -> tuple[Any, ...]:
    return random.getstate(), repr(np.random.get_state())  # noqa: NPY002
