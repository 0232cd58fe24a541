"""A user's own folder of pictures: what is found in it, how it is split, and what is wrong with it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from picture_files import write_pictures
from PIL import Image

from ma2ml_env.errors import DamagedFileError, MA2MLError, MissingDataError
from ma2ml_env.tasks import decoded, image_folder
from ma2ml_env.tasks.image_folder import ImageFolder


@pytest.fixture(autouse=True)
def cache_of_decoded_images(tmp_path, monkeypatch):
    monkeypatch.setenv("MA2ML_DATA", str(tmp_path / "cache"))
    image_folder._load.cache_clear()


def folder(tmp_path, **counts: int):
    write_pictures(tmp_path / "data", counts)
    return tmp_path / "data"


def test_size_channels_and_classes_are_found(tmp_path) -> None:
    place = folder(tmp_path, dog=6, cat=5)
    Image.new("RGB", (40, 300)).save(place / "cat" / "tall.jpg")
    task = ImageFolder(str(place))
    assert (task.image_size, task.channels, task.classes, task.name) == (12, 3, ("cat", "dog"), "data")
    write_pictures(tmp_path / "gray", {"a": 3, "b": 3}, size=100, mode="L")
    assert (ImageFolder(str(tmp_path / "gray")).image_size, ImageFolder(str(tmp_path / "gray")).channels) == (64, 1)
    assert ImageFolder(str(place), image_size=9, channels=1).load().train.pixels.shape[1:] == (1, 9, 9)


def test_the_split_is_stratified_seeded_and_complete(tmp_path) -> None:
    task = ImageFolder(str(folder(tmp_path, a=20, b=10, c=3)))
    splits = task.load()
    assert task.report.counts == ((12, 6, 1), (4, 2, 1), (4, 2, 1))
    parts = (splits.train, splits.validation, splits.test)
    for part, counts in zip(parts, task.report.counts, strict=True):
        assert torch.bincount(part.labels).tolist() == list(counts)
        assert part.pixels.shape == (sum(counts), 3, 12, 12)
    together = torch.cat([part.pixels for part in parts]).flatten(1)
    assert len(torch.unique(together, dim=0)) == 33, "each picture is in one part"
    again = replace(task, cache=str(tmp_path / "other")).load()
    assert torch.equal(again.train.pixels, splits.train.pixels)
    assert not torch.equal(replace(task, seed=1).load().test.pixels, splits.test.pixels)
    assert ImageFolder(task.path, validation=0.1, test=0.5).report.counts == ((8, 4, 1), (2, 1, 1), (10, 5, 1))


def test_labels_belong_to_the_pictures(tmp_path) -> None:
    splits = ImageFolder(str(folder(tmp_path, a=8, b=8))).load()
    for part in (splits.train, splits.validation, splits.test):
        red = part.pixels[:, 0].float().mean(dim=(1, 2))
        assert torch.equal((red > 130).long(), part.labels)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_given_parts_are_kept_and_missing_ones_are_drawn_from_train(tmp_path, name: str) -> None:
    root = tmp_path / "data"
    write_pictures(root / "train", {"a": 10, "b": 5}, seed=1)
    write_pictures(root / "test", {"b": 3}, seed=2)
    assert ImageFolder(str(root)).report.counts == ((8, 4), (2, 1), (0, 3))
    write_pictures(root / name, {"a": 1, "b": 2}, seed=3)
    assert ImageFolder(str(root)).report.counts == ((10, 5), (1, 2), (0, 3))


def test_a_class_may_be_named_train(tmp_path) -> None:
    assert ImageFolder(str(folder(tmp_path, bus=3, car=3, train=3))).classes == ("bus", "car", "train")


def test_pictures_below_a_classs_folder_count_and_hidden_files_do_not(tmp_path) -> None:
    place = folder(tmp_path, a=3, b=3)
    shutil.copytree(place / "a", place / "b" / "more")
    (place / "b" / "._c.png").write_bytes(b"macOS")
    (place / "b" / "notes.txt").touch()
    (place / ".cache").mkdir()
    assert np.sum(ImageFolder(str(place)).report.counts, axis=0).tolist() == [3, 6]


def test_the_content_identifies_the_task_and_the_place_does_not(tmp_path) -> None:
    task = ImageFolder(str(folder(tmp_path, a=4, b=4)))
    copy = shutil.copytree(task.path, tmp_path / "copy")
    assert ImageFolder(str(copy)).content == task.content
    assert "copy" not in repr(ImageFolder(str(copy)))
    (copy / "a" / "0_000.png").rename(copy / "a" / "other.png")
    assert ImageFolder(str(copy)).content != task.content


def test_away_from_a_terminal_decoding_many_images_is_about_ten_lines(capsys) -> None:
    with decoded._progress(2000) as advance:
        for _ in range(2000):
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"decoding the images: {done:,} of 2,000" for done in (500, 1000, 1500, 2000)]
    with decoded._progress(499) as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_images_are_decoded_once_and_a_changed_folder_is_noticed(tmp_path, monkeypatch) -> None:
    task = ImageFolder(str(folder(tmp_path, a=4, b=4)))
    task.check_unchanged()
    before = task.load()
    assert before.train.pixels.untyped_storage().data_ptr() == before.test.pixels.untyped_storage().data_ptr()
    image_folder._load.cache_clear()
    with monkeypatch.context() as nothing:
        nothing.setattr(image_folder, "decode", None)
        assert torch.equal(task.load().test.pixels, before.test.pixels)
    (next((tmp_path / "data" / "a").iterdir())).unlink()
    with pytest.raises(MA2MLError, match="have changed: there are 7 now, of other names, sizes or content"):
        task.check_unchanged()
    with pytest.raises(MA2MLError, match="have changed"):
        replace(task, image_size=7).load()


def test_pictures_that_cannot_be_read_are_named_and_left_out_or_refused(tmp_path) -> None:
    place = folder(tmp_path, a=10, b=10)
    for name in ("a/0_003.png", "b/0_000.png"):
        (place / name).write_text("no picture")
    task = ImageFolder(str(place))
    splits, report = task.load(), task.report
    assert sum(map(sum, report.counts)) == 18
    assert [text.partition(" (")[0] for text in sorted(report.unreadable)] == [
        str(place / "a" / "0_003.png"),
        str(place / "b" / "0_000.png"),
    ]
    for part in (splits.train, splits.validation, splits.test):
        red = part.pixels[:, 0].float().mean(dim=(1, 2))
        assert torch.equal((red > 130).long(), part.labels), "rows and labels still belong together"
    with pytest.raises(DamagedFileError, match=r"^2 pictures cannot be read: .*0_003.png.*it is no picture.*strict"):
        replace(task, strict=True).load()


def test_a_class_of_which_nothing_can_be_read_is_refused(tmp_path) -> None:
    place = folder(tmp_path, a=5, b=3)
    for file in (place / "b").iterdir():
        file.write_text("no picture")
    with pytest.raises(DamagedFileError, match=r"no picture can be read of class 'b' to train on: .*it is no picture"):
        ImageFolder(str(place)).load()
    for file in (place / "a").iterdir():
        file.write_text("no picture")
    with pytest.raises(DamagedFileError, match=r"none of 8 pictures of .*data can be read"):
        ImageFolder(str(place))


def test_training_images_that_are_also_held_out_are_counted(tmp_path) -> None:
    root = tmp_path / "data"
    write_pictures(root / "train", {"a": 5, "b": 5}, seed=1)
    write_pictures(root / "test", {"a": 2, "b": 2}, seed=2)
    write_pictures(root / "val", {"a": 2, "b": 2}, seed=3)
    assert ImageFolder(str(root)).report.duplicates == 0
    shutil.copy(root / "val" / "a" / "3_000.png", root / "train" / "a" / "again.png")
    shutil.copy(root / "test" / "b" / "2_001.png", root / "train" / "b" / "again.png")
    assert ImageFolder(str(root)).report.duplicates == 2
    assert ImageFolder(str(root)).report.tested == 0
    shutil.copy(root / "val" / "a" / "3_001.png", root / "test" / "a" / "again.png")
    report = ImageFolder(str(root)).report
    assert (report.duplicates, report.tested) == (2, 1)


def test_folders_that_differ_in_pixels_alone_are_different(tmp_path) -> None:
    tasks = []
    for name, value in (("dark", 0), ("bright", 255)):
        for file in ("a/0.bmp", "a/1.bmp", "a/2.bmp", "b/0.bmp", "b/1.bmp", "b/2.bmp"):
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), value).save(tmp_path / name / file)
        tasks.append(ImageFolder(str(tmp_path / name)))
    dark, bright = tasks
    assert dark.content != bright.content
    assert (dark.load().train.pixels.max(), bright.load().train.pixels.min()) == (0, 255)
    Image.new("L", (8, 8), 9).save(tmp_path / "dark" / "a" / "1.bmp")
    with pytest.raises(MA2MLError, match="have changed"):
        dark.check_unchanged()


def test_a_class_that_is_added_without_pictures_is_refused(tmp_path) -> None:
    root = folder(tmp_path, a=5, b=5)
    ImageFolder(str(root)).load()
    (root / "c").mkdir()
    with pytest.raises(MA2MLError, match=r"too few images in 'c' \(0\)"):
        ImageFolder(str(root)).load()


def test_a_folder_may_be_named_from_the_home(tmp_path, monkeypatch) -> None:
    folder(tmp_path, a=5, b=5)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ImageFolder("~/data").classes == ("a", "b")


def test_a_search_may_train_on_some_and_the_final_training_uses_all(tmp_path) -> None:
    task = ImageFolder(str(folder(tmp_path, a=40, b=20)))
    all_of_them, some = task.load(), replace(task, train_images=12).load()
    assert torch.bincount(some.train.labels).tolist() == [8, 4]
    assert torch.equal(some.train_and_validation.pixels, all_of_them.train_and_validation.pixels)
    assert torch.equal(some.validation.pixels, all_of_them.validation.pixels)


BAD = {
    "none": (lambda root: None, MissingDataError, r"there is no folder .*data"),
    "empty": (lambda root: root.mkdir(), MissingDataError, r"there are no pictures in .*data: it must hold a folder"),
    "file": (lambda root: root.touch(), MA2MLError, r"data is a file; give the folder"),
    "no pictures": (
        lambda root: (root / "a").mkdir(parents=True),
        MissingDataError,
        r"there are no pictures in .*data: it must hold a folder per class",
    ),
    "no classes": (
        lambda root: write_pictures(root.parent, {"data": 3}),
        MA2MLError,
        r"data holds pictures, but no folder per class: put",
    ),
    "one class": (lambda root: write_pictures(root, {"a": 9}), MA2MLError, r"has one class only, 'a'"),
    "few": (
        lambda root: write_pictures(root, {"a": 9, "b": 2, "c": 1}),
        MA2MLError,
        r"too few images in 'b' \(2\), 'c' \(1\); a class needs at least 3, to train on, to validate and to test",
    ),
    "strange": (
        lambda root: (
            write_pictures(root / "train", {"a": 3, "b": 3}),
            write_pictures(root / "test", {"a": 3, "x": 1}),
        ),
        MA2MLError,
        r"test has the classes x, which train has not",
    ),
    "twice": (
        lambda root: [write_pictures(root / part, {"a": 3, "b": 3}) for part in ("train", "val", "valid")],
        MA2MLError,
        r"two folders for the validation part, val and valid; remove one",
    ),
    "no train": (
        lambda root: [write_pictures(root / part, {"a": 3, "b": 3}) for part in ("test", "val")],
        MA2MLError,
        r"has the folders test, val, but no train",
    ),
    "parts without classes": (
        lambda root: write_pictures(root, {"train": 3, "test": 3}),
        MA2MLError,
        r"train holds pictures, but no folder per class",
    ),
    "an empty part": (
        lambda root: (write_pictures(root / "train", {"a": 3, "b": 3}), (root / "val" / "a").mkdir(parents=True)),
        MissingDataError,
        r"there are no pictures in .*val: it must hold",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_folder_of_another_form_is_refused_in_one_line(tmp_path, name: str) -> None:
    make, error, message = BAD[name]
    make(tmp_path / "data")
    with pytest.raises(error, match=message) as refused:
        ImageFolder(str(tmp_path / "data")).load()
    assert "\n" not in str(refused.value)


def test_numbers_out_of_range_are_refused(tmp_path) -> None:
    place = str(folder(tmp_path, a=3, b=3))
    for settings, message in (
        ({"validation": 0.0}, r"validation is a share in \(0, 0.5\], not 0.0"),
        ({"test": 0.7}, "test is a share"),
        ({"image_size": -1}, "image_size must be in 0..16,384"),
        ({"channels": 2}, "channels are 1 or 3"),
    ):
        with pytest.raises(MA2MLError, match=message):
            ImageFolder(place, **settings)


def test_a_damaged_index_is_refused_by_name(tmp_path) -> None:
    task = ImageFolder(str(folder(tmp_path, a=3, b=3)))
    task.load()
    (index,) = (tmp_path / "cache" / "decoded").glob("*.json")
    index.write_text("{}")
    image_folder._load.cache_clear()
    with pytest.raises(DamagedFileError, match=rf"{index.name} is damaged, remove it"):
        task.load()
