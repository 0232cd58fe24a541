"""`ma2ml export`: from a run or a model to a file and its card."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from small_runs import untrained_classifier, write_run

from ma2ml_agents.commands import main
from ma2ml_agents.commands.model_files.finalist_facts import finalists_of_run
from ma2ml_agents.commands.model_files.run_facts import facts_of_run, wilson_interval
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_agents.runs.model_card import model_card
from ma2ml_agents.search.chance import images_of_equal_error
from ma2ml_env import load_model
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.training.onnx_file import OnnxModel
from ma2ml_env.trials import TrialStore


def test_a_run_becomes_an_onnx_file_with_its_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_run(tmp_path / "run")
    assert main(["export", str(tmp_path / "run"), "--format", "onnx"]) == 0
    said = capsys.readouterr().out
    assert float(re.findall(r"largest difference of a logit from the model: ([\d.e-]+)", said)[0]) < 1e-4
    exported = OnnxModel(tmp_path / "run" / "export" / "model.onnx")
    pixels = Digits().load().test.pixels[:20]
    assert exported.predict(pixels) == model.predict(pixels)
    assert (exported.about["learner"], exported.about["budget"], exported.about["trial"]) == ("random_search", 2, 1)
    card = (tmp_path / "run" / "export" / "model_card.md").read_text()
    for line in (
        "| train | 1,078 |",
        "| test accuracy | 90.00% (95 % interval 86.",
        "| budget, in evaluated pipelines | 2 |",
    ):
        assert line in card
    assert "InferenceSession(" in card
    assert " ms |" in card


def test_the_card_of_an_exported_model_stays_with_it(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "mine.safetensors")]) == 0
    again = tmp_path / "again"
    again.mkdir()
    assert main(["export", str(tmp_path / "mine.safetensors"), "--out", str(again)]) == 0
    about = load_model(again / "model.safetensors").about
    kept = load_model(tmp_path / "mine.safetensors").about
    assert about == {**kept, "file": "model.safetensors"}
    assert about["test_accuracy"] == 0.9
    assert about["pipeline"].startswith("aug")


def test_the_ending_of_the_file_names_the_format(tmp_path: Path) -> None:
    untrained_classifier().save(tmp_path / "model")
    for name in ("a.pt2", "b.safetensors", "c.bin"):
        assert main(["export", str(tmp_path / "model"), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.pt2").read_bytes().startswith(b"PK")
    for name in ("b.safetensors", "c.bin"):
        assert load_model(tmp_path / name).about["format"] == "safetensors"


def test_the_facts_of_a_run_are_those_of_its_files(tmp_path: Path) -> None:
    write_run(tmp_path, accuracy=0.75)
    facts = facts_of_run(tmp_path)
    assert facts["environment"] == "mine/digits"
    assert (facts["seed"], facts["observed_accuracy"], facts["flops"], facts["params"]) == (7, 0.75, 2000, 200)
    assert facts["images"] == {"train": 1078, "validation": 359, "test": 360}
    assert "expected_accuracy" not in facts
    result = {"trial": 1, "accuracy": 0.75, "expected_accuracy": 0.7, "interval": [0.65, 0.74], "seed": 3}
    (tmp_path / "result.json").write_text(json.dumps(result))
    facts = facts_of_run(tmp_path)
    assert (facts["expected_accuracy"], facts["interval"], facts["seed"]) == (0.7, [0.65, 0.74], 3)
    assert not {"test_accuracy", "test_interval", "trials"} & facts.keys()
    assert facts_of_run(tmp_path / "nowhere") == {}


def test_the_finalists_stand_in_the_card_with_their_latency(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert finalists_of_run(tmp_path) == []
    result = json.loads((tmp_path / "result.json").read_text())
    finalists = [
        {"trial": 1, "expected": 0.7, "low": 0.6, "high": 0.8},
        {"trial": 0, "expected": 0.5, "low": None, "high": None},
        {"trial": 99, "expected": 0.4, "low": None, "high": None},
    ]
    (tmp_path / "result.json").write_text(
        json.dumps({**result, "finalists": finalists, "epochs": 30, "image_share": 0.125})
    )
    env = env_of_run(tmp_path)
    store = TrialStore(tmp_path / "trials.db")
    actions = {row["number"]: json.loads(row["action"]) for row in store.rows()}
    store.close()
    found = finalists_of_run(tmp_path)
    assert [one["trial"] for one in found] == [1, 0], "one whose trial is gone is left out"
    assert [one["interval"] for one in found] == [[0.6, 0.8], None]
    assert [one["params"] for one in found] == [env.cost(env.decode(actions[number])).params for number in (1, 0)]
    assert all(one["latency"] > 0 for one in found)
    assert main(["export", str(tmp_path)]) == 0
    card = (tmp_path / "export" / "model_card.md").read_text()
    assert "| 1 | 70.00% (95 % interval 60.00% to 80.00%) | " in card
    assert "| 0 | 50.00% | " in card
    assert "| epochs of the final training | 30 |" in card
    assert "| share of the training images in it | 12.50% |" in card


def test_a_balanced_accuracy_is_called_so_and_has_an_interval_of_as_many_equally_split_images(tmp_path: Path) -> None:
    write_run(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["run"]["environment"]["evaluator"]["metric"] = "balanced_accuracy"
    (tmp_path / "config.json").write_text(json.dumps(config))
    counts = np.bincount(env_of_run(tmp_path).evaluator.task.load().test.labels)
    low, high = wilson_interval(0.9, 100 / sum(1 / count for count in counts))
    assert low == pytest.approx(wilson_interval(0.9, 360)[0], abs=1e-3), "ten classes of almost equal size"
    assert main(["export", str(tmp_path)]) == 0
    card = (tmp_path / "export" / "model_card.md").read_text()
    assert f"| test balanced accuracy | 90.00% (95 % interval {low:.2%} to {high:.2%}) |" in card
    assert "| validation balanced accuracy observed in the search | 75.00% |" in card


@pytest.mark.parametrize("augmentation", ["policy", "trivial", "auto"])
def test_another_augmentation_of_the_final_training_stands_in_the_card(tmp_path: Path, augmentation: str) -> None:
    write_run(tmp_path)
    config, result = (json.loads((tmp_path / name).read_text()) for name in ("config.json", "result.json"))
    config["run"]["environment"]["evaluator"]["retrain_augmentation"] = augmentation
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "result.json").write_text(json.dumps({**result, "epochs": 30}))
    assert main(["export", str(tmp_path)]) == 0
    card = (tmp_path / "export" / "model_card.md").read_text()
    line = "| augmentation of the final training | TrivialAugment in place of the pipeline's |"
    assert (line in card) == (augmentation == "trivial"), "30 epochs of 1,437 images are too few for auto"


@pytest.mark.parametrize(("hits", "images"), [(324, 360), (0, 12), (12, 12), (1, 3)])
def test_the_interval_of_an_accuracy_is_wilsons(hits: int, images: int) -> None:
    expected = binomtest(hits, images).proportion_ci(0.95, "wilson")
    assert wilson_interval(hits / images, images) == pytest.approx((expected.low, expected.high))


def test_the_error_of_a_balanced_accuracy_is_that_of_a_share_of_fewer_images() -> None:
    counts, recall = np.array([40, 10, 5]), 0.7
    hits = np.random.default_rng(0).binomial(counts, recall, size=(200_000, 3))
    variance = (hits / counts).mean(axis=1).var()
    assert recall * (1 - recall) / images_of_equal_error(counts) == pytest.approx(variance, rel=0.02)
    assert images_of_equal_error(np.array([7, 7, 7])) == pytest.approx(21)


def test_a_card_of_few_facts_says_what_is_not_known() -> None:
    form = {"task": "mine", "image_size": 8, "channels": 3, "classes": [f"c{i}" for i in range(60)]}
    card = model_card({**form, "format": "safetensors", "file": "model.safetensors"})
    assert card.count("Not known.") == 5
    assert "RGB pictures of 8x8 pixels" in card
    assert "`c49` and 10 more" in card
    assert "None" not in card


def test_the_example_in_a_card_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    untrained_classifier().save("model.safetensors")
    for form in ("onnx", "torch_export"):
        assert main(["export", "model.safetensors", "--format", form]) == 0
        code = re.findall(r"```python\n(.*?)```", Path("export/model_card.md").read_text(), re.DOTALL)[0]
        monkeypatch.chdir(tmp_path / "export")
        exec(code, {})
        monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "there is no run and no model nowhere"),
        (["empty"], "empty holds no model.safetensors"),
        (["model.txt"], "cannot load a model from model.txt"),
        (["nowhere", "--format", "onnx", "--out", "a.pt2"], "a.pt2 ends as a file of torch_export does, not of onnx"),
        (["nowhere", "--format", "onyx"], "unknown format 'onyx'; did you mean 'onnx'?"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.txt").write_text("no model")
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
