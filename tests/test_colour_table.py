"""The script that trains the colour table: its runs, and the merging of what several machines trained."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
import colour_gate
import colour_table
from colour_table import GATE, NOISE_SEEDS, SEARCHES, Run, collect, crossed_runs, known_runs, runs, stored, train

import ma2ml_env

SHORT = [Run("random_search", 0, budget=6), Run("one_plus_one", 1, budget=4)]


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(colour_table, "ENV", "ma2ml/synthetic-v0")
    monkeypatch.setattr(colour_table, "GATE", tmp_path / "no-gate")
    monkeypatch.setattr(colour_table, "runs", lambda: SHORT)


def test_the_design_that_the_gate_chose_is_the_environments_definition() -> None:
    env, design = ma2ml_env.make(colour_table.ENV), colour_gate.CHOSEN
    for agent, space in design.spaces.items():
        assert env.search_spaces[agent].decisions == space.decisions
    assert env.evaluator.definition == design.evaluator().definition


def test_the_gates_plain_trainings_are_trials_and_its_longer_and_larger_ones_are_not() -> None:
    blocks = crossed_runs(GATE)
    assert len(blocks) == 3
    for block in blocks.values():
        first = {trial.pipeline.key: trial.result for trial in block if trial.seed == 0}
        again = {trial.pipeline.key for trial in block if trial.seed == 1}
        assert (len(first), len(again), len(block)) == (colour_gate.SIDE**3, colour_gate.CHECKED, 27 + 8)
        assert again < set(first)
        env = ma2ml_env.make(colour_table.ENV)
        for trial in block[:3]:
            assert (trial.result.flops, trial.result.params) == tuple(vars(env.cost(trial.pipeline)).values())


def test_half_of_an_unfinished_table_is_random_and_every_run_has_its_own_folder() -> None:
    planned = runs()
    assert len({run.name for run in planned}) == len(planned)
    random = [run.algo == "random_search" for run in planned]
    for finished in range(3, len(planned)):
        assert abs(sum(random[:finished]) - finished / 2) <= 2
    seeds = Counter(run.algo for run in planned if run.algo != "random_search")
    assert set(seeds) == set(SEARCHES)
    assert len(set(seeds.values())) == 1


def test_the_first_hundred_random_pipelines_are_the_same_under_every_seed_of_the_noise() -> None:
    noise = [run for run in runs() if run.algo == "random_search" and run.seed == 0]
    assert sorted(run.env_seed for run in noise) == list(range(NOISE_SEEDS))
    assert {run.budget for run in noise} == {100}


@pytest.mark.usefixtures("instant")
def test_folders_of_two_machines_merge_and_what_is_known_is_not_trained_again(tmp_path: Path) -> None:
    table = tmp_path / "table.csv.xz"
    for machine, run in enumerate(SHORT):
        train(tmp_path / str(machine), run, {})
        collect(tmp_path / str(machine), table)
    known = known_runs(table)
    assert {name: len(trials) for name, trials in known.items()} == {run.name: run.budget for run in SHORT}
    for machine, run in enumerate(SHORT):
        own = stored(tmp_path / str(machine), run)
        assert [trial.pipeline.key for trial in known[run.name]] == [trial.pipeline.key for trial in own]
    train(tmp_path / "third", SHORT[0], known)
    assert stored(tmp_path / "third", SHORT[0]) == []


@pytest.mark.usefixtures("instant")
def test_a_longer_run_of_this_machine_replaces_a_shorter_one_in_the_table(tmp_path: Path) -> None:
    table = tmp_path / "table.csv.xz"
    train(tmp_path / "runs", Run("random_search", 0, budget=2), {})
    collect(tmp_path / "runs", table)
    train(tmp_path / "runs", SHORT[0], known_runs(table))
    collect(tmp_path / "runs", table)
    assert len(known_runs(table)[SHORT[0].name]) == 6
