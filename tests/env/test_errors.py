"""The family of errors, and files that are replaced as a whole."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ma2ml_env import errors
from ma2ml_env.errors import DamagedFileError, MA2MLError, MissingExtraError, missing_extra, nearest
from ma2ml_env.files import read_yaml, replacing, write_text


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
