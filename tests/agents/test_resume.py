"""A search that takes up its checkpoint goes on as if nothing had happened, whichever moment it was stopped at."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.benchmark.measured import MeasuredLearner
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_agents.learner import Learner
from ma2ml_agents.search import Callbacks
from ma2ml_agents.search import loop as search_loop
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace, Trial
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialLogError

CERTAIN_SOON = {"learning_rate": 5.0, "kl_coef": 0.0}
"""Then MA2ML's policies repeat themselves, and most proposals are new neighbors."""
SETTINGS: dict[str, dict[str, float]] = {
    "random_search": {},
    "regularized_evolution": {},
    "ma2ml": {"batch_size": 2, "warmup": 4, "pool": 16, "policy_scale": 2},
    "ma2ml ensemble": {"critic": "ensemble", "batch_size": 4, "warmup": 4, "critic_steps": 2, "actor_steps": 2}
    | CERTAIN_SOON,
}
BUDGET = 14
learners_and_windows = pytest.mark.parametrize(("name", "window"), [(n, w) for n in SETTINGS for w in (1, 4)])


@pytest.fixture(autouse=True)
def _a_checkpoint_after_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_loop, "CHECKPOINT_SECONDS", -1.0)


class Noted:
    """A closed form of random duration that appends the key of each pipeline it evaluates to a file."""

    def __init__(self, log: Path, longest: float = 0.0) -> None:
        self.log, self.longest = log, longest

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{pipeline.key}\n")
        rng = np.random.default_rng(pipeline.random_seed(seed))
        time.sleep(self.longest * rng.random())
        return Result(sum(pipeline["a"].values()) / 20 + 0.2 * rng.random(), flops=1, params=1, seconds=0.0)

    def calls(self) -> Counter[str]:
        return Counter(self.log.read_text(encoding="utf-8").split())


def game(evaluator: Callable[..., Result]) -> AutoMLEnv:
    def space(decisions: int) -> SearchSpace:
        return SearchSpace(tuple(Decision(f"x{i}", (0, 1, 2, 3)) for i in range(decisions)), dict)

    return AutoMLEnv({"a": space(4), "b": space(3)}, evaluator, accuracy)


def learner_for(env: AutoMLEnv, name: str) -> Learner:
    return make_learner(name.split()[0], agent_specs(env), seed=3, **SETTINGS[name])


def summary(trials: list[Trial]) -> list[tuple[object, ...]]:
    return [(t.number, t.seed, t.pipeline.action, t.result.accuracy, t.reward) for t in trials]


@cache
def uninterrupted(name: str, window: int, budget: int = BUDGET) -> list[tuple[object, ...]]:
    env = game(Noted(Path("/dev/null")))
    return summary(run_search(env, learner_for(env, name), budget, window=window))


def interrupted(env: AutoMLEnv, learner: Learner, out: Path, window: int, callbacks: Callbacks, **more: object) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_search(env, learner, BUDGET, window=window, out=out, callbacks=callbacks, **more)


@learners_and_windows
def test_stopped_once_after_any_trial_a_search_ends_the_same_and_evaluates_nothing_twice(
    name: str, window: int, tmp_path: Path
) -> None:
    for stop in range(BUDGET):
        evaluator = Noted(tmp_path / f"{stop}.log")
        env = game(evaluator)

        def interrupt(trial: Trial, fresh: bool, stop: int = stop) -> None:
            if trial.number == stop:
                raise KeyboardInterrupt

        out = tmp_path / str(stop)
        interrupted(env, learner_for(env, name), out, window, Callbacks(on_trial=interrupt))
        assert summary(run_search(env, learner_for(env, name), BUDGET, window=window, out=out)) == uninterrupted(
            name, window
        )
        assert set(evaluator.calls().values()) == {1}


@learners_and_windows
def test_stopped_in_the_middle_of_an_evaluation_only_that_one_is_repeated(
    name: str, window: int, tmp_path: Path
) -> None:
    for stop in range(1, BUDGET, 3):
        evaluator = Noted(tmp_path / f"{stop}.log")

        def stopping(pipeline: Pipeline, *, seed: int, evaluator: Noted = evaluator, stop: int = stop) -> Result:
            result = evaluator(pipeline, seed=seed)
            if evaluator.calls().total() == stop:
                raise KeyboardInterrupt
            return result

        env, out = game(stopping), tmp_path / str(stop)
        interrupted(env, learner_for(env, name), out, window, Callbacks())
        trials = run_search(env, learner_for(env, name), BUDGET, window=window, out=out)
        assert summary(trials) == uninterrupted(name, window)
        assert evaluator.calls().total() == len(evaluator.calls()) + 1


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_stopped_with_some_workers_and_resumed_with_others_it_ends_the_same(workers: int, tmp_path: Path) -> None:
    evaluator = Noted(tmp_path / "log", longest=0.03)
    env, finished = game(evaluator), []

    def interrupt(trial: Trial, fresh: bool) -> None:
        finished.append(trial.pipeline.key)
        if len(finished) == 6:
            raise KeyboardInterrupt

    for count, callbacks in ((workers, Callbacks(on_trial=interrupt)), (5 - workers, Callbacks())):
        executor = ProcessExecutor(env.evaluate, count)
        options = {"window": 4, "out": tmp_path / "run", "executor": executor, "callbacks": callbacks}
        try:
            trials = run_search(env, learner_for(env, "ma2ml"), BUDGET, **options)
        except KeyboardInterrupt:
            continue
        finally:
            executor.shutdown()
    assert summary(trials) == uninterrupted("ma2ml", 4)
    assert all(evaluator.calls()[key] == 1 for key in finished), "evaluated again though it was stored"


@learners_and_windows
def test_a_checkpoint_spares_the_learner_what_it_has_learned(name: str, window: int, tmp_path: Path) -> None:
    env = game(Noted(tmp_path / "log"))
    run_search(env, learner_for(env, name), 9, window=window, out=tmp_path / "run")
    learner = learner_for(env, name)
    update, learned = learner.update, []
    learner.update = lambda batch: (learned.append(len(batch)), update(batch))[1]
    trials = run_search(env, learner, BUDGET, window=window, out=tmp_path / "run")
    assert summary(trials) == uninterrupted(name, window)
    assert len(learned) == BUDGET // learner.batch_size - 9 // learner.batch_size


@learners_and_windows
def test_a_smaller_budget_than_was_spent_gives_the_first_trials(name: str, window: int, tmp_path: Path) -> None:
    env = game(Noted(tmp_path / "log"))
    run_search(env, learner_for(env, name), BUDGET, window=window, out=tmp_path / "run")
    for budget in (1, 6, 20):
        trials = run_search(env, learner_for(env, name), budget, window=window, out=tmp_path / "run")
        assert summary(trials) == uninterrupted(name, window, budget)


@pytest.mark.parametrize("change", ["seed", "window", "warm_start", "reward"])
def test_a_search_of_another_kind_is_refused_or_ends_as_if_it_began_anew(change: str, tmp_path: Path) -> None:
    """With a checkpoint, as without one, a folder is never continued by a search that would not have begun it so."""
    env = game(Noted(tmp_path / "calls"))

    def search(target: AutoMLEnv, budget: int, out: Path | None, **options):
        return run_search(target, learner_for(target, "ma2ml"), budget, out=out, **{"seed": 0, "window": 1} | options)

    out = tmp_path / "run"
    search(env, 20, out)
    first = {agent: space.default for agent, space in env.search_spaces.items()}
    other = {"seed": {"seed": 1}, "window": {"window": 6}, "warm_start": {"warm_start": [first]}, "reward": {}}[change]
    target = env if change != "reward" else AutoMLEnv(env.search_spaces, env.evaluator, lambda r: 100 * r.accuracy)
    message = "has a window of 1, this one 6" if change == "window" else "not what is proposed there now"
    with pytest.raises(TrialLogError, match=message):
        search(target, 30, out, **other)


@pytest.mark.parametrize("wrap", [lambda learner: learner, MeasuredLearner])
def test_a_learner_of_another_setting_does_not_take_up_the_checkpoint(wrap, tmp_path: Path) -> None:
    """Its state before it learned anything may be the same; its proposals are not."""
    env = game(Noted(tmp_path / "log"))
    specs = agent_specs(env)
    run_search(env, wrap(make_learner("regularized_evolution", specs, population=4, sample=4)), 20, out=tmp_path)
    other = wrap(make_learner("regularized_evolution", specs, population=4, sample=1))
    with pytest.raises(TrialLogError, match=r"from another learner .* setting"):
        run_search(env, other, 30, out=tmp_path)
    again = wrap(make_learner("regularized_evolution", specs, population=4, sample=4))
    assert len(run_search(env, again, 30, out=tmp_path)) == 30


@pytest.mark.parametrize("name", SETTINGS)
def test_stored_trials_are_all_returned_when_there_is_no_time_left(name: str, tmp_path: Path) -> None:
    env = game(Noted(tmp_path / "log"))
    run_search(env, learner_for(env, name), BUDGET, window=1, out=tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoint").glob("*"):
        file.unlink()  # so that the learner is rebuilt from the trials
    again = run_search(env, learner_for(env, name), BUDGET + 6, window=1, out=tmp_path / "run", time_limit=1e-9)
    assert summary(again) == uninterrupted(name, 1)
