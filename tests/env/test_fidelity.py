"""How thoroughly a pipeline is evaluated: fewer epochs, or an early stop."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ma2ml_env
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.trials import TrialStore


@pytest.fixture(scope="module")
def env() -> AutoMLEnv:
    return ma2ml_env.make("ma2ml/digits-v0", filters=2, epochs=3)


@pytest.fixture(scope="module")
def pipeline(env: AutoMLEnv):
    rng = np.random.default_rng(3)
    return env.decode({agent: space.sample(rng) for agent, space in env.search_spaces.items()})


def test_fewer_epochs_are_a_training_of_so_many(env: AutoMLEnv, pipeline) -> None:
    short = env.evaluate(pipeline, 5, epochs=2)
    made_so = ma2ml_env.make("ma2ml/digits-v0", filters=2, epochs=2).evaluate(pipeline, 5)
    assert (short.accuracy, short.curve) == (made_so.accuracy, made_so.curve)
    assert len(short.curve) == 2
    assert not short.pruned


def test_a_training_stops_after_the_first_epoch_that_is_below_its_threshold(env: AutoMLEnv, pipeline) -> None:
    whole = env.evaluate(pipeline, 5)
    nan, impossible = math.nan, 2.0
    for thresholds, epochs in (
        ((), 3),
        ((nan, nan), 3),
        (whole.curve, 3),
        ((impossible,), 1),
        ((nan, impossible), 2),
        ((whole.curve[0], np.nextafter(whole.curve[1], 1.0)), 2),
    ):
        stopped = env.evaluate(pipeline, 5, stop_below=thresholds)
        assert stopped.curve == whole.curve[:epochs]
        assert stopped.accuracy == whole.curve[epochs - 1]
        assert stopped.pruned == (epochs < 3)
        assert not stopped.failed


def test_what_was_stopped_is_stored_as_pruned(env: AutoMLEnv, pipeline, tmp_path) -> None:
    result = env.evaluate(pipeline, 0, stop_below=(2.0,))
    trial = Trial(0, 0, pipeline, result, env.reward(result))
    assert trial.state == "pruned"
    assert trial.reward == result.curve[0]
    TrialStore(tmp_path / "trials.db").add(trial)
    assert TrialStore(tmp_path / "trials.db").load(env.decode) == [trial]


def test_fidelity_out_of_range_or_not_offered_is_refused(env: AutoMLEnv, pipeline) -> None:
    with pytest.raises(ValueError, match=r"epochs must be in 1\.\.1,000,000, not 0"):
        env.evaluate(pipeline, epochs=0)
    synthetic = ma2ml_env.make("ma2ml/synthetic-v0")
    default = synthetic.decode({agent: space.default for agent, space in synthetic.search_spaces.items()})
    with pytest.raises(ValueError, match="synthetic-v0 does not support 'epochs'"):
        synthetic.evaluate(default, epochs=1)
