"""CIFAR and ImageNet, on small files that the tests write in the same formats."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_files import CIFAR, write_cifar, write_imagenet
from PIL import Image, ImageOps

from ma2ml_env.augment import augment
from ma2ml_env.errors import DamagedFileError, MissingDataError
from ma2ml_env.search_spaces.autoaugment import Operation, Policy, SubPolicy
from ma2ml_env.tasks import cifar, decoded, imagenet
from ma2ml_env.tasks.cifar import CIFAR10, CIFAR100
from ma2ml_env.tasks.imagenet import ImageNet
from ma2ml_env.tasks.location import data_folder

TASKS = {10: CIFAR10, 100: CIFAR100}
PROXY = ImageNet(num_classes=5, image_size=12)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "TRAIN_IMAGES", 1000)
    monkeypatch.setattr(cifar, "TEST_IMAGES", 100)
    monkeypatch.delenv("MA2ML_DATA", raising=False)


def rows(pixels: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
    return sorted((image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True))


@pytest.mark.parametrize("classes", TASKS)
def test_every_cifar_image_is_in_one_part_with_its_fine_label_and_its_pixels_in_place(classes, tmp_path) -> None:
    records = write_cifar(tmp_path, classes, train=1000, test=100)
    layout, splits = CIFAR[classes], TASKS[classes](root=str(tmp_path)).load()
    labels, width = layout.label_bytes - 1, layout.label_bytes
    for names, parts in ((layout.train, (splits.train, splits.validation)), (layout.test, (splits.test,))):
        written = np.concatenate([records[name] for name in names])
        pixels = torch.cat([part.pixels for part in parts]).flatten(1).numpy()
        assert rows(pixels, torch.cat([part.labels for part in parts]).numpy()) == rows(
            written[:, width:], written[:, labels]
        )
    first = splits.train.pixels[0]
    assert (first.dtype, first.shape) == (torch.uint8, (3, 32, 32))
    assert torch.bincount(splits.validation.labels, minlength=classes).tolist() == [100 // classes] * classes


def test_the_red_green_and_blue_planes_of_cifar_stay_apart(tmp_path) -> None:
    records = write_cifar(tmp_path, 10, train=1000, test=100)["test_batch.bin"]
    test = CIFAR10(root=str(tmp_path)).load().test
    for channel in range(3):
        plane = records[:, 1 + 1024 * channel : 1 + 1024 * (channel + 1)]
        np.testing.assert_array_equal(test.pixels[:, channel].flatten(1).numpy(), plane)


def test_five_thousand_images_of_the_whole_cifar_are_held_out() -> None:
    assert 50_000 * cifar.VALIDATION_SHARE == 5_000


FINGERPRINT = """
import hashlib, sys
from ma2ml_env.augment import augment
from ma2ml_env.errors import DamagedFileError, MissingDataError
from ma2ml_env.search_spaces.autoaugment import Operation, Policy, SubPolicy
from ma2ml_env.tasks import cifar
from ma2ml_env.tasks.imagenet import ImageNet
cifar.TRAIN_IMAGES, cifar.TEST_IMAGES = 1000, 100
for task in (cifar.CIFAR10(root=sys.argv[1]), ImageNet(num_classes=5, image_size=12, root=sys.argv[1])):
    for part in vars(task.load()).values():
        print(hashlib.sha256(part.pixels.numpy().tobytes() + part.labels.numpy().tobytes()).hexdigest())
"""


def test_another_process_makes_the_very_same_splits(tmp_path) -> None:
    write_cifar(tmp_path, 10, train=1000, test=100)
    write_imagenet(tmp_path, PROXY)
    ran = subprocess.run([sys.executable, "-c", FINGERPRINT, tmp_path], capture_output=True, text=True, check=True)
    tasks = (CIFAR10(root=str(tmp_path)), replace(PROXY, root=str(tmp_path)))
    parts = [part for task in tasks for part in vars(task.load()).values()]
    here = [hashlib.sha256(p.pixels.numpy().tobytes() + p.labels.numpy().tobytes()).hexdigest() for p in parts]
    assert ran.stdout.split() == here


@pytest.mark.parametrize("classes", TASKS)
def test_missing_cifar_files_are_listed_with_where_to_get_them(classes, tmp_path) -> None:
    layout = CIFAR[classes]
    write_cifar(tmp_path, classes, train=1000, test=100)
    (tmp_path / layout.folder / layout.test[0]).unlink()
    with pytest.raises(ValueError, match=f"missing {layout.folder}/{layout.test[0]}. Unpack {layout.archive}") as error:
        TASKS[classes](root=str(tmp_path)).load()
    assert str(tmp_path) in str(error.value)
    assert layout.train[0] not in str(error.value)


@pytest.mark.parametrize("change", [-1, -3073, 1])
def test_a_cifar_file_of_a_wrong_length_is_refused_by_name(change, tmp_path) -> None:
    records = write_cifar(tmp_path, 10, train=1000, test=100)["data_batch_3.bin"].tobytes()
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(records[:change] if change < 0 else records + b"\0")
    says = rf"data_batch_3.bin has {len(records) + change:,} bytes, it must have {len(records):,}"
    with pytest.raises(ValueError, match=says):
        CIFAR10(root=str(tmp_path)).load()


def test_a_cifar_label_out_of_range_is_refused(tmp_path) -> None:
    records = write_cifar(tmp_path, 10, train=1000, test=100)["test_batch.bin"]
    records[7, 0] = 10
    records.tofile(tmp_path / "cifar-10-batches-bin" / "test_batch.bin")
    with pytest.raises(ValueError, match="a label is 10, CIFAR-10 has 0 to 9"):
        CIFAR10(root=str(tmp_path)).load()


def test_data_lies_where_it_is_said_then_in_the_variable_then_in_the_home(tmp_path, monkeypatch) -> None:
    assert data_folder(None, "imagenet") == Path.home() / ".cache" / "ma2ml" / "imagenet"
    monkeypatch.setenv("MA2ML_DATA", str(tmp_path))
    assert data_folder(None, "imagenet") == tmp_path / "imagenet"
    assert data_folder("~/mine", "imagenet") == Path.home() / "mine"
    write_cifar(tmp_path, 10, train=1000, test=100)
    assert len(CIFAR10().load().test) == 100


def test_a_subset_of_imagenets_classes_is_fixed_and_part_of_the_larger_ones() -> None:
    every, some, few = (ImageNet(num_classes=n).classes for n in (1000, 200, 50))
    assert set(few) < set(some) < set(every)
    assert [len(set(c)) for c in (every, some, few)] == [1000, 200, 50]
    assert list(some) == sorted(some)
    smallest = sorted(every, key=lambda name: hashlib.sha256(f"0:{name}".encode()).digest())[:200]
    assert set(some) == set(smallest)


@pytest.mark.parametrize("bad", [{"num_classes": 1}, {"num_classes": 1001}, {"image_size": 0}])
def test_an_imagenet_that_cannot_be_is_refused(bad) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        ImageNet(**bad)


def test_imagenets_images_are_cropped_resized_and_labeled_by_their_folder(tmp_path) -> None:
    write_imagenet(tmp_path, PROXY, train=30, test=2)
    splits = replace(PROXY, root=str(tmp_path)).load()
    sizes = [torch.bincount(part.labels).tolist() for part in (splits.train, splits.validation, splits.test)]
    assert sizes == [[29] * 5, [1] * 5, [2] * 5]
    name = PROXY.classes[3]
    for image in range(2):
        with Image.open(tmp_path / "val" / name / f"{name}_{image}.JPEG") as opened:
            square = opened.crop(((opened.width - 16) / 2, 0, (opened.width + 16) / 2, 16))
            expected = np.asarray(ImageOps.fit(opened, (12, 12), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
            assert np.abs(expected.mean((1, 2)) - np.asarray(square).mean((0, 1))).max() < 1
        np.testing.assert_array_equal(splits.test.pixels[splits.test.labels == 3][image].numpy(), expected)
    together = torch.cat([splits.train.pixels, splits.validation.pixels])[:, 2, 6, 6]
    assert len(set(together.tolist())) > 5, "images of a class differ"


def test_train_and_validation_of_imagenet_together_are_a_view_of_its_file(tmp_path) -> None:
    write_imagenet(tmp_path, PROXY)
    splits = replace(PROXY, root=str(tmp_path)).load()
    both = splits.train_and_validation
    assert both.pixels.data_ptr() == splits.train.pixels.data_ptr()
    assert torch.equal(both.pixels, torch.cat([splits.train.pixels, splits.validation.pixels]))
    assert torch.equal(both.labels, torch.cat([splits.train.labels, splits.validation.labels]))


def test_imagenets_images_are_decoded_once_until_they_change(tmp_path, monkeypatch) -> None:
    write_imagenet(tmp_path, PROXY)
    task = replace(PROXY, root=str(tmp_path))
    before = task.load()
    assert before.train.pixels.untyped_storage().data_ptr() == before.test.pixels.untyped_storage().data_ptr()

    calls = []
    read = decoded.read_picture
    monkeypatch.setattr(decoded, "read_picture", lambda *arguments: calls.append(arguments) or read(*arguments))
    imagenet._load.cache_clear()
    before.train.pixels[0] = 7
    assert (task.load().train.pixels[0] != 7).any(), "what a process writes does not reach the file"
    assert not calls
    name = PROXY.classes[0]
    Image.new("L", (16, 16), 200).save(tmp_path / "train" / name / "new.png")
    imagenet._load.cache_clear()
    assert len(task.load().train) == len(before.train) + 1
    assert len(calls) == 5 * 4 + 1


def test_a_cache_folder_of_ones_own_is_used_and_one_that_cannot_be_made_is_refused(tmp_path) -> None:
    write_imagenet(tmp_path, PROXY)
    task = replace(PROXY, root=str(tmp_path), cache=str(tmp_path / "elsewhere"))
    task.load()
    assert [path.suffix for path in sorted((tmp_path / "elsewhere").iterdir()) if path.suffix != ".lock"] == [".npy"]
    assert not (tmp_path / "decoded").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot keep decoded images in .*file.*setting cache"):
        replace(task, cache=str(tmp_path / "file")).load()


def test_a_disk_without_room_is_refused_before_anything_is_decoded(tmp_path, monkeypatch) -> None:
    write_imagenet(tmp_path, PROXY)
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5 * 4 * 3 * 12**2 - 1))
    monkeypatch.setattr(decoded, "read_picture", None)
    with pytest.raises(ValueError, match="GB are needed"):
        replace(PROXY, root=str(tmp_path)).load()


def test_a_damaged_cache_is_refused_by_name(tmp_path) -> None:
    write_imagenet(tmp_path, PROXY)
    task = replace(PROXY, root=str(tmp_path))
    task.load()
    (kept,) = (tmp_path / "decoded").glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-100])
    imagenet._load.cache_clear()
    with pytest.raises(ValueError, match=f"{kept.name} is damaged, remove it"):
        task.load()


def test_missing_class_folders_are_listed_with_how_they_should_lie(tmp_path) -> None:
    with pytest.raises(ValueError, match=rf"missing train/{PROXY.classes[0]}.* and 4 more. .*ImageFolder"):
        replace(PROXY, root=str(tmp_path)).load()
    write_imagenet(tmp_path, PROXY)
    gone = tmp_path / "val" / PROXY.classes[2]
    for file in gone.iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=f"too few images in val/{PROXY.classes[2]};"):
        replace(PROXY, root=str(tmp_path)).load()
    gone.rmdir()
    with pytest.raises(ValueError, match=rf"missing val/{PROXY.classes[2]}\. "):
        replace(PROXY, root=str(tmp_path)).load()


def test_unreadable_images_are_named_together_and_nothing_is_kept(tmp_path) -> None:
    write_imagenet(tmp_path, PROXY)
    folder = tmp_path / "train" / PROXY.classes[1]
    text, truncated, good = sorted(folder.iterdir())
    text.write_text("not an image")
    Image.effect_noise((64, 64), 50).save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:400])
    with pytest.raises(ValueError, match="2 images cannot be read") as error:
        replace(PROXY, root=str(tmp_path)).load()
    assert text.name in str(error.value)
    assert truncated.name in str(error.value)
    assert good.name not in str(error.value)
    assert not [path for path in (tmp_path / "decoded").iterdir() if path.suffix != ".lock"]


def test_hidden_files_and_folders_named_like_images_are_no_images(tmp_path) -> None:
    write_imagenet(tmp_path, PROXY)
    task = replace(PROXY, root=str(tmp_path))
    before = task.load().train.pixels.clone()
    for name in task.classes:
        (tmp_path / "train" / name / f"._{name}_0.JPEG").write_bytes(b"\x00\x05\x16\x07macOS")
        (tmp_path / "train" / name / "old.jpeg").mkdir()
    imagenet._load.cache_clear()
    assert torch.equal(task.load().train.pixels, before)


def test_an_image_of_absurd_size_is_named_and_not_decoded(tmp_path, monkeypatch) -> None:
    write_imagenet(tmp_path, PROXY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DamagedFileError, match=r"images cannot be read: .*decompression bomb"):
        replace(PROXY, root=str(tmp_path)).load()


def test_without_a_home_the_error_names_the_variable(monkeypatch) -> None:
    monkeypatch.delenv("MA2ML_DATA", raising=False)

    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(MissingDataError, match=r"no home folder .* setting root .* variable MA2ML_DATA"):
        CIFAR10().load()


def test_floating_images_of_0_to_255_are_refused() -> None:
    images = torch.full((1, 1, 4, 4), 200.0)
    with pytest.raises(ValueError, match=r"floating images are in \[0, 1\], these in \[200, 200\]; divide"):
        augment(images, Policy((SubPolicy((Operation("Invert", 1.0),)),)), torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"these in \[nan, nan\]"):
        augment(images * math.nan, Policy((SubPolicy((Operation("Invert", 1.0),)),)), torch.Generator())
