"""Trial logs of other training loops in the tables of a benchmark."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from small_grids import BUDGET, ENV, small

import ma2ml_env
from ma2ml_agents.benchmark import run_grid, summarize
from ma2ml_agents.benchmark.logs import parse_logs
from ma2ml_env.trials import TrialStore

pytestmark = pytest.mark.usefixtures("few_repetitions")


def write_log(path: Path, steps: int, seed: int = 0, env_id: str = ENV, **settings: Any) -> pd.Series:
    """A log as another library's training leaves it; the rewards that were paid."""
    env = ma2ml_env.make(env_id, log_path=path, **settings)
    rewards = []
    for step in range(steps):
        env.reset(seed=seed)
        for agent in env.possible_agents:
            env.action_space(agent).seed(1000 * seed + step)
        _, paid, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.possible_agents})
        rewards.append(paid["nas"])
    return pd.Series(rewards)


def test_trial_logs_join_as_one_more_algorithm_with_a_seed_a_file(tmp_path: Path) -> None:
    paid = [write_log(tmp_path / f"{name}.db", steps, seed) for name, steps, seed in (("a", 40, 5), ("b", 22, 6))]
    run_grid(small(seeds=1), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/*.db"]))
    summary = summarize(tmp_path / "out")
    assert summary.index.logged == ("mine",)
    mine = summary.trials[summary.trials.algo == "mine"]
    assert mine[mine.seed == 0].reward.to_list() == paid[0][:BUDGET].to_list()
    assert mine[mine.seed == 1].reward.to_list() == paid[1].to_list()
    assert summary.of(ENV, "mine").evaluations.to_list() == [BUDGET, 22]
    assert summary.of(ENV, "mine").learner_seconds.isna().all()
    assert "mine" in summary.index.baselines


def test_every_log_is_told_with_what_was_read_and_used_of_it(tmp_path: Path) -> None:
    long, short = tmp_path / "a.db", tmp_path / "b.db"
    write_log(long, 32, seed=5)
    for seed in range(7):
        write_log(short, 1, seed)
    text = io.StringIO()
    grid = small(algos=[])
    run_grid(grid, tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/*.db"]), console=Console(file=text))
    assert text.getvalue().splitlines() == [
        f"{long}: mine on {ENV}, 32 trials read, {BUDGET} used, environment seeds 5",
        f"{short}: mine on {ENV}, 7 trials read, 7 used, environment seeds 0, 1, 2, 3, 4 and 2 more",
    ]


def test_a_log_finds_its_environment_by_definition_and_reward(tmp_path: Path) -> None:
    write_log(tmp_path / "a.db", 3, structure_seed=4)
    other = {"name": "other", "env": ENV, "settings": {"structure_seed": 4}}
    run_grid(small(envs=[ENV, other], algos=[]), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/a.db"]))
    assert summarize(tmp_path / "out").envs() == ["other"]


@pytest.mark.parametrize(
    ("env_id", "settings", "says"),
    [
        ("ma2ml/digits-flops-surrogate-v0", {}, "it matches ma2ml/digits-flops-surrogate-v0\n"),
        ("ma2ml/synthetic-v0", {"structure_seed": 4}, "pass them with --set"),
    ],
)
def test_a_log_of_another_environment_is_told_which(
    env_id: str, settings: dict[str, int], says: str, tmp_path: Path
) -> None:
    write_log(tmp_path / "a.db", 2, env_id=env_id, **settings)
    grid = small(envs=["ma2ml/digits-surrogate-v0", ENV])
    with pytest.raises(ValueError, match=f"matches no environment of this grid; .*{says}"):
        run_grid(grid, tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/a.db"]))


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    TrialStore(tmp_path / "empty.db").open()
    with pytest.raises(ValueError, match=r"empty.db contains no trials"):
        run_grid(small(), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/empty.db"]))


def test_logs_that_cannot_be_compared_are_refused_before_any_work(tmp_path: Path) -> None:
    write_log(tmp_path / "other.db", 2, structure_seed=4)
    write_log(tmp_path / "mixed.db", 2)
    write_log(tmp_path / "mixed.db", 2, structure_seed=4)
    (tmp_path / "broken.db").write_text("no log")
    cases = {
        "other": "was evaluated under the definition",
        "mixed": "contains trials of 2 environments",
        "broken": "damaged",
        "missing": "there is no file",
    }
    for name, says in cases.items():
        with pytest.raises(ValueError, match=says):
            run_grid(small(), tmp_path / "out", logs=parse_logs([f"mine={tmp_path}/{name}.db"]))
    with pytest.raises(ValueError, match="is already in the grid"):
        run_grid(small(), tmp_path / "out", logs={"random_search": [tmp_path / "mixed.db"]})
    with pytest.raises(ValueError, match="NAME=FILES"):
        parse_logs(["runs/*.db"])
    assert not (tmp_path / "out").exists()
