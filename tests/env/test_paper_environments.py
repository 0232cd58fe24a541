"""The environments at the paper's size: they decode and cost without data, and train where the files are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_files import write_cifar, write_imagenet

import ma2ml_env
from ma2ml_env.models import build_network, fbnetv3_modules
from ma2ml_env.models.counting import cost
from ma2ml_env.tasks import cifar
from ma2ml_env.tasks.digits import Digits
from ma2ml_env.tasks.task import Images
from ma2ml_env.training import pipeline_training

NASNET = {"filters": 2, "repeats": 1}
FBNETV3 = {"num_classes": 4, "image_size": 40, "resolution_scale": 0.15, "head_width": 16}
SMALLER = {
    "ma2ml/cifar10-v0": NASNET,
    "ma2ml/cifar100-v0": NASNET,
    "ma2ml/cifar10-darts-v0": {"filters": 2, "layers": 3},
    "ma2ml/imagenet200-600m-v0": FBNETV3,
    "ma2ml/imagenet200-800m-v0": FBNETV3,
    "ma2ml/imagenet-600m-v0": FBNETV3,
}


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch) -> None:
    """Data is looked for in a folder without any."""
    monkeypatch.setenv("MA2ML_DATA", str(tmp_path))


def default_pipeline(env):
    return env.decode({agent: space.default for agent, space in env.search_spaces.items()})


@pytest.mark.parametrize("env_id", SMALLER)
def test_random_actions_are_decoded_and_costed_without_data(env_id):
    env, rng = ma2ml_env.make(env_id), np.random.default_rng(0)
    costs = []
    for _ in range(20):
        pipeline = env.decode({agent: space.sample(rng) for agent, space in env.search_spaces.items()})
        costs.append(env.evaluator.cost(pipeline))
    assert len({found.flops for found in costs}) > 10
    network, task = env.evaluator.network, env.evaluator.task
    sizes = {"image_size": task.image_size, "in_channels": 3, "num_classes": len(task.classes)}
    with torch.device("meta"):
        built = build_network(pipeline["nas"], network, **sizes)
    assert cost(built, task.image_size) == costs[-1]


@pytest.mark.parametrize("env_id", SMALLER)
def test_without_its_data_an_environment_says_which_files_are_expected_where(env_id, tmp_path):
    env = ma2ml_env.make(env_id)
    for attempt in (env.evaluator.prepare, lambda: env.evaluate(default_pipeline(env))):
        with pytest.raises(ValueError, match=r"is not complete in .*: missing .*https://.*MA2ML_DATA") as error:
            attempt()
        assert str(tmp_path) in str(error.value)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Writes what an environment looks for, in small, and gives the folder."""

    def write(env_id):
        task = ma2ml_env.make(env_id, **SMALLER[env_id]).evaluator.task
        if task.name == "imagenet":
            write_imagenet(tmp_path / "imagenet", task, train=4)
            return tmp_path / "imagenet"
        classes = len(task.classes)
        monkeypatch.setattr(cifar, "TRAIN_IMAGES", 10 * classes)
        monkeypatch.setattr(cifar, "TEST_IMAGES", classes)
        write_cifar(tmp_path, classes, train=10 * classes, test=classes)
        return tmp_path

    return write


@pytest.mark.parametrize("env_id", SMALLER)
def test_an_environment_trains_where_its_data_is(env_id, data):
    env = ma2ml_env.make(env_id, root=str(data(env_id)), epochs=1, **SMALLER[env_id])
    result = env.evaluate(default_pipeline(env))
    assert result.error is None
    assert len(result.curve) == 1
    assert result.flops == env.evaluator.cost(default_pipeline(env)).flops
    assert env.definition == ma2ml_env.make(env_id, epochs=1, **SMALLER[env_id]).definition, "wherever the data is"


@pytest.mark.parametrize("env_id", ["ma2ml/cifar10-darts-v0", "ma2ml/imagenet200-600m-v0"])
def test_a_model_of_an_environment_is_kept_and_loaded(env_id, data, tmp_path):
    env = ma2ml_env.make(env_id, root=str(data(env_id)), retrain_epochs=1, **SMALLER[env_id])
    model, accuracy = env.evaluator.retrain(default_pipeline(env), seed=0)
    model.save(tmp_path / "model.safetensors")
    test = env.evaluator.task.load().test
    named = ma2ml_env.load_model(tmp_path / "model.safetensors").predict(test.pixels)
    right = [name == model.classes[label] for name, label in zip(named, test.labels.tolist(), strict=True)]
    assert sum(right) / len(test) == pytest.approx(accuracy)


def test_a_network_of_fbnetv3_is_trained_and_measured_at_its_own_resolution(data, monkeypatch):
    env_id, seen = "ma2ml/imagenet200-600m-v0", []
    env = ma2ml_env.make(env_id, root=str(data(env_id)), epochs=1, **SMALLER[env_id])
    resize = fbnetv3_modules.F.interpolate

    def note(images, size, **options):
        seen.append((len(images), size))
        return resize(images, size, **options)

    monkeypatch.setattr(fbnetv3_modules.F, "interpolate", note)
    for resolution in (224, 272):
        usual = env.search_spaces["nas"].choices(env.search_spaces["nas"].default)
        nas = env.search_spaces["nas"].encode({**usual, "resolution": resolution})
        pipeline = env.decode({**{a: s.default for a, s in env.search_spaces.items()}, "nas": nas})
        assert not env.evaluate(pipeline).failed
        own = (round(0.15 * resolution),) * 2
        train, validation = 4 * 3, 4
        assert seen == [(train, own), (validation, own)]
        seen.clear()


def test_the_two_proxies_differ_in_their_constraint_alone():
    six, eight = (ma2ml_env.make(f"ma2ml/imagenet200-{size}-v0") for size in ("600m", "800m"))
    assert six.definition == eight.definition
    assert (six.reward.constraint, eight.reward.constraint) == (600_000_000, 800_000_000)


@pytest.mark.parametrize(("memory", "place"), [(2**30, "meta"), (2**10, "cpu")])
def test_only_images_that_leave_room_on_the_device_are_moved_there(memory, place, monkeypatch):
    properties = SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    splits = pipeline_training._splits_on.__wrapped__(Digits(), "meta")
    for part in vars(splits).values():
        assert (part.pixels.device.type, part.labels.device.type) == (place, "meta")


def test_the_images_of_a_final_training_are_all_in_one_place_where_only_validation_fits_on_the_device(monkeypatch):
    parts = Digits().load()
    properties = SimpleNamespace(total_memory=4 * parts.validation.pixels.nbytes)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert pipeline_training._moved(parts.validation, "meta").pixels.device.type == "meta"
    both = pipeline_training._moved(parts.train_and_validation, "meta")
    assert (both.pixels.device.type, both.labels.device.type) == ("cpu", "meta")


def test_images_stay_in_the_host_s_memory_where_another_program_uses_the_device_s(monkeypatch):
    class OutOfRoom:
        nbytes = 1

        def to(self, *arguments, **settings):
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=2**30))
    pixels = OutOfRoom()
    moved = pipeline_training._moved(Images(pixels, torch.zeros(1)), "meta")
    assert (moved.pixels, moved.labels.device.type) == (pixels, "meta")
