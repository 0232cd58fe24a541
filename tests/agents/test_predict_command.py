"""`ma2ml predict`: pictures found, classified and written."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import untrained_classifier

from ma2ml_agents.commands import main
from ma2ml_agents.commands.predict import classify, picture_files
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training import pixels
from ma2ml_env.training.export import export


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight pictures in folders, other files among them, and a model; the current folder."""
    monkeypatch.chdir(tmp_path)
    images = Digits().load().test.pixels[:8, 0].numpy()
    for number, image in enumerate(images):
        folder = Path("shelf") / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    Path("shelf/notes.txt").write_text("no picture")
    Path("shelf/a/.hidden.png").write_text("no picture")
    Path("empty").mkdir()
    untrained_classifier().save("model.safetensors")
    return tmp_path


def names(*patterns: str) -> list[str]:
    return [file.as_posix() for file in picture_files(patterns)]


IN_A, IN_B = [
    [f"shelf/{folder}/{number}.png" for number in numbers] for folder, numbers in (("a", "0246"), ("b", "1357"))
]


def test_files_folders_and_patterns_are_found_in_order(shelf: Path) -> None:
    assert names("shelf") == IN_A + IN_B
    assert names("shelf/b", "shelf/a/2.png") == [*IN_B, "shelf/a/2.png"]
    assert names("shelf/?/[0-3].png") == [*IN_A[:2], *IN_B[:2]]
    assert names("shelf/**/*") != []
    assert names("shelf/**/*.png") == IN_A + IN_B
    assert names("shelf/notes.txt") == ["shelf/notes.txt"], "a file that is named may end in anything"
    assert names("empty", "shelf/*.jpg") == []
    Path("[a].png").write_bytes(b"")
    assert names("[a].png") == ["[a].png"], "a file that exists is no pattern"
    assert names("nowhere.png", "shelf/b/1.png") == ["nowhere.png", "shelf/b/1.png"], "it is named when it is read"


def test_every_picture_has_a_line_with_its_class_and_probability(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "model.safetensors", "shelf"]) == 0
    proba = untrained_classifier().predict_proba([shelf / name for name in IN_A + IN_B])
    expected = [f"{name}: {row.argmax()} {row.max():.2%}" for name, row in zip(IN_A + IN_B, proba, strict=True)]
    assert capsys.readouterr().out.splitlines() == expected


def test_csv_and_json_hold_the_most_probable_classes(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (probabilities,) = untrained_classifier().predict_proba(shelf / IN_A[0])
    ranked = np.argsort(-probabilities)[:3]
    assert main(["predict", "model.safetensors", *IN_A[:2], "--top", "3", "--out", "csv"]) == 0
    head, first, _ = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head == ["file", "class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
    assert [first[0], *first[1::2]] == [IN_A[0], *(str(index) for index in ranked)]
    assert [float(cell) for cell in first[2::2]] == pytest.approx(list(probabilities[ranked]), rel=1e-4)
    assert main(["predict", "model.safetensors", "shelf", "--top", "3", "--out", "found.json"]) == 0
    assert capsys.readouterr().out == ""
    found = json.loads(Path("found.json").read_text())
    assert [entry["file"] for entry in found] == IN_A + IN_B
    assert [part["class"] for part in found[0]["classes"]] == [str(index) for index in ranked]
    assert [part["probability"] for part in found[0]["classes"]] == pytest.approx(list(probabilities[ranked]), rel=1e-5)


def test_an_onnx_file_and_a_run_answer_as_the_model_does(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(untrained_classifier(), Path("model.onnx"), "onnx")
    said = []
    for model in ("model.safetensors", "model.onnx", "."):
        assert main(["predict", model, "shelf/a", "--out", "csv"]) == 0
        said.append([(row[0], row[1]) for row in csv.reader(io.StringIO(capsys.readouterr().out))])
    assert said[0] == said[1] == said[2]


def test_a_damaged_picture_is_named_and_skipped(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("shelf/a/1.png").write_text("no picture")
    whole = Path(IN_A[2]).read_bytes()
    Path(IN_A[2]).write_bytes(whole[: len(whole) // 2])
    assert main(["predict", "model.safetensors", "shelf", "--out", "json"]) == 1
    said = capsys.readouterr()
    assert [entry["file"] for entry in json.loads(said.out)] == [IN_A[0], IN_A[1], IN_A[3], *IN_B]
    assert "skipped: shelf/a/1.png cannot be read" in said.err
    assert f"skipped: {IN_A[2]} cannot be read" in said.err
    assert "2 pictures were skipped" in said.err


def test_missing_and_corrupt_pictures_are_named_and_the_others_classified(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.png").write_bytes(b"no picture")
    assert main(["predict", "model.safetensors", IN_A[0], "missing.png", "bad.png", IN_B[0]]) == 1
    said = capsys.readouterr()
    assert [line.partition(":")[0] for line in said.out.splitlines()] == [IN_A[0], IN_B[0]]
    assert said.err.splitlines() == [
        "ma2ml predict: skipped: missing.png cannot be read: there is no such file",
        "ma2ml predict: skipped: bad.png cannot be read: it is no picture",
        "ma2ml predict: 2 pictures were skipped, as above",
    ]


def test_pictures_of_which_none_can_be_read_are_an_empty_list(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "model.safetensors", "shelf/notes.txt", "--out", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_pictures_are_read_as_their_predictions_are_used(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LARGEST_BATCH", 2)
    files = iter([Path(name) for name in IN_A])
    next(classify(untrained_classifier(), files, 1, []))
    assert len(list(files)) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["model.safetensors"], "name the pictures: files, folders, or patterns"),
        (["model.safetensors", "empty"], "no pictures found in empty; they end in .jpg"),
        (["nowhere", "shelf"], "there is no run and no model nowhere"),
        (["empty", "shelf"], "empty holds no model.safetensors"),
        (["model.pt2", "shelf"], "name the run, a safetensors or an ONNX file"),
        (["model.safetensors", "shelf", "--top", "11"], "--top must be in 1..10, not 11"),
        (["model.safetensors", "shelf", "--out", "jsn"], "not 'jsn'; did you mean 'json'?"),
        (["model.safetensors", "shelf", "--out", "nowhere/found.csv"], "nowhere/found.csv"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], says: str, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("model.pt2").write_text("")
    assert main(["predict", *arguments]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_onnx_without_its_library_names_the_extra(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    Path("model.onnx").write_text("")
    assert main(["predict", "model.onnx", "shelf"]) == 2
    assert "pip install 'ma2ml-env[onnx]'" in capsys.readouterr().err
