"""Evaluators that raise: their processes are replaced, their trials failed, and evaluated again after a mend."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import InlineExecutor, ProcessExecutor, Raised
from ma2ml_agents.search import Callbacks
from ma2ml_agents.search.failures import EvaluatorError, FailureWatch
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialStore

SPACE = SearchSpace((Decision("x", tuple(range(20))), Decision("y", (1, 2))), dict)


def env_of(evaluator) -> AutoMLEnv:
    return AutoMLEnv({"a": SPACE}, evaluator, accuracy)


def search(env: AutoMLEnv, budget: int, name: str = "random_search", **options):
    settings = {"ma2ml": {"batch_size": 4, "warmup": 4, "critic_steps": 2, "actor_steps": 2}}.get(name, {})
    return run_search(env, make_learner(name, agent_specs(env), seed=1, **settings), budget, **options)


def valid(pipeline: Pipeline, *, seed: int) -> Result:
    return Result((pipeline["a"]["x"] + pipeline["a"]["y"]) / 30, 1, 1, 0.0)


BROKEN: list[bool] = []


def breaks_its_process(pipeline: Pipeline, *, seed: int) -> Result:
    """Raises for one pipeline in four, and then for all in the same process, as after an assertion on a GPU."""
    if pipeline["a"]["x"] % 4 == 0:
        BROKEN.append(True)
    if BROKEN:
        raise RuntimeError("device-side assert")
    return valid(pipeline, seed=seed)


def test_a_pipeline_that_breaks_its_process_fails_no_other() -> None:
    env = env_of(breaks_its_process)
    with ProcessExecutor(env.evaluate, workers=2) as executor:
        trials = search(env, 12, executor=executor)
    guilty = [trial.number for trial in trials if trial.pipeline["a"]["x"] % 4 == 0]
    assert guilty
    assert [trial.number for trial in trials if trial.result.failed] == guilty


def raises(pipeline: Pipeline, *, seed: int) -> Result:
    raise KeyError("no such column")


LINE = raises.__code__.co_firstlineno + 1
WHERE = f"{__file__}, line {LINE}, in raises"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_search_in_which_the_first_evaluations_all_raise_the_same_stops_and_shows_where(
    workers: int, tmp_path: Path
) -> None:
    env, notices = env_of(raises), []
    callbacks = Callbacks(on_notice=notices.append)
    executor = ProcessExecutor(env.evaluate, workers) if workers else InlineExecutor(env.evaluate)
    with executor, pytest.raises(EvaluatorError, match="first 5 evaluations") as stopped:
        search(env, 30, executor=executor, window=1, out=tmp_path, callbacks=callbacks)
    assert f'File "{__file__}", line {LINE}, in raises\n' in str(stopped.value)
    assert "KeyError: 'no such column'" in str(stopped.value)
    assert [WHERE in notice for notice in notices] == [True], "the first one, at once"
    stored = TrialStore(tmp_path / "trials.db").load(env.decode)
    assert [trial.result.error for trial in stored] == [f"KeyError: 'no such column' ({WHERE})"] * 5


def test_a_search_goes_on_over_failures_if_it_is_told_to() -> None:
    env = env_of(raises)
    trials = search(env, 9, give_up_after=None)
    assert len(trials) == 9
    assert all(trial.reward == 0.0 for trial in trials)
    with pytest.raises(KeyError):
        env.evaluate(trials[0].pipeline)


def failure(cause: str) -> Raised:
    return Raised(0.0, 0, 0, 0.0, error=cause, cause=cause, traceback=f"Traceback of {cause}")


@pytest.mark.parametrize(
    ("seen", "stops"),
    [
        ("aaa", True),
        ("aa", False),
        ("aba", False),
        ("aa.a", False),
        (".aaa", False),
    ],
)
def test_only_the_same_exception_in_all_of_the_first_evaluations_stops_a_search(seen: str, stops: bool) -> None:
    watch = FailureWatch(3, lambda notice: None)
    results = [Result(0.5, 1, 1, 0.0) if letter == "." else failure(letter) for letter in seen]
    for number, result in enumerate(results[:-1]):
        watch.see(number, result)
    if stops:
        with pytest.raises(EvaluatorError, match="Traceback of a"):
            watch.see(len(results) - 1, results[-1])
    else:
        watch.see(len(results) - 1, results[-1])


@dataclass
class Mendable:
    """Fails for even x, unless the file `mended` is there."""

    folder: Path

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        with (self.folder / "calls").open("a") as file:
            file.write(f"{pipeline.key}\n")
        if pipeline["a"]["x"] % 2 == 0 and not (self.folder / "mended").exists():
            raise RuntimeError("not mended")
        return valid(pipeline, seed=seed)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().split()


@pytest.mark.parametrize("name", ["random_search", "regularized_evolution", "ma2ml", "ma2ml_lite", "tpe"])
@pytest.mark.parametrize("interrupted", [False, True])
def test_failed_trials_are_evaluated_again_after_a_mend_and_finished_ones_are_kept(
    name: str, interrupted: bool, tmp_path: Path
) -> None:
    evaluator = Mendable(tmp_path)
    env, out = env_of(evaluator), tmp_path / "run"
    before = search(env, 14, name, out=out)
    failed = {trial.pipeline.key for trial in before if trial.result.failed}
    assert failed
    (tmp_path / "mended").touch()
    count = len(evaluator.calls())
    if interrupted:
        stop = Callbacks(on_trial=lambda trial, fresh: os.kill(os.getpid(), signal.SIGINT) if fresh else None)
        with pytest.raises(KeyboardInterrupt):
            search(env, 14, name, out=out, retry_failed=True, callbacks=stop)
    after = search(env, 14, name, out=out, retry_failed=True)
    assert not any(trial.result.failed for trial in after)
    assert [trial.pipeline for trial in after] == [trial.pipeline for trial in before]
    assert [t.result for t, b in zip(after, before, strict=True) if not b.result.failed] == [
        b.result for b in before if not b.result.failed
    ]
    assert sorted(evaluator.calls()[count:]) == sorted(failed), "each once, and nothing else"
    longer = search(env, 20, name, out=out)
    assert longer[:14] == after
    (out / "checkpoint" / "learner.pt").unlink()
    assert search(env, 20, name, out=out) == longer, "with and without a checkpoint"
