"""Identity of a search: problem, window and evaluator, compared with what a folder holds."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import InlineExecutor, ProcessExecutor
from ma2ml_agents.search import Callbacks
from ma2ml_agents.search.identity import describe, differences
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import TrialLogError

SPACE = SearchSpace((Decision("x", tuple(range(20))), Decision("y", (1, 2))), dict)


def env_of(evaluator) -> AutoMLEnv:
    return AutoMLEnv({"a": SPACE}, evaluator, accuracy)


def search(env: AutoMLEnv, budget: int, name: str = "random_search", **options):
    settings = {"ma2ml": {"batch_size": 4, "warmup": 4, "critic_steps": 2, "actor_steps": 2}}.get(name, {})
    return run_search(env, make_learner(name, agent_specs(env), seed=1, **settings), budget, **options)


def valid(pipeline: Pipeline, *, seed: int) -> Result:
    return Result((pipeline["a"]["x"] + pipeline["a"]["y"]) / 30, 1, 1, 0.0)


def on_other_data(pipeline: Pipeline, *, seed: int, data: str = "digits") -> Result:
    return valid(pipeline, seed=seed)


def test_trials_of_another_problem_are_refused_and_those_taken_over_are_counted(tmp_path: Path) -> None:
    first = search(env_of(functools.partial(on_other_data, data="digits")), 4, out=tmp_path)
    notices: list[str] = []
    callbacks = Callbacks(on_notice=notices.append)
    again = search(env_of(functools.partial(on_other_data, data="digits")), 4, out=tmp_path, callbacks=callbacks)
    assert again == first
    assert notices == [f"4 trials taken over from {tmp_path / 'trials.db'}"]
    with pytest.raises(TrialLogError, match=r"evaluator.settings.data is digits there, wine here"):
        search(env_of(functools.partial(on_other_data, data="wine")), 6, out=tmp_path)
    other = SearchSpace((Decision("x", tuple(range(20))), Decision("y", (1, 3))), dict)
    changed = AutoMLEnv({"a": other}, functools.partial(on_other_data, data="digits"), accuracy)
    with pytest.raises(TrialLogError, match=r"agents.a.y.choices is \[1, 2\] there, \[1, 3\] here"):
        search(changed, 6, out=tmp_path)
    assert search(env_of(functools.partial(on_other_data, data="digits")), 4, out=tmp_path) == first


def test_trials_without_a_record_go_on_with_the_window_they_had(tmp_path: Path) -> None:
    env = env_of(valid)
    expected = search(env, 12, "regularized_evolution", window=1)
    search(env, 6, "regularized_evolution", window=1, out=tmp_path)
    (tmp_path / "search.json").unlink()
    with ProcessExecutor(env.evaluate, workers=2) as executor:
        assert search(env, 12, "regularized_evolution", out=tmp_path, executor=executor) == expected


@pytest.mark.parametrize(("workers", "window"), [(0, 1), (1, 4), (6, 6)])
def test_the_window_of_a_new_search_suits_its_executor_and_stays_when_it_is_resumed(
    workers: int, window: int, tmp_path: Path
) -> None:
    env, notices = env_of(valid), []
    with ProcessExecutor(env.evaluate, workers) if workers else InlineExecutor(env.evaluate) as executor:
        found = search(
            env,
            8,
            "regularized_evolution",
            executor=executor,
            out=tmp_path,
            callbacks=Callbacks(on_notice=notices.append),
        )
    assert len([notice for notice in notices if f"by a window of {window}" in notice]) == (window > 1)
    assert search(env, 8, "regularized_evolution", out=tmp_path / "inline", window=window) == found
    expected = search(env, 12, "regularized_evolution", window=window)
    assert search(env, 12, "regularized_evolution", out=tmp_path) == expected, "inline now, with the window it had"


SCRIPT = """
import numpy as np
DATA = np.{data}(5)
def helper(value):
    return value {operator} 2
def evaluate(pipeline, *, seed):
    log.append({comment}helper(DATA.sum()))
log = []
"""


def script(path: Path, data: str = "arange", operator: str = "*", comment: str = "") -> dict:
    """The description of `evaluate` in a script."""
    path.write_text(SCRIPT.format(data=data, operator=operator, comment=comment))
    code = compile(path.read_text(), str(path), "exec")
    names: dict = {"__name__": "__main__", "__file__": str(path)}
    exec(code, names)
    names["log"].append(len(names))
    __import__("linecache").checkcache()
    return describe(names["evaluate"])


def test_the_description_of_a_function_covers_the_data_and_functions_it_uses_but_no_comment(tmp_path: Path) -> None:
    def changed(**options) -> list[str]:
        return [name for name, _, _ in differences(script(tmp_path / "a.py"), script(tmp_path / "a.py", **options))]

    assert changed() == []
    assert changed(comment="  # a remark\n    ") == []
    assert changed(data="ones") == ["reads.DATA"]
    assert changed(operator="+") == ["reads.helper.source"]


DESCRIBED = """
import sys, json
from functools import partial
sys.path.insert(0, sys.argv[1])
from ma2ml_agents.search.identity import describe
from mine import Mine, evaluate
print(json.dumps(describe([partial(evaluate, tags={"a", "b", "c"}), Mine({"x", "y"})])))
"""
MINE = """
import math, threading
LIMITS, lock = frozenset("pqr"), threading.Lock()
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def evaluate(pipeline, *, seed, tags):
    with lock:
        return even(len(LIMITS)) and math.nan
class Mine:
    def __init__(self, names, path=None): self.names, self.path = names, path
    def __call__(self, pipeline, *, seed): return odd(seed)
"""


def test_a_description_is_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    texts = {
        subprocess.run(
            [sys.executable, "-c", DESCRIBED, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
    assert "0x" not in texts.pop()


class Plain:
    def __init__(self, data: str, scale: float = 1.0) -> None:
        self._data, self.scale, self.calls = data, scale, 0


def test_the_description_of_an_object_is_its_type_and_what_it_was_made_with() -> None:
    one = Plain("a")
    before = describe(one)
    one.calls += 1
    assert describe(one) == before
    assert describe(Plain("b")) != before
    assert describe(Plain("a", 2.0)) != before
    assert before["settings"] == {"data": "a", "scale": 1.0}
    assert describe(np.arange(3)) != describe(np.arange(4))
    assert describe(np.float32(2)) == 2.0
