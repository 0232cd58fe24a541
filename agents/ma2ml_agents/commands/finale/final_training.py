"""Final training of `ma2ml train`: progress, checkpoints, learning curve, and the saved model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ma2ml_agents.commands.finale.time_split import Length, TimeSplit
from ma2ml_agents.runs.progress import duration
from ma2ml_agents.runs.training_progress import TrainingProgress, save_curve
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.chance import chance_level
from ma2ml_agents.search.loop import CHECKPOINT_FOLDER
from ma2ml_agents.search.outcome import RESULT_FILE
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import Resumable, Retrainable, Shortenable

if TYPE_CHECKING:
    from ma2ml_env.training.checkpoint import BegunTraining

MODEL_FILE, WEIGHTS_FILE = "model.safetensors", "weights.safetensors"
FINAL_CHECKPOINT = "final.pt"
MEASURED_EPOCH, LONG_EPOCH = 2, 30.0
"""The epoch of a session by which the time of the later ones is measured, and seconds of one that tells it at once."""
SHORTER, FILLED = 0.9, 0.95
"""The share of the later epochs that must fit, and the share of the time left that a training which begins anew is
planned to take."""
MORE = 1.25
"""Least ratio of the length for which there is time to the one that is planned, or that a model has, from which a
training begins anew."""


class _OtherPaceError(Exception):
    """Ends a training whose epochs take much more or less time than planned.

    Args:
        length: length that fits into the time.
    """

    def __init__(self, length: Length) -> None:
        super().__init__(length)
        self.length = length


def begun_final_training(out: Path) -> BegunTraining | None:
    """Returns the final training that was begun in a run's folder and not finished; None if there is none."""
    file = out / CHECKPOINT_FOLDER / FINAL_CHECKPOINT
    if not file.exists():
        return None
    from ma2ml_env.training.checkpoint import begun_training

    return begun_training(file)


@dataclass(frozen=True)
class FinalTraining:
    """Training of the winner of a search.

    Attributes:
        env: environment of the search; its evaluator may lack a final training.
        winner: trial of the pipeline to train.
        trials: all trials of the search.
        seed: seed of the search.
        out: folder of the run.
        split: split of the time limit.
        console: console to write to.
    """

    env: AutoMLEnv
    winner: Trial
    trials: Sequence[Trial]
    seed: int
    out: Path
    split: TimeSplit
    console: Console

    def run(self) -> dict[str, Any]:
        """Trains and saves the model, unless the folder has it; returns numbers for the result, none if it failed."""
        if not isinstance(self.env.evaluator, Retrainable):
            return {}
        length = self._length()
        numbers = self._earlier(length)
        if numbers is None:
            started = time.monotonic()
            try:
                model, numbers = self._train(length)
            except (ArithmeticError, MemoryError, RuntimeError) as failure:
                self._say_failed(failure)
                return {}
            saved = self._save(model)
            self._checkpoint.unlink(missing_ok=True)
            self._say(f"retrained pipeline {self.winner.number} in {time.monotonic() - started:.0f} s")
            self._say(self._test_accuracy(numbers))
            if not saved:
                return numbers
        else:
            self._say(f"the model of pipeline {self.winner.number} is there already, and is kept")
            self._say(self._test_accuracy(numbers))
        model_file = self.out / MODEL_FILE
        self._say(f"the trained model is {model_file}; load it with\n")
        self._say(f"    from ma2ml_env import load_model\n    model = load_model({str(model_file)!r})")
        self._say("    print(model.predict('picture.png'))  # also pictures, arrays and tensors\n")
        return numbers

    def _say_failed(self, failure: Exception) -> None:
        """Says that there is no model of the winner, and which one is there instead."""
        file = self.out / MODEL_FILE
        stays = f" of it, and {file}, of an earlier training, stays" if file.exists() else ""
        self._say(
            f"the longer training of pipeline {self.winner.number} failed, so there is no model{stays}: {failure}"
        )

    def _test_accuracy(self, numbers: dict[str, Any]) -> str:
        chance = chance_level(self.env.evaluator, "test")
        beside = f" ({chance})" if chance else ""
        return f"retrained on train + validation: test accuracy {numbers['test_accuracy']:.2%}{beside}"

    @property
    def _checkpoint(self) -> Path:
        return self.out / CHECKPOINT_FOLDER / FINAL_CHECKPOINT

    @cached_property
    def _begun(self) -> BegunTraining | None:
        """The final training that an earlier session began and did not finish; None without one."""
        return begun_final_training(self.out)

    def _length(self) -> Length | None:
        """Length of the training, that for which time is left; None where the evaluator does not state any.

        A training that was begun goes on as long as it was meant to be, if there is time for most of the rest of it,
        or the rest is no longer than a new training would be.
        """
        evaluator = self.env.evaluator
        if not isinstance(evaluator, Resumable):
            return None
        whole, fitting = evaluator.retrain_epochs, self.split.final_length(evaluator, self.winner, self.trials)
        begun = self._begun
        other = begun is None or begun.pipeline != self.winner.pipeline.key or begun.epochs > whole
        if begun is None or other or fitting == Length(whole):
            return fitting
        seconds = self.split.final_epoch_seconds(evaluator, self.winner, self.trials)
        remaining = begun.share * (begun.epochs - begun.epoch)
        fits = SHORTER * seconds * remaining <= self.split.left
        return Length(begun.epochs, begun.share) if fits or remaining <= fitting.passes else fitting

    def _train(self, length: Length | None) -> tuple[Any, dict[str, Any]]:
        evaluator = self.env.evaluator
        if not isinstance(evaluator, Resumable) or length is None:
            assert isinstance(evaluator, Retrainable)
            model, accuracy = evaluator.retrain(self.winner.pipeline, seed=self.seed)
            return model, {"test_accuracy": float(accuracy)}
        if length != Length(evaluator.retrain_epochs):
            self._say(f"the time limit leaves {_in_words(length, evaluator)} for the final training")
        seconds = length.share * self.split.final_epoch_seconds(evaluator, self.winner, self.trials)
        if length.epochs == 1 and seconds > self.split.left:
            self._say(f"an epoch takes about {duration(seconds)}, longer than the time limit leaves")
        self._say_begun(length)
        try:
            return self._observed(evaluator, length, adapt=True)
        except _OtherPaceError as other:
            fitting = other.length  # its traceback holds the first network, which is let go before the second is made
        pace = "slower" if fitting.passes < length.passes else "faster"
        so_long = _in_words(fitting, evaluator)
        self._say(f"epochs are {pace} than planned: the final training begins anew, with {so_long}")
        return self._observed(evaluator, fitting, adapt=False)

    def _observed(self, evaluator: Resumable, length: Length, *, adapt: bool) -> tuple[Any, dict[str, Any]]:
        """Trains with a bar and a curve; raises `_OtherPaceError` after two epochs, or a long one, if another fits.

        Epochs of an earlier session are shown anew in no time, and are not measured.
        """
        there, (epochs, share) = self._epochs_there(length), length
        with TrainingProgress("final training", epochs, self.console) as progress:

            def on_epoch(epoch: int, loss: float, accuracy: float) -> None:
                progress.show(epoch, loss, accuracy)
                measured = epoch == there + MEASURED_EPOCH or (epoch == there + 1 and progress.seconds >= LONG_EPOCH)
                if not (adapt and measured):
                    return
                left = self.split.left / max(progress.seconds, 1e-9)
                fitting, remaining = Length.fitting(evaluator, FILLED * left * share), epochs - epoch
                too_few = left < SHORTER * remaining and fitting.passes < remaining * share
                more = not there and fitting.passes >= MORE * length.passes
                if too_few or more:
                    raise _OtherPaceError(fitting)

            in_steps: Any = {"share": share, "on_step": progress.advance} if isinstance(evaluator, Shortenable) else {}
            model, accuracy = evaluator.retrain_observed(
                self.winner.pipeline,
                seed=self.seed,
                epochs=epochs,
                checkpoint=self._checkpoint,
                on_epoch=on_epoch,
                **in_steps,
            )
        self._draw(progress)
        part = {"image_share": share} if share < 1 else {}
        return model, {"test_accuracy": float(accuracy), "epochs": epochs, **part}

    def _epochs_there(self, length: Length) -> int:
        """Number of epochs that the checkpoint of a training of this length has, 0 without one."""
        begun = self._begun
        if begun is None or begun.pipeline != self.winner.pipeline.key or (begun.epochs, begun.share) != length:
            return 0
        return begun.epoch

    def _say_begun(self, length: Length) -> None:
        """Says whether a training that was interrupted goes on."""
        begun = self._begun
        if begun is None:
            return
        there = f"of {begun.epoch} of {counted(begun.epochs, 'epoch')}"
        if begun.pipeline != self.winner.pipeline.key:
            self._say(f"the checkpoint {there} is of another pipeline, so the final training begins anew")
        elif begun.epochs != length.epochs:
            other = f"is of another length than {length.epochs}"
            self._say(f"the checkpoint {there} {other}, so the final training begins anew")
        elif begun.share != length.share:
            self._say(f"the checkpoint {there} is of other images, so the final training begins anew")
        else:
            self._say(f"the final training goes on from its checkpoint {there}")

    def _draw(self, progress: TrainingProgress) -> None:
        """Saves the learning curve; a failure to write it does not cost the model."""
        if not progress.curve:
            return
        try:
            save_curve(progress.curve, self.out, f"final training of pipeline {self.winner.number}")
        except OSError as error:
            self._say(f"the learning curve cannot be written: {error}")

    def _save(self, model: Any) -> bool:
        """Saves a model before anything else can fail; only its weights if it cannot be saved as a whole."""
        try:
            model.save(self.out / MODEL_FILE)
        except Exception as error:  # a training that was finished is never lost, whatever a task raises
            from safetensors.torch import save_model

            save_model(model, str(self.out / WEIGHTS_FILE))
            self._say(f"the model cannot be saved whole ({error}); its weights are {self.out / WEIGHTS_FILE}")
            return False
        return True

    def _earlier(self, wanted: Length | None) -> dict[str, Any] | None:
        """Numbers of the model in the folder, None if there is none of this pipeline, or it would be trained longer."""
        if not ((self.out / RESULT_FILE).exists() and (self.out / MODEL_FILE).exists()):
            return None
        earlier = json.loads((self.out / RESULT_FILE).read_text(encoding="utf-8"))
        if "test_accuracy" not in earlier:
            return None
        if earlier.get("trial") != self.winner.number:
            self._say(f"the model there is of pipeline {earlier.get('trial')}; it will be replaced")
            return None
        epochs, evaluator = earlier.get("epochs"), self.env.evaluator
        if epochs is not None and wanted is not None and isinstance(evaluator, Resumable):
            there, whole = Length(epochs, earlier.get("image_share", 1.0)), Length(evaluator.retrain_epochs)
            worth = wanted.passes >= MORE * there.passes or wanted == whole
            if there.passes < wanted.passes and worth:
                trained = f"the model there was trained for {_in_words(there)}"
                self._say(f"{trained}; there is time for {_in_words(wanted)}, so it will be replaced")
                return None
        return {name: earlier[name] for name in ("test_accuracy", "epochs", "image_share") if name in earlier}

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _in_words(length: Length, evaluator: Resumable | None = None) -> str:
    """Epochs of a length, of how many of an evaluator, and the share of the images if it is not all of them."""
    epochs = counted(length.epochs, "epoch")
    if evaluator is not None:
        epochs = f"{length.epochs} of {counted(evaluator.retrain_epochs, 'epoch')}"
    return epochs if length.share == 1 else f"{epochs} on {length.share:.2%} of the images"
