"""A saved model: what comes back, and which damage is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ma2ml_env import load_model
from ma2ml_env.models import build_network
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.loop import Normalization


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    genotype, skeleton, task = nasnet().decode(nasnet().default), NASNetSkeleton(2, 1, 2), Digits()
    network = build_network(genotype, skeleton, image_size=8, in_channels=1, num_classes=10)
    return Classifier(network, genotype, skeleton, Normalization.of(task.load().train), task).eval()


@pytest.fixture
def saved(model: Classifier, tmp_path: Path) -> Path:
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def redescribed(path: Path, change: Callable[[dict], object]) -> None:
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    description = json.loads(metadata["description"])
    change(description)
    save_file(weights, path, metadata={**metadata, "description": json.dumps(description)})


def test_what_comes_back_gives_the_very_same_logits(model: Classifier, saved: Path) -> None:
    pixels = Digits().load().test.pixels[:50]
    with torch.no_grad():
        torch.testing.assert_close(load_model(saved)(pixels), model(pixels))
    assert load_model(saved).genotype == model.genotype
    assert [path.name for path in saved.parent.iterdir()] == [saved.name], "nothing else is left behind"


@pytest.mark.parametrize("kept", [0, 4, 200, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved: Path, kept: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match="cannot load a model from"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda description: description["network"].update(filters=4),
        lambda description: description["network"].update(kind="nasnt"),
        lambda description: description["network"].update(kind="os:getcwd"),
        lambda description: description.pop("genotype"),
        lambda description: description["genotype"].clear(),
        lambda description: description["normalization"].update(mean="dark"),
        lambda description: description.update(task="digits"),
        lambda description: description.update(network=None),
    ],
)
def test_a_description_that_does_not_fit_the_weights_is_refused(saved: Path, change) -> None:
    redescribed(saved, change)
    with pytest.raises(ValueError, match=str(saved)):
        load_model(saved)


def test_a_model_file_cannot_name_code_to_run(saved: Path, tmp_path: Path) -> None:
    redescribed(saved, lambda d: d.update(task={"kind": "os:mkdir", "path": str(tmp_path / "made")}))
    with pytest.raises(ValueError, match="unknown kind 'os:mkdir'"):
        load_model(saved)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(1, 1, 9, 9, dtype=torch.uint8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 1, 8, 8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(model: Classifier, pixels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"images must be uint8 of shape \(N, 1, 8, 8\), not "):
        model.predict(pixels)


def test_a_model_of_ones_own_task_says_why_it_cannot_be_saved(model: Classifier, tmp_path: Path) -> None:
    class Mine(Digits):
        pass

    mine = Classifier(model.network, model.genotype, model.skeleton, model.normalization, Mine())
    with pytest.raises(ValueError, match=r"a model with a Mine cannot be saved; these can: \[.*'digits'.*\]"):
        mine.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
