"""CIFAR with fewer and smaller images, and its files from folders of pictures."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import CIFAR, write_cifar
from PIL import Image

from ma2ml_env.tasks import cifar
from ma2ml_env.tasks.cifar import CIFAR10, CIFAR100
from ma2ml_env.tasks.cifar_files import write_binary_files


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "TRAIN_IMAGES", 200)
    monkeypatch.setattr(cifar, "TEST_IMAGES", 20)


@pytest.fixture
def root(tmp_path: Path) -> str:
    write_cifar(tmp_path, 10, train=200, test=20)
    return str(tmp_path)


def rows(pixels: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in pixels}


def write_pictures(folder: Path, records: dict[str, np.ndarray], test_file: str = "test_batch.bin") -> None:
    """The records as PNG files in folders of classes."""
    for name, images in records.items():
        for number, (label, *pixels) in enumerate(images.tolist()):
            part = folder / ("test" if name == test_file else "train") / cifar.CIFAR10_CLASSES[label]
            part.mkdir(parents=True, exist_ok=True)
            picture = np.array(pixels, dtype=np.uint8).reshape(3, 32, 32).transpose(1, 2, 0)
            Image.fromarray(picture).save(part / f"{name}-{number}.png")


def test_parts_have_the_sizes_asked_for_equally_many_of_each_class_and_no_image_in_common(root: str) -> None:
    splits = CIFAR10(root=root, train_images=50, validation_images=100).load()
    assert torch.bincount(splits.train.labels).tolist() == [5] * 10
    assert torch.bincount(splits.validation.labels).tolist() == [10] * 10
    assert len(splits.test) == 20
    assert not rows(splits.train.pixels) & rows(splits.validation.pixels)


def test_fewer_images_are_among_more_and_the_held_out_ones_stay(root: str) -> None:
    few, more, rest = (CIFAR10(root=root, train_images=n, validation_images=40).load() for n in (20, 60, None))
    assert rows(few.train.pixels) < rows(more.train.pixels) < rows(rest.train.pixels)
    assert len(rest.train) == 160
    assert torch.equal(few.validation.pixels, rest.validation.pixels)


def test_the_order_of_the_files_changes_nothing(root: str, tmp_path: Path) -> None:
    task = CIFAR10(root=root, train_images=50, validation_images=50)
    folder = tmp_path / CIFAR[10].folder
    before = task.load()
    records = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in CIFAR[10].train])
    sorted_by_class = records[np.argsort(records[:, 0], kind="stable")]
    for name, part in zip(CIFAR[10].train, np.split(sorted_by_class, 5), strict=True):
        part.tofile(folder / name)
    cifar._load.cache_clear()
    after = task.load()
    for one, other in ((before.train, after.train), (before.validation, after.validation)):
        assert torch.equal(one.pixels, other.pixels)
        assert torch.equal(one.labels, other.labels)


def test_classes_are_not_one_after_the_other(root: str) -> None:
    labels = CIFAR10(root=root, train_images=100, validation_images=50).load().validation.labels
    assert len(labels[:10].unique()) > 1


def test_the_images_of_a_class_are_taken_in_the_order_of_their_hashes(root: str) -> None:
    held_out = CIFAR10(root=root, validation_images=10).load()
    rest, validation = held_out.train.pixels, held_out.validation.pixels

    def digest(image: torch.Tensor) -> bytes:
        return hashlib.sha256(b"\0" + image.numpy().tobytes()).digest()

    for label in range(10):
        first = digest(validation[held_out.validation.labels == label][0])
        assert first < min(digest(image) for image in rest[held_out.train.labels == label])


def test_a_smaller_image_holds_the_means_of_boxes(root: str) -> None:
    whole, half = (CIFAR10(root=root, image_size=size).load() for size in (32, 16))
    for part in ("train", "validation", "test"):
        means = torch.nn.functional.avg_pool2d(getattr(whole, part).pixels.float(), 2)
        off = (getattr(half, part).pixels.float() - means).abs().max()
        assert off <= 1  # rounded twice, along the rows and along the columns
        assert torch.equal(getattr(half, part).labels, getattr(whole, part).labels)


@pytest.mark.parametrize(
    ("task", "options", "says"),
    [
        (CIFAR10, {"train_images": 55}, "multiple of the 10 classes, not 55"),
        (CIFAR100, {"validation_images": 50}, "multiple of the 100 classes, not 50"),
        (CIFAR10, {"image_size": 0}, "image_size"),
    ],
)
def test_numbers_that_cannot_be_are_refused(task: type[CIFAR10], options: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        task(**options)


def test_more_images_than_there_are_are_refused(root: str) -> None:
    with pytest.raises(ValueError, match="150 train_images and 100 validation_images are more than 200 images"):
        CIFAR10(root=root, train_images=150, validation_images=100).load()


def test_folders_of_pictures_become_the_files_that_the_task_reads(root: str, tmp_path: Path) -> None:
    records = {name: np.fromfile(tmp_path / CIFAR[10].folder / name, np.uint8).reshape(-1, 3073)
               for name in (*CIFAR[10].train, *CIFAR[10].test)}  # fmt: skip
    write_pictures(tmp_path / "pictures", records)
    command = [sys.executable, "-m", "ma2ml_env.tasks.cifar_files", tmp_path / "pictures", tmp_path / "out"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [Path(line).name for line in written] == [*CIFAR[10].train, *CIFAR[10].test]
    for options in ({"train_images": 50, "validation_images": 50}, {"train_images": 20, "image_size": 16}):
        ours, theirs = (CIFAR10(root=str(folder), **options).load() for folder in (root, tmp_path / "out"))
        assert torch.equal(ours.train.pixels, theirs.train.pixels)
        assert torch.equal(ours.validation.labels, theirs.validation.labels)


def test_pictures_that_are_not_cifar_s_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has the folders \[\]"):
        write_binary_files(tmp_path, tmp_path / "out")
    record = np.zeros((10, 3073), dtype=np.uint8)
    record[:, 0] = np.arange(10)
    write_pictures(tmp_path, {"train.bin": record})
    with pytest.raises(ValueError, match=r"test.airplane has no images"):
        write_binary_files(tmp_path, tmp_path / "out")
    write_pictures(tmp_path, {"train.bin": record[:1, :], "more": record[:1]})
    with pytest.raises(ValueError, match="11 images, which do not fill 5 equal files"):
        write_binary_files(tmp_path, tmp_path / "out")
    Image.new("RGB", (16, 16)).save(tmp_path / "train" / "airplane" / "small.png")
    with pytest.raises(ValueError, match=r"small\.png has 16x16 pixels"):
        write_binary_files(tmp_path, tmp_path / "out")
