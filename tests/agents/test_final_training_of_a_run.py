"""Final training within a limit of time: how many epochs, when it begins anew, and what is said of the model there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from picture_files import write_pictures
from rich.console import Console

from ma2ml_agents.commands.finale import final_training
from ma2ml_agents.commands.finale.final_training import FinalTraining
from ma2ml_agents.commands.finale.time_split import Length, TimeSplit
from ma2ml_agents.runs.training_progress import TrainingProgress
from ma2ml_agents.search.finalists import FinalistPlan
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace, Trial


@dataclass
class Counted:
    """An evaluator whose final training is a sequence of epochs, and which counts its networks; it is never called."""

    retrain_epochs: int = 10
    networks: list[weakref.ref] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)

    def __call__(self, pipeline, *, seed):
        raise AssertionError

    def retrain(self, pipeline, *, seed):
        raise AssertionError

    def retrain_length(self):
        return 4.0

    def retrain_observed(self, pipeline, *, seed, epochs=None, checkpoint=None, on_epoch=None):
        network = Network()
        self.networks.append(weakref.ref(network))
        self.alive.append(sum(each() is not None for each in self.networks))
        for epoch in range(1, epochs + 1):
            on_epoch(epoch, 1.0, 0.5)
        return epochs, 0.5


@dataclass
class InPart(Counted):
    """The same, of a part of the images where all take too long."""

    share: float = 1.0

    def least_share(self):
        return 0.01

    def retrain_observed(self, pipeline, *, seed, epochs=None, checkpoint=None, on_epoch=None, share=1, on_step=None):
        self.share = share
        return super().retrain_observed(pipeline, seed=seed, epochs=epochs, on_epoch=on_epoch)


class Network:
    """Memory of a training."""


class TenSeconds(TrainingProgress):
    """Progress of epochs of ten seconds, but for those of an earlier session."""

    earlier, taken = 0, 10.0

    def show(self, epoch: int, loss: float, accuracy: float) -> None:
        super().show(epoch, loss, accuracy)
        self.seconds = self.taken if epoch > self.earlier else 0.0


@pytest.fixture
def evaluator() -> Counted:
    """The evaluator of the final trainings."""
    return Counted()


@pytest.fixture
def ten_seconds(
    evaluator: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], FinalTraining]:
    """Final trainings of ten epochs of ten seconds each, with so many seconds left."""
    env = AutoMLEnv({"a": SearchSpace((Decision("x", (0,)),), dict)}, evaluator, lambda result: result.accuracy)
    trial = Trial(0, 0, env.decode({"a": (0,)}), Result(0.5, 1, 1, 1.0), 0.5)
    monkeypatch.setattr(final_training, "TrainingProgress", TenSeconds)

    def final(left: float) -> FinalTraining:
        monkeypatch.setattr(TimeSplit, "left", left)
        split = TimeSplit(1000.0, env, FinalistPlan(0, 1), workers=1)
        return FinalTraining(env, trial, [trial], 0, tmp_path, split, Console(width=1000))

    return final


def begun(final: FinalTraining, epochs: int, epoch: int, **more: float) -> None:
    """Writes the checkpoint of a final training."""
    (final.out / "checkpoint").mkdir(exist_ok=True)
    state = {"identity": {"pipeline": final.winner.pipeline.key, "epochs": epochs, **more}, "state": {"epoch": epoch}}
    torch.save(state, final.out / "checkpoint" / final_training.FINAL_CHECKPOINT)


def test_a_final_training_whose_epochs_are_slower_than_planned_begins_anew_with_fewer(
    ten_seconds: Callable[[float], FinalTraining], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ten_seconds(95.0)._train(Length(10)) == (10, {"test_accuracy": 0.5, "epochs": 10})
    assert "begins anew" not in capsys.readouterr().out
    assert ten_seconds(75.0)._train(Length(10))[0] == 10, "seven and a half of eight fit, which is nearly all"
    assert ten_seconds(70.0)._train(Length(10))[0] == 6, "seven fit, and some time stays for the unforeseen"
    assert ten_seconds(45.0)._train(Length(10)) == (4, {"test_accuracy": 0.5, "epochs": 4})
    assert "epochs are slower than planned: the final training begins anew, with 4 of 10" in capsys.readouterr().out
    assert ten_seconds(3.0)._train(Length(10))[0] == 1, "not even one fits"
    assert ten_seconds(-3.0)._train(Length(10))[0] == 1
    assert ten_seconds(-3.0)._train(Length(2))[0] == 2, "it is complete"
    assert ten_seconds(3.0)._train(Length(3))[0] == 3, "a single epoch is no shorter than a new training of one"


def test_a_final_training_whose_epochs_are_faster_than_planned_begins_anew_with_more(
    ten_seconds: Callable[[float], FinalTraining], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ten_seconds(74.0)._train(Length(6))[0] == 6, "seven fit, which is hardly more"
    assert "begins anew" not in capsys.readouterr().out
    assert ten_seconds(85.0)._train(Length(6)) == (8, {"test_accuracy": 0.5, "epochs": 8})
    assert "epochs are faster than planned: the final training begins anew, with 8 of 10" in capsys.readouterr().out
    assert ten_seconds(1000.0)._train(Length(6))[0] == 10, "no more than the evaluator's"
    begun(ten_seconds(0.0), epochs=6, epoch=1)
    assert ten_seconds(1000.0)._train(Length(6))[0] == 6, "what was begun is not given up for more"


def test_an_epoch_that_is_longer_than_the_time_left_is_announced(
    ten_seconds: Callable[[float], FinalTraining], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TimeSplit, "final_epoch_seconds", lambda *_: 100.0)
    assert ten_seconds(99.0)._train(Length(1))[0] == 1
    assert "an epoch takes about 0:01:40, longer than the time limit leaves" in capsys.readouterr().out
    assert ten_seconds(101.0)._train(Length(1))[0] == 1
    assert "longer than the time limit" not in capsys.readouterr().out


def test_the_network_of_slow_epochs_is_let_go_before_another_is_trained(
    ten_seconds: Callable[[float], FinalTraining],
) -> None:
    final = ten_seconds(45.0)
    assert final._train(Length(10))[0] == 4
    assert final.env.evaluator.alive == [1, 1]


def test_the_epochs_of_a_resumed_training_are_measured_after_those_of_its_checkpoint(
    ten_seconds: Callable[[float], FinalTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TenSeconds, "earlier", 3)
    begun(ten_seconds(0.0), epochs=10, epoch=3)
    assert ten_seconds(47.0)._train(Length(10))[0] == 10, "nearly five of five fit"
    assert ten_seconds(25.0)._train(Length(10))[0] == 2
    begun(ten_seconds(0.0), epochs=9, epoch=3)
    monkeypatch.setattr(TenSeconds, "earlier", 0)
    assert ten_seconds(45.0)._train(Length(10))[0] == 4, "the checkpoint is of another length, so nothing was there"


def test_a_training_that_was_begun_goes_on_unless_much_of_the_rest_does_not_fit(
    ten_seconds: Callable[[float], FinalTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimeSplit, "final_epoch_seconds", lambda *_: 10.0)
    for epoch, left, epochs in (
        (4, 61.0, 10),  # all of the rest fits
        (4, 55.0, 10),  # at least nine tenths of it do
        (4, 53.0, 5),
        (9, 1.0, 10),  # a single epoch is no shorter than a new training of one
        (8, 11.0, 1),
    ):
        begun(ten_seconds(left), epochs=10, epoch=epoch)
        assert ten_seconds(left)._length() == Length(epochs)


@pytest.mark.parametrize("evaluator", [InPart()])
def test_a_final_training_of_which_hardly_an_epoch_fits_has_fewer_images_and_says_so(
    evaluator: InPart,
    ten_seconds: Callable[[float], FinalTraining],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(TimeSplit, "final_epoch_seconds", lambda *_: 100.0)
    final = ten_seconds(30.0)
    assert final._length() == Length(3, pytest.approx(0.1))
    model, numbers = final._train(final._length())
    assert (model, numbers) == (3, {"test_accuracy": 0.5, "epochs": 3, "image_share": pytest.approx(0.1)})
    assert evaluator.share == numbers["image_share"]
    said = capsys.readouterr().out
    assert "the time limit leaves 3 of 10 epochs on 10.00% of the images for the final training" in said
    assert "begins anew" not in said


@pytest.mark.parametrize("evaluator", [InPart()])
def test_a_long_epoch_of_another_pace_is_noticed_at_its_end(
    evaluator: InPart,
    ten_seconds: Callable[[float], FinalTraining],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(TenSeconds, "taken", 40.0)
    final = ten_seconds(60.0)  # of ten epochs, or of three on a part of the images
    assert final._train(Length(3, 0.4))[0] == 3
    share = 0.95 * 60 / (40 / 0.4) / 3
    assert evaluator.share == pytest.approx(share)
    said = capsys.readouterr().out
    assert f"slower than planned: the final training begins anew, with 3 of 10 epochs on {share:.2%}" in said
    final = ten_seconds(1000.0)
    assert final._train(Length(3, 0.4))[0] == 9
    assert evaluator.share == 1
    assert "faster than planned: the final training begins anew, with 9 of 10 epochs\n" in capsys.readouterr().out


@pytest.mark.parametrize("evaluator", [InPart()])
def test_a_training_that_was_begun_on_a_part_of_the_images_goes_on_with_that_part(
    ten_seconds: Callable[[float], FinalTraining], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TimeSplit, "final_epoch_seconds", lambda *_: 100.0)
    begun(ten_seconds(25.0), epochs=3, epoch=1, share=0.1)
    final = ten_seconds(25.0)
    assert final._length() == Length(3, 0.1)
    assert final._epochs_there(Length(3, 0.1)) == 1
    assert final._epochs_there(Length(3, 0.2)) == 0
    final._say_begun(Length(3, 0.1))
    assert "goes on from its checkpoint of 1 of 3 epochs" in capsys.readouterr().out
    final._say_begun(Length(3, 0.2))
    assert "is of other images, so the final training begins anew" in capsys.readouterr().out
    assert ten_seconds(1.0)._length() == Length(1, 0.01)
    assert ten_seconds(2000.0)._length() == Length(10), "all of it fits now"


@pytest.mark.parametrize("evaluator", [InPart()])
def test_a_model_of_a_part_of_the_images_is_replaced_where_there_is_time_for_many_more(
    ten_seconds: Callable[[float], FinalTraining], capsys: pytest.CaptureFixture[str]
) -> None:
    final = ten_seconds(1000.0)
    (final.out / "model.safetensors").touch()
    there = {"trial": 0, "test_accuracy": 0.5, "epochs": 3, "image_share": 0.1}
    (final.out / "result.json").write_text(json.dumps(there))
    assert final._earlier(Length(3, 0.12)) == {name: there[name] for name in ("test_accuracy", "epochs", "image_share")}
    assert final._earlier(Length(3, 0.2)) is None
    said = "the model there was trained for 3 epochs on 10.00% of the images; there is time for 3 epochs on 20.00% of"
    assert said in capsys.readouterr().out


def test_the_share_of_a_long_epoch_that_is_done_is_shown_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("ma2ml_agents.runs.training_progress.time.monotonic", lambda: now)
    progress = TrainingProgress("final training", 4, Console(width=1000))
    assert progress.seconds_left() is None
    for second in range(1, 400):
        now = float(second)
        progress.advance(second / 1000)
    assert capsys.readouterr().out.splitlines() == [
        "final training: 0.06/4 epochs, 1:05:40 left",
        "final training: 0.12/4 epochs, 1:04:40 left",
        "final training: 0.24/4 epochs, 1:02:40 left",
    ]
    progress.show(1, 1.0, 0.5)
    assert progress.seconds == 399
    assert progress.seconds_left() is None, "the first epoch is slower than the later ones"


def test_the_model_that_stays_when_a_training_fails_is_named(
    ten_seconds: Callable[[float], FinalTraining], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(self: FinalTraining, length: Length) -> None:
        raise RuntimeError("the loss is nan")

    monkeypatch.setattr(FinalTraining, "_train", fails)
    final = ten_seconds(1000.0)
    assert final.run() == {}
    assert "pipeline 0 failed, so there is no model: the loss is nan" in capsys.readouterr().out
    (final.out / "model.safetensors").touch()
    (final.out / "result.json").write_text(json.dumps({"trial": 7, "test_accuracy": 0.5}))
    assert final.run() == {}
    said = capsys.readouterr().out
    assert "the model there is of pipeline 7; it will be replaced" in said
    file = final.out / "model.safetensors"
    assert f"so there is no model of it, and {file}, of an earlier training, stays: the loss is nan" in said


THREADS = """
import sys
import torch
from ma2ml_agents.commands import main
from ma2ml_env.training import pipeline_training

start = pipeline_training.PipelineTraining._started

def started(self, *arguments, final=False):
    if final:
        halves = torch.full((1_000_000,), torch.finfo(torch.float32).tiny) / 2
        print("denormal:", int(halves.view(torch.int32).count_nonzero()), "threads:", torch.get_num_threads())
    return start(self, *arguments, final=final)

pipeline_training.PipelineTraining._started = started
sys.exit(main(sys.argv[1:]))
"""


def test_every_thread_of_a_final_training_takes_denormal_numbers_for_zero(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", {"a": 150, "b": 150}, size=24)
    options = ["--budget", "1", "--finalists", "0", "--executor", "inline", "--seconds-per-pipeline", "0.5"]
    options += ["--set", "retrain_epochs=1", "--set", "retrain_threads=2", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-c", THREADS, "train", "--data", str(tmp_path / "pictures"), *options]
    usual = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=usual)
    assert "denormal: 0 threads: 2" in done.stdout.splitlines()
