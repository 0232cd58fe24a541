"""Stored runs for tests of the report: failures, early stopping, learning curves, and text that tries to be markup."""

from __future__ import annotations

import json
from pathlib import Path

from ma2ml_env import Pipeline, Result, Trial
from ma2ml_env.trials import TrialStore

MARKUP = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
"""Text that takes over a page in which it stands unescaped."""


def trial(number: int, reward: float, choice: int | None = None, **result: object) -> Trial:
    """A trial of a pipeline of two agents; `result` are attributes of its result."""
    chosen = number if choice is None else choice
    parts = {"nas": f"a network of {chosen} layers\nwith {MARKUP}", "hpo": f"learning rate {chosen}"}
    facts = {"accuracy": reward, "flops": 1e6 * (chosen + 1), "params": 1000, "seconds": 2.0, **result}
    return Trial(number, 0, Pipeline({"nas": (chosen,), "hpo": (0,)}, parts), Result(**facts), reward)  # type: ignore[arg-type]


def some_trials(count: int = 40) -> list[Trial]:
    """Trials of which the fifth and the twelfth failed, the sixth was too large and the seventh stopped early."""
    curve = (0.1, 0.2, 0.3)
    trials = [trial(number, 0.2 + (number * 7 % 31) / 50, curve=curve) for number in range(count)]
    special = {
        4: trial(4, 0.0, accuracy=0.0, error=f"out of memory: {MARKUP}"),
        5: trial(5, 0.0, accuracy=0.0, error="infeasible: 9 parameters, more than 8", infeasible=True),
        6: trial(6, 0.15, curve=(0.1,), pruned=True),
        11: trial(11, 0.0, accuracy=0.0, error=f"out of memory: {MARKUP}"),
    }
    return [special.get(t.number, t) for t in trials]


def store_run(folder: Path, trials: list[Trial], *, budget: int | None = 40, batch_size: int = 5) -> Path:
    """Writes a run's folder as a search does; without a budget it has no configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    store = TrialStore(folder / "trials.db", batch_size=batch_size)
    for each in trials:
        store.add(each)
    store.close()
    if budget is not None:
        run = {"environment": {"id": "mine/unknown-v0"}, "learner": "random_search", "settings": {}, "seed": 3}
        document = {"format": 1, "run": run, "options": {"budget": budget, "log": []}, "project": {"version": MARKUP}}
        (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
