"""The family of errors, and files that are replaced as a whole."""

from __future__ import annotations

import itertools
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from ma2ml_agents.commands.options import parse_settings
from ma2ml_env import Decision, errors
from ma2ml_env.errors import DamagedFileError, MA2MLError, MissingExtraError, missing_extra, nearest, require_range
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.files import read_yaml, replacing, write_text
from ma2ml_env.models.darts import DARTSSkeleton
from ma2ml_env.models.fbnetv3 import FBNetV3Skeleton
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.tasks.digits import Digits


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_is_of_the_family_and_survives_a_process_border(name: str) -> None:
    error = getattr(errors, name)("one sentence")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == "one sentence"
    assert isinstance(error, MA2MLError)
    assert isinstance(error, ValueError)


def test_a_missing_extra_is_an_import_error_too() -> None:
    error = missing_extra("an export needs Optuna", "optuna")
    assert isinstance(error, ImportError)
    assert isinstance(error, MissingExtraError)
    assert str(error) == "an export needs Optuna: pip install 'ma2ml-env[optuna]'"


@pytest.mark.parametrize(
    ("name", "names", "sentence"),
    [
        ("rotation", ["Rotate", "Solarize"], "did you mean 'Rotate'? Choose from ['Rotate', 'Solarize']"),
        ("xyz", ["b", "a"], "choose from ['a', 'b']"),
        ("n1", [f"n{i}{i}" for i in range(40)], "did you mean 'n11'?"),
        (3, [1, 2], "choose from ['1', '2']"),
        ("a", [], "there is none to choose from"),
    ],
)
def test_the_nearest_name_is_suggested(name: object, names: list[object], sentence: str) -> None:
    assert nearest(name, names) == sentence


def test_a_file_is_replaced_only_when_its_successor_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "öld")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass  # nothing was written
    assert path.read_text(encoding="utf-8") == "öld"
    write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "[", "\x00", "[" * 5000])
def test_a_file_that_is_no_yaml_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(DamagedFileError, match="is not valid YAML"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("value", "fits"), [(1, True), (8, True), (0, False), (9, False), (math.nan, False), ("4", False)]
)
def test_a_number_out_of_range_is_refused_with_the_range(value: Any, fits: bool) -> None:
    if fits:
        require_range("filters", value, 1, 8)
        return
    with pytest.raises(MA2MLError, match=rf"filters must be in 1\.\.8, not {value!r}"):
        require_range("filters", value, 1, 8)


@pytest.mark.parametrize(("text", "number"), [("4e5", 4e5), ("-1.5E-3", -1.5e-3), (".5e1", 5.0), ("1e+2", 100.0)])
def test_a_number_with_an_exponent_is_a_number_in_a_file_and_in_an_option(
    text: str, number: float, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(f"constraint: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"constraint": number}
    assert parse_settings([[f"constraint={text}"]]) == {"constraint": number}


@pytest.mark.parametrize("text", ["e5", "4e", "four", "1e5x", "4_e5"])
def test_what_is_no_number_stays_a_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"name: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"name": text}
    assert parse_settings([[f"name={text}"]]) == {"name": text}


@pytest.mark.parametrize("choices", [range(10**9), itertools.count()])
def test_a_decision_of_a_billion_choices_is_refused_at_once(choices: Any) -> None:
    with pytest.raises(MA2MLError, match="'x' has more than 1,000,000 choices"):
        Decision("x", choices)


@pytest.mark.parametrize(
    ("skeleton", "settings"),
    [
        (NASNetSkeleton, {"filters": 10**9, "repeats": 1}),
        (NASNetSkeleton, {"filters": 8, "repeats": 10**9}),
        (NASNetSkeleton, {"filters": 8, "repeats": 1, "stages": 10**9}),
        (NASNetSkeleton, {"filters": 8, "repeats": 1, "stem_multiplier": math.inf}),
        (DARTSSkeleton, {"layers": 10**9}),
        (DARTSSkeleton, {"filters": math.inf}),
        (FBNetV3Skeleton, {"head_width": 10**9}),
    ],
)
def test_a_network_of_absurd_size_is_refused_in_one_sentence(skeleton: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(MA2MLError, match=rf"({'|'.join(settings)}) must be in "):
        skeleton(**settings)


def test_a_training_of_absurd_length_is_refused() -> None:
    with pytest.raises(MA2MLError, match=r"retrain_epochs must be in 1\.\.1,000,000, not 1000000000000"):
        TrainEvaluator(Digits(), NASNetSkeleton(2, 1), epochs=1, retrain_epochs=10**12)
