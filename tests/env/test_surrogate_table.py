"""Evaluations of many runs in one file."""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path

import pytest
from small_games import game, mean_choice
from surrogate_data import small_env, small_trials

import ma2ml_env
from ma2ml_env import Result
from ma2ml_env.evaluators.surrogate import SHIPPED
from ma2ml_env.surrogate.evaluations_file import read_evaluations, write_evaluations
from ma2ml_env.surrogate.fit import gather
from ma2ml_env.surrogate.model import load_surrogate

ROOT = Path(__file__).parents[2]


def test_the_shipped_table_is_what_the_shipped_surrogate_was_fitted_to() -> None:
    real = ma2ml_env.make("ma2ml/digits-v0")
    data = gather(real, read_evaluations(SHIPPED / "digits-v0.csv.xz", real))
    surrogate = load_surrogate(SHIPPED / "digits-v0.surrogate.xz")
    assert surrogate.quality["evaluations"] == len(data.distinct)
    assert surrogate.noise == data.noise


def test_what_was_trained_since_are_other_evaluations_of_the_same_environment() -> None:
    real = ma2ml_env.make("ma2ml/digits-v0")
    shipped = read_evaluations(SHIPPED / "digits-v0.csv.xz", real)
    since = read_evaluations(ROOT / "experiments" / "results" / "digits-v0-more.csv.xz", real)
    assert not shipped.keys() & since.keys()
    evaluations = [{(t.pipeline.key, t.seed) for run in table.values() for t in run} for table in (shipped, since)]
    assert len(evaluations[1] - evaluations[0]) > 250


def test_a_table_gives_back_the_trials(tmp_path: Path) -> None:
    env = small_env(0.02)
    runs = {name: small_trials(env, 12, seed) for seed, name in enumerate(("one", "two"))}
    failed = Result(0.0, 5, 6, 1.5, 'the loss is "nan",\nreally', curve=(0.25, 1 / 3))
    runs["one"][3] = replace(runs["one"][3], result=failed, reward=0.0)
    write_evaluations(tmp_path / "table.csv.xz", env, runs)
    assert read_evaluations(tmp_path / "table.csv.xz", env) == runs
    other = game(evaluator=mean_choice, definition="another")
    with pytest.raises(ValueError, match="evaluations of the definition a closed form, ma2ml/small-v0 is another"):
        read_evaluations(tmp_path / "table.csv.xz", other)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "run,number\n1,2\n", "damaged or not a table"),
        (lambda text: text[: text.rindex("\n", 0, -1) + 20], r"line \d+: not an evaluation"),
        (lambda text: text.replace("one,3,0,", "one,3,0,z"), "line 6: not an evaluation of ma2ml/small-v0"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, damage, message: str) -> None:
    env = small_env()
    path = tmp_path / "table.csv.xz"
    write_evaluations(path, env, {"one": small_trials(env, 12)})
    path.write_bytes(lzma.compress(damage(lzma.decompress(path.read_bytes()).decode()).encode()))
    with pytest.raises(ValueError, match=message):
        read_evaluations(path, env)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="damaged or not a table"):
        read_evaluations(path, env)
