"""A saved model: what comes back, and which damage is refused."""

from __future__ import annotations

import copy
import importlib.util
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ma2ml_env import load_model
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.models import build_network
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.image_form import ImageForm
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
        lambda description: description.update(images="digits"),
        lambda description: description["images"].update(image_size=math.inf),
        lambda description: description["images"].update(image_size=10**9),
        lambda description: description["images"].update(channels=2),
        lambda description: description["images"].update(classes=[]),
        lambda description: description["images"].update(classes=["a"] * 10**5),
        lambda description: description["network"].update(filters=math.inf),
        lambda description: description["network"].update(filters=60_000),
        lambda description: description["network"].update(repeats=10**12),
        lambda description: description["network"].update(stem_multiplier=math.inf),
        lambda description: description["normalization"].update(mean=[0.1, 0.2]),
        lambda description: description["normalization"].update(mean=0.1),
        lambda description: description.update(network=None),
    ],
)
def test_a_description_that_does_not_fit_the_weights_is_refused(saved: Path, change) -> None:
    redescribed(saved, change)
    with pytest.raises(ValueError, match=str(saved)):
        load_model(saved)


def test_a_model_file_cannot_name_code_to_run(saved: Path, tmp_path: Path) -> None:
    redescribed(saved, lambda d: d.update(images=None, task={"kind": "os:mkdir", "path": str(tmp_path / "made")}))
    with pytest.raises(ValueError, match="unknown kind 'os:mkdir'"):
        load_model(saved)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(1, 1, 9, 9, dtype=torch.uint8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(8, 8, dtype=torch.uint8),
        torch.zeros(1, 1, 8, 8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(model: Classifier, pixels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"images must be uint8 of shape \(N, 1, 8, 8\), not "):
        model.predict(pixels)


def test_a_model_of_ones_own_task_is_kept_and_comes_back_without_the_task(model: Classifier, tmp_path: Path) -> None:
    class Mine(Digits):
        pass

    mine = Mine(name="mine", classes=tuple("abcdefghij"))
    Classifier(model.network, model.genotype, model.skeleton, model.normalization, mine).save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.images == ImageForm("mine", 8, 1, tuple("abcdefghij"))
    pixels = Digits().load().test.pixels[:20]
    assert again.predict(pixels) == ["abcdefghij"[int(name)] for name in model.predict(pixels)]


@dataclass(frozen=True)
class MySkeleton(NASNetSkeleton):
    """A skeleton that no catalogue knows."""


def test_a_network_that_cannot_be_saved_is_refused_before_it_is_trained(model: Classifier, tmp_path: Path) -> None:
    says = r"a model with a MySkeleton cannot be saved; these networks can: \[.*'nasnet'.*\]"
    mine = Classifier(model.network, model.genotype, MySkeleton(2, 1, 2), model.normalization, Digits())
    with pytest.raises(MA2MLError, match=says):
        mine.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(MA2MLError, match=says):
        TrainEvaluator(Digits(), MySkeleton(2, 1, 2), epochs=1, retrain_epochs=1).check_savable()


def test_a_model_of_the_format_before_is_loaded(model: Classifier, saved: Path) -> None:
    with safe_open(str(saved), framework="pt") as file:
        description = json.loads(file.metadata()["description"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    form = description.pop("images")
    description["task"] = {"kind": "digits", **form}
    save_file(weights, saved, metadata={"format": "ma2ml-classifier-1", "description": json.dumps(description)})
    pixels = Digits().load().test.pixels[:20]
    assert load_model(saved).predict(pixels) == model.predict(pixels)


def exported_to_onnx(model: Classifier, pixels: torch.Tensor, folder: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    import onnxruntime

    torch.onnx.export(model, (pixels,), str(folder / "model.onnx"), input_names=["pixels"], dynamo=True)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    return lambda images: torch.from_numpy(session.run(None, {"pixels": images.numpy()})[0])


ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))


@pytest.mark.parametrize("way", ["trace", "export", "state", *(["onnx"] if ONNX else [])])
def test_an_exported_model_gives_the_same_logits_every_time(model: Classifier, way: str, tmp_path: Path) -> None:
    pixels = Digits().load().test.pixels[:16]
    example, kept = pixels.clone(), pixels.clone()
    exported: Callable[[torch.Tensor], torch.Tensor]
    if way == "trace":
        exported = torch.jit.trace(model, example)
    elif way == "export":
        exported = torch.export.export(model, (example,)).module()
    elif way == "onnx":
        exported = exported_to_onnx(model, example, tmp_path)
    else:
        exported = copy.deepcopy(model)
        exported.normalization = Normalization((0.0,), (1.0,))
        exported.load_state_dict(model.state_dict())
    for _ in range(3):  # constants that are changed in place show at the second call
        with torch.no_grad():
            torch.testing.assert_close(exported(pixels), model(pixels), rtol=1e-4, atol=1e-5)
    assert torch.equal(pixels, kept)


def test_the_normalization_is_bit_equal_to_the_formula_and_leaves_its_input_alone() -> None:
    images = Digits().load().train
    normalization = Normalization.of(images)
    mean = torch.tensor(normalization.mean).mul_(255.0).view(1, -1, 1, 1)
    scale = torch.tensor(normalization.std).mul_(255.0).reciprocal_().view(1, -1, 1, 1)
    for pixels in (images.pixels, images.pixels.float()):
        kept = pixels.clone()
        assert torch.equal(normalization(pixels), pixels.float().sub(mean).mul(scale))
        assert torch.equal(pixels, kept)
