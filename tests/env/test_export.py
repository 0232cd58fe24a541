"""Exported models: they agree with the original, and hold no pickle."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_models import CLASSES, SIZE, linear_classifier, softmax_by_hand, squares

from ma2ml_env import load_model
from ma2ml_env.errors import DamagedFileError, MA2MLError, MissingExtraError, UnknownNameError
from ma2ml_env.models import build_network
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training import export as exporting
from ma2ml_env.training.classifier import Classifier
from ma2ml_env.training.export import FORMATS, disagreement, export, require_format
from ma2ml_env.training.loop import Normalization
from ma2ml_env.training.onnx_file import OnnxModel

ABOUT = {"trial": 3, "interval": [0.9, 0.95]}


def nasnet_classifier() -> Classifier:
    torch.manual_seed(0)
    genotype, skeleton = nasnet().decode(nasnet().default), NASNetSkeleton(2, 1, 2)
    network = build_network(genotype, skeleton, image_size=8, in_channels=1, num_classes=10)
    return Classifier(network, genotype, skeleton, Normalization((0.3,), (0.4,)), Digits(), ABOUT)


@pytest.mark.parametrize("channels", [1, 3])
def test_onnx_takes_bytes_in_any_number_and_knows_its_classes(channels: int, tmp_path: Path) -> None:
    model = linear_classifier(channels)
    model.about = ABOUT
    done = export(model, tmp_path / "model.onnx", "onnx")
    assert done.difference < 1e-5
    assert done.latency > 0
    onnx.checker.check_model(str(tmp_path / "model.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(CLASSES)
    for count in (1, 2, 11):
        pixels = squares(count, channels)
        (logits,) = session.run(["logits"], {"pixels": pixels})
        np.testing.assert_allclose(logits, model(torch.tensor(pixels)).detach().numpy(), rtol=1e-4, atol=1e-5)
    again = OnnxModel(tmp_path / "model.onnx")
    assert (again.images, again.about, again.classes) == (model.images, ABOUT, CLASSES)
    np.testing.assert_allclose(again.predict_proba(pixels), softmax_by_hand(model, pixels), rtol=1e-4)
    assert again.predict(list(pixels)) == model.predict(pixels)


def test_a_torch_export_is_loaded_without_this_package_and_holds_no_pickle(tmp_path: Path) -> None:
    model = linear_classifier()
    assert export(model, tmp_path / "model.pt2", "torch_export").difference < 1e-5
    texts = {"classes.json": "", "images.json": ""}
    module = torch.export.load(str(tmp_path / "model.pt2"), extra_files=texts).module()
    assert json.loads(texts["classes.json"]) == list(CLASSES)
    assert json.loads(texts["images.json"])["image_size"] == SIZE
    for count in (1, 9):
        pixels = torch.tensor(squares(count))
        torch.testing.assert_close(module(pixels), model(pixels))
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        for part in archive.namelist():
            assert not archive.read(part).startswith((b"\x80", b"PK")), f"{part} is a pickle or a file of torch.save"


def test_safetensors_keep_what_is_known_about_the_model_and_can_be_read_by_everybody(tmp_path: Path) -> None:
    model = nasnet_classifier()
    assert export(model, tmp_path / "new" / "model.safetensors", "safetensors").difference == 0
    again = load_model(tmp_path / "new" / "model.safetensors")
    assert again.about == ABOUT
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "new" / "model.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [0.01, float("nan")])
def test_an_export_that_disagrees_is_refused_and_the_file_before_stays(
    error: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, read = linear_classifier(), FORMATS["torch_export"].read
    wrong = replace(FORMATS["torch_export"], read=lambda path: lambda pixels: read(path)(pixels) + error)
    monkeypatch.setitem(exporting.FORMATS, "torch_export", wrong)
    (tmp_path / "model.pt2").write_text("earlier")
    with pytest.raises(MA2MLError, match=r"the torch_export export differs from the model by (0\.01|nan) in a logit"):
        export(model, tmp_path / "model.pt2", "torch_export")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_the_disagreement_is_the_largest_difference_of_a_logit() -> None:
    model = linear_classifier()
    bias = torch.tensor([0.0, 0.25, -0.5, 0.125])
    difference, scale = disagreement(model, lambda pixels: model.logits(pixels) + bias)
    assert difference == pytest.approx(0.5, abs=1e-6)
    assert scale > 0
    with pytest.raises(MA2MLError, match=r"logits of shape \(1, 3\), not \(1, 4\)"):
        disagreement(model, lambda pixels: model.logits(pixels)[:, :3])


def test_an_unknown_format_and_a_missing_library_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown format 'onyx'; did you mean 'onnx'\?"):
        require_format("onyx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for attempt in (lambda: require_format("onnx"), lambda: OnnxModel(tmp_path / "model.onnx")):
        with pytest.raises(MissingExtraError, match=r"onnxruntime, .*: pip install 'ma2ml-env\[onnx\]'"):
            attempt()


def test_a_file_that_is_no_exported_onnx_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(DamagedFileError, match=r"cannot load a model from .*text\.onnx"):
        OnnxModel(tmp_path / "text.onnx")
    with pytest.raises(DamagedFileError, match=r"cannot load a model from .*nowhere\.onnx"):
        OnnxModel(tmp_path / "nowhere.onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [
        onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    ])  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(tmp_path / "other.onnx"))
    with pytest.raises(DamagedFileError, match="is not a model that `ma2ml export` wrote"):
        OnnxModel(tmp_path / "other.onnx")
