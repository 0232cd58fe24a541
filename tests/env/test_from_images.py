"""`make_from_images`: what follows from the images, the device and the time of one evaluation."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import pytest
import torch
from picture_files import write_pictures

import ma2ml_env
from ma2ml_env import catalog, from_images, registry
from ma2ml_env.errors import MA2MLError, UnknownNameError
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.from_images import entry_from_images
from ma2ml_env.image_description import image_lines
from ma2ml_env.image_proxy import SearchTime
from ma2ml_env.image_spaces import network_space
from ma2ml_env.models import count
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.search_spaces.trivialaugment import LEAST_SHOWN
from ma2ml_env.tasks import image_folder
from ma2ml_env.testing import check_env, check_evaluator
from ma2ml_env.training.timing import Speed


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MA2ML_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    image_folder._load.cache_clear()
    write_pictures(tmp_path / "My pets!", {"cat": 30, "dog": 30}, size=8)
    return tmp_path / "My pets!"


@pytest.fixture
def speed(monkeypatch):
    """Sets the measured seconds per training image and per measured image."""

    def set_to(training: float, measuring: float = 0.0, busy: float = 1.0) -> None:
        monkeypatch.setattr(from_images, "_speed", lambda entry, until: Speed(training, measuring, busy))

    return set_to


def test_the_environment_conforms(place) -> None:
    env = ma2ml_env.make_from_images(place, epochs=2, retrain_epochs=2)
    assert env.name == "images/My-pets-v0"
    assert env.possible_agents == ["aug", "nas", "hpo"]
    check_evaluator(env.evaluator, env.search_spaces, pipelines=1)
    check_env(env, pipelines=1)
    _, test_accuracy = env.evaluator.retrain(env.decode({a: s.default for a, s in env.search_spaces.items()}), seed=0)
    assert 0 <= test_accuracy <= 1


def test_the_entry_is_plain_data_that_makes_the_same_environment_again(place) -> None:
    entry, *_ = entry_from_images(place, epochs=3)
    again = registry.EnvEntry(**json.loads(json.dumps(asdict(entry))))
    assert again.build().definition == entry.build().definition
    assert again.build().evaluator == entry.build().evaluator
    moved = again.override(path="/elsewhere").build()
    assert moved.definition == entry.build().definition, "the place does not identify the images"


def test_epochs_follow_from_the_measured_speed(place, speed) -> None:
    images, held_out = 36, 12
    speed(20 / images / 30.5)
    assert entry_from_images(place)[0].evaluator["epochs"] == 30
    assert entry_from_images(place, 10)[0].evaluator["epochs"] == 15
    assert entry_from_images(place)[0].evaluator["measured_epochs"] == [10, 20]
    assert entry_from_images(place)[0].evaluator["retrain_epochs"] == 200
    speed(0.01, 5 / held_out / 3)  # three measurements take 5 of 20 seconds
    assert entry_from_images(place)[0].evaluator["epochs"] == int(15 / 0.36)
    speed(1e-9)
    assert entry_from_images(place)[0].evaluator["epochs"] == 100


def test_where_few_epochs_fit_a_search_trains_on_fewer_images(place, speed) -> None:
    speed(20 / 36 / 4.5)
    entry, lines, *_ = entry_from_images(place)
    assert entry.evaluator["epochs"] == 8
    assert entry.evaluator["task"]["train_images"] == 36 * 4.5 // 8
    assert "training: 8 epochs on 20 of the training images in the search, 200 at the end, on cpu" in lines
    assert "measured: an evaluation takes about 20 s of a core of this machine" in lines
    splits = entry.build().evaluator.task.load()
    assert (len(splits.train), len(splits.train_and_validation), splits.final_images) == (20, 48, 48)
    assert entry.build().evaluator.retrain_length() == pytest.approx(200 / 8 * 48 / 20)
    assert entry.build().evaluator.least_share() == 20 / 48, "no fewer than the search"


def test_a_coarser_stem_is_taken_where_too_few_epochs_fit(place, tmp_path, monkeypatch) -> None:
    write_pictures(tmp_path / "large", {"a": 30, "b": 30}, size=32)
    seconds = {1: 20 / 36 / 11, 2: 20 / 36 / 40}

    def speed(entry: registry.EnvEntry, until: float) -> Speed:
        return Speed(seconds[entry.evaluator["network"]["stem_stride"]], 0.0)

    monkeypatch.setattr(from_images, "_speed", speed)
    entry, lines, *_ = entry_from_images(tmp_path / "large")
    assert (entry.evaluator["search_stem_stride"], entry.evaluator["epochs"]) == (2, 40)
    assert entry.evaluator["network"]["stem_stride"] == 1, "the final model has the finer one"
    assert "training: 40 epochs with stem stride 2 in the search, 200 at the end, on cpu" in lines
    short = SearchTime(final=29.5 * seconds[1] * 48, cores=3)
    evaluator = entry_from_images(tmp_path / "large", search_time=short)[0].evaluator
    assert evaluator["network"]["stem_stride"] == 2, "too few epochs fit with the finer one"
    assert "search_stem_stride" not in evaluator
    assert evaluator["retrain_threads"] == 3
    entry, *_ = entry_from_images(tmp_path / "large", stem_stride=1)
    assert (entry.evaluator["network"]["stem_stride"], entry.evaluator["epochs"]) == (1, 11)
    assert "search_stem_stride" not in entry.evaluator
    entry, *_ = entry_from_images(tmp_path / "large", 25)
    assert (entry.evaluator["network"]["stem_stride"], entry.evaluator["epochs"]) == (1, 13)


def test_colored_images_are_cropped_and_mirrored_gray_ones_only_cropped_and_small_ones_neither(tmp_path) -> None:
    for size, colored, expected in ((32, True, "pad_crop_flip"), (32, False, "pad_crop"), (12, True, "none")):
        folder = tmp_path / f"{size}-{colored}"
        write_pictures(folder, {"a": 6, "b": 6}, size=size, mode="RGB" if colored else "L")
        env = ma2ml_env.make_from_images(folder, epochs=1)
        assert env.evaluator.task.augmentation == expected
        said = [line for line in image_lines(env.evaluator) if line.startswith("augmentation: ")]
        assert said == [f"augmentation: {expected} before the policy; --set augmentation=none for none"] * (size == 32)
        assert ma2ml_env.make_from_images(folder, epochs=1, augmentation="none").evaluator.task.augmentation == "none"


def test_a_final_training_has_trivial_augment_from_a_length_on_that_is_said(place) -> None:
    def said(**settings: object) -> tuple[TrainEvaluator, list[str]]:
        evaluator = ma2ml_env.make_from_images(place, epochs=1, **settings).evaluator
        return evaluator, [line for line in image_lines(evaluator) if line.startswith("final augmentation: ")]

    evaluator, (line,) = said()
    least = int(line.removeprefix("final augmentation: from ").split(" ")[0].replace(",", ""))
    assert evaluator.retrains_with_trivial_augment(least)
    assert not evaluator.retrains_with_trivial_augment(least - 1)
    assert least * evaluator.task.load().final_images >= LEAST_SHOWN
    assert not evaluator.retrains_with_trivial_augment(), "few images are not shown often enough"
    evaluator, (line,) = said(retrain_augmentation="trivial")
    assert evaluator.retrains_with_trivial_augment(1)
    assert "from" not in line
    evaluator, lines = said(retrain_augmentation="policy")
    assert not evaluator.retrains_with_trivial_augment(least)
    assert lines == []


def test_the_speed_is_measured_by_training(place) -> None:
    entry, lines, *_ = entry_from_images(place, 0.5)
    assert 5 <= entry.evaluator["epochs"] <= 100
    assert lines[-1].startswith("measured: an evaluation takes about ")
    training, measuring, busy = from_images._speed(entry)
    assert 0 < measuring < 1
    assert 0 < training < 1
    assert 1 <= busy < 1000


def test_evaluations_are_shortened_where_too_few_would_fit_in_the_time(place, speed) -> None:
    speed(20 / 36 / 12, busy=2.0)
    ends, steps = time.monotonic() + 1000.0, list[str]()
    entry, lines, seconds, slowdown = entry_from_images(
        place, search_time=SearchTime(ends, workers=2, pipelines=100, cores=2), on_step=steps.append
    )
    # 1000 s for two workers, 100 pipelines at 2.5 s by the clock for each of the processor: 8 s of 20
    assert entry.evaluator["epochs"] == 8
    assert entry.evaluator["task"]["train_images"] == pytest.approx(36 * 12 * 8 / 20 / 8, abs=1)
    assert seconds == pytest.approx(20, rel=0.05)
    assert slowdown == pytest.approx(2.5)
    assert "shortened: from 20 s, since too few would fit in the time limit to choose from" in lines
    assert steps == [
        f"reading the images of {place}",
        "measuring how fast networks of stem stride 1 train on this machine",
    ]


def test_what_is_short_as_the_images_are_few_is_not_said_to_be_shortened(place, speed) -> None:
    speed(0.5 / 36 / 100)
    ends = time.monotonic() + 40.0
    _, lines, seconds, _ = entry_from_images(place, search_time=SearchTime(ends, pipelines=20))
    assert seconds == pytest.approx(0.5, rel=0.2)
    assert not any(line.startswith("shortened") for line in lines)


def test_balanced_accuracy_is_measured_where_classes_are_unbalanced(tmp_path, place) -> None:
    write_pictures(tmp_path / "rare", {"a": 40, "b": 20}, size=8)
    entry, lines, *_ = entry_from_images(tmp_path / "rare", epochs=1)
    assert entry.evaluator["metric"] == "balanced_accuracy"
    assert "metric: balanced accuracy; the largest class has 2.0 times the images of the smallest" in lines
    assert entry_from_images(tmp_path / "rare", epochs=1, metric="accuracy")[0].evaluator["metric"] == "accuracy"
    assert entry_from_images(place, epochs=1)[0].evaluator["metric"] == "accuracy"


def test_what_is_found_can_be_overridden(place) -> None:
    env = ma2ml_env.make_from_images(place, image_size=11, channels=1, validation=0.4, epochs=2, threads=2, seed=3)
    evaluator = env.evaluator
    assert (evaluator.task.image_size, evaluator.task.channels, evaluator.task.seed) == (11, 1, 3)
    assert (evaluator.epochs, evaluator.threads, len(evaluator.task.load().validation)) == (2, 2, 24)
    assert image_lines(evaluator)[3] == "form: 11x11 pixels, gray"
    with pytest.raises(UnknownNameError, match=r"no setting 'epoch'; did you mean 'epochs'\?"):
        ma2ml_env.make_from_images(place, epoch=2)
    with pytest.raises(MA2MLError, match=r"seconds_per_pipeline must be in 0\.5"):
        ma2ml_env.make_from_images(place, seconds_per_pipeline=0.0)


def test_spaces_are_said_and_can_be_overridden(place) -> None:
    entry, lines, *_ = entry_from_images(place, epochs=1, widths=[[8, 16], [24]], batch_sizes=[4, 8], mixups=[0.3])
    assert "aug: autoaugment" in lines
    assert "nas: residual, widths 8, 16 / 24" in lines
    assert "hpo: recipe, batch sizes 4, 8" in lines
    spaces = entry.build().search_spaces
    choices = {d.name: d.choices for space in spaces.values() for d in space.decisions}
    assert choices["stage1_width"] == (8, 16)
    assert choices["batch_size"] == (4, 8)
    assert "stage3_width" not in choices
    assert "mixup" not in choices, "a single choice is no decision"
    with pytest.raises(UnknownNameError, match="did you mean 'batch_sizes'"):
        entry_from_images(place, batch_size=[4])


def test_where_the_parts_come_from_is_said(place, tmp_path) -> None:
    drawn = "split: validation and test drawn from the images, the same share of each class, seed 5"
    assert drawn in entry_from_images(place, epochs=1, seed=5)[1]
    for part, seed in (("train", 1), ("val", 2), ("test", 3)):
        write_pictures(tmp_path / "parts" / part, {"a": 6, "b": 6}, size=8, seed=seed)
    assert "split: as in the folder" in entry_from_images(tmp_path / "parts", epochs=1)[1]


def test_what_is_wrong_with_pictures_is_a_warning(place) -> None:
    (place / "cat" / "broken.jpg").touch()
    with pytest.warns(UserWarning, match=r"left out: 1 picture cannot be read: .*broken.jpg"):
        ma2ml_env.make_from_images(place, epochs=1)
    with pytest.raises(MA2MLError, match="1 picture cannot be read"):
        ma2ml_env.make_from_images(place, epochs=1, strict=True)


@pytest.mark.parametrize("size", [4, 8, 16, 28, 32, 48, 64, 96, 224])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_skeleton_fits_images_of_its_size(size: int, device: str) -> None:
    for stride in {*from_images._strides(size, device), from_images._usual_stride(size, device)}:
        spec = network_space(-(-size // stride), device)
        space = catalog.build(spec, catalog.SEARCH_SPACES, "test")
        cost = count(
            space.decode(space.default), ResidualSkeleton(stride), image_size=size, in_channels=3, num_classes=2
        )
        assert 0 < cost.flops < (60e6 if device == "cpu" else 1e10)
