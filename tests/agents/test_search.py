"""The search loop: the same trials, whatever the parallelism and however often it is interrupted."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_agents.search import Callbacks
from ma2ml_agents.search.plan import most_in_flight, updates_before
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace, Trial
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialLogError

SETTINGS = {
    "random_search": {},
    "regularized_evolution": {},
    "ma2ml_lite": {"batch_size": 5},
    "ma2ml": {"batch_size": 5, "warmup": 5, "pool": 16, "policy_scale": 2},
    "ma2ml ensemble": {"critic": "ensemble", "batch_size": 5, "warmup": 5, "critic_steps": 3, "actor_steps": 2},
}


class RandomDuration:
    """A closed form that takes a time of its own for every pipeline."""

    def __init__(self, longest: float = 0.0) -> None:
        self.longest = longest
        self.calls: Counter[str] = Counter()

    def __call__(self, pipeline, *, seed):
        self.calls[pipeline.key] += 1
        rng = np.random.default_rng(pipeline.random_seed(seed))
        time.sleep(self.longest * rng.random())
        chosen = [*pipeline["a"].values(), *pipeline["b"].values()]
        return Result(sum(chosen) / 30 + 0.01 * rng.random(), flops=sum(chosen), params=1, seconds=0.0)


def game(evaluator) -> AutoMLEnv:
    def space(decisions: int) -> SearchSpace:
        return SearchSpace(tuple(Decision(f"x{i}", (0, 1, 2, 3)) for i in range(decisions)), dict)

    return AutoMLEnv({"a": space(4), "b": space(3)}, evaluator, accuracy)


def learner_for(env: AutoMLEnv, name: str):
    return make_learner(name.split()[0], agent_specs(env), seed=3, **SETTINGS[name])


def summary(trials: list[Trial]) -> list[tuple]:
    return [(t.number, t.seed, t.pipeline.key, t.result.accuracy, t.reward) for t in trials]


@pytest.mark.parametrize("batch_size", [1, 3, 10])
@pytest.mark.parametrize("window", [1, 2, 4, 20])
def test_updates_before_counts_the_full_batches_that_are_known(batch_size: int, window: int) -> None:
    for number in range(50):
        known = [earlier for earlier in range(number) if earlier <= number - window]
        assert updates_before(number, batch_size, window) == len(known) // batch_size


@pytest.mark.parametrize("name", ["ma2ml", "ma2ml_lite", "random_search"])
@pytest.mark.parametrize("window", [1, 4, 20])
def test_no_more_evaluations_are_in_flight_than_a_window_and_a_batch_allow(name: str, window: int) -> None:
    learner = learner_for(game(RandomDuration()), name)
    batch, ahead = learner.batch_size, 1 if learner.on_policy else window
    in_flight = []
    for done in range(60):
        allowed = [number for number in range(200) if updates_before(number, batch, ahead) <= done // batch]
        in_flight.append(len(allowed) - done)
    assert most_in_flight(learner, window) == max(in_flight)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("window", [1, 4])
def test_trials_are_the_same_for_any_number_of_workers(name: str, window: int) -> None:
    alone = game(RandomDuration())
    expected = summary(run_search(alone, learner_for(alone, name), 18, window=window))
    env = game(RandomDuration(longest=0.02))
    executor = ProcessExecutor(env.evaluate, workers=3)
    try:
        found = summary(run_search(env, learner_for(env, name), 18, window=window, executor=executor))
    finally:
        executor.shutdown()
    assert found == expected


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("window", [1, 4])
def test_a_search_interrupted_anywhere_ends_with_the_same_trials(name: str, window: int, tmp_path: Path) -> None:
    whole = game(RandomDuration())
    expected = summary(run_search(whole, learner_for(whole, name), 16, window=window))
    evaluator = RandomDuration()
    env = game(evaluator)
    for stop in range(1, 17):

        def interrupt(trial: Trial, fresh: bool, stop: int = stop) -> None:
            if fresh and trial.number >= stop:
                raise KeyboardInterrupt

        try:
            run_search(
                env, learner_for(env, name), 16, window=window, out=tmp_path, callbacks=Callbacks(on_trial=interrupt)
            )
        except KeyboardInterrupt:
            continue
    assert summary(run_search(env, learner_for(env, name), 16, window=window, out=tmp_path)) == expected
    assert max(evaluator.calls.values()) == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_a_larger_budget_goes_on_as_one_long_run_with_or_without_checkpoint(name: str, tmp_path: Path) -> None:
    env = game(RandomDuration())
    expected = summary(run_search(env, learner_for(env, name), 23, window=4))
    for checkpoint in (True, False):
        out = tmp_path / str(checkpoint)
        run_search(env, learner_for(env, name), 12, window=4, out=out)
        if not checkpoint:
            for file in (out / "checkpoint").glob("*"):
                file.unlink()
        assert summary(run_search(env, learner_for(env, name), 23, window=4, out=out)) == expected


def test_a_damaged_checkpoint_is_announced_and_rebuilt_from_the_trials(tmp_path: Path) -> None:
    env = game(RandomDuration())
    run_search(env, learner_for(env, "ma2ml"), 12, out=tmp_path)
    (tmp_path / "checkpoint" / "learner.pt").write_bytes(b"not a checkpoint")
    notices: list[str] = []
    trials = run_search(env, learner_for(env, "ma2ml"), 20, out=tmp_path, callbacks=Callbacks(on_notice=notices.append))
    assert summary(trials) == summary(run_search(env, learner_for(env, "ma2ml"), 20))
    assert notices[0] == f"12 trials taken over from {tmp_path / 'trials.db'}"
    assert "damaged" in notices[1]
    assert len(notices) == 2


def test_the_trials_of_another_learner_are_refused_and_kept(tmp_path: Path) -> None:
    env = game(RandomDuration())
    first = summary(run_search(env, learner_for(env, "random_search"), 5, out=tmp_path))
    with pytest.raises(TrialLogError, match="not what is proposed there now"):
        run_search(env, make_learner("random_search", agent_specs(env), seed=4), 5, out=tmp_path)
    assert summary(run_search(env, learner_for(env, "random_search"), 5, out=tmp_path)) == first


def test_a_repeated_pipeline_is_a_trial_of_its_own_with_the_same_result() -> None:
    evaluator = RandomDuration()
    env = AutoMLEnv(
        {"a": SearchSpace((Decision("x", (0, 1)),), dict)},
        lambda p, *, seed: evaluator(_with_b(p), seed=seed),
        accuracy,
    )
    trials = run_search(env, make_learner("random_search", agent_specs(env), seed=0), 12, window=4)
    assert [trial.number for trial in trials] == list(range(12))
    assert sum(evaluator.calls.values()) == len({trial.pipeline.key for trial in trials}) == 2
    assert len({(trial.pipeline.key, trial.result.accuracy) for trial in trials}) == 2


def _with_b(pipeline):
    from ma2ml_env import Pipeline

    return Pipeline(pipeline.action, {"a": pipeline["a"], "b": {}})


def test_an_on_policy_learner_waits_at_the_end_of_its_batch() -> None:
    env = game(RandomDuration())
    learner = learner_for(env, "ma2ml_lite")
    asked: list[int] = []
    act = learner.act
    learner.act = lambda observations: (asked.append(len(observations["a"])), act(observations))[1]
    run_search(env, learner, 15, window=20)
    assert asked == [5, 5, 5]


def test_a_time_limit_ends_the_search_in_order(tmp_path: Path) -> None:
    env = game(RandomDuration(longest=0.1))
    trials = run_search(env, learner_for(env, "random_search"), 1000, out=tmp_path, time_limit=0.5)
    assert 0 < len(trials) < 1000
    assert [trial.number for trial in trials] == list(range(len(trials)))
    more = run_search(env, learner_for(env, "random_search"), len(trials) + 2, out=tmp_path)
    assert summary(more)[: len(trials)] == summary(trials)


@pytest.mark.parametrize("limits", [{"budget": 0}, {"budget": 5, "window": 0}, {"budget": 5, "time_limit": 0.0}])
def test_limits_out_of_range_are_refused(limits: dict, tmp_path: Path) -> None:
    env = game(RandomDuration())
    with pytest.raises(ValueError, match="must be"):
        run_search(env, learner_for(env, "random_search"), out=tmp_path, **limits)
    assert not list(tmp_path.iterdir())


def test_a_search_takes_a_fourth_agent_and_a_closure() -> None:
    space = SearchSpace((Decision("x", (0.1, 0.9)),), dict)
    best = 0.9
    env = AutoMLEnv(
        dict.fromkeys(("aug", "nas", "hpo", "loss"), space),
        lambda pipeline, *, seed: Result(float(pipeline["loss"]["x"] == best), 0, 0, 0.0),
        accuracy,
    )
    for name in SETTINGS:
        trials = run_search(env, make_learner(name.split()[0], agent_specs(env), seed=0, **SETTINGS[name]), 10)
        assert {trial.reward for trial in trials} <= {0.0, 1.0}
        assert all(set(trial.pipeline.action) == {"aug", "nas", "hpo", "loss"} for trial in trials)


def test_a_search_leaves_the_episode_of_its_environment_alone() -> None:
    env = game(RandomDuration())
    run_search(env, learner_for(env, "ma2ml"), 12, seed=7)
    assert (env.agents, env.last_trial, env.evaluation_seed) == ([], None, 0)
    env.reset(seed=5)
    trials = run_search(env, learner_for(env, "ma2ml"), 12)
    assert env.agents == ["a", "b"], "the episode that had begun goes on"
    assert {trial.seed for trial in trials} == {5}
