"""Final training of `ma2ml train`: progress, checkpoints, learning curve, and the saved model."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ma2ml_agents.commands.finale.time_split import TimeSplit
from ma2ml_agents.runs.progress import duration
from ma2ml_agents.runs.training_progress import TrainingProgress, save_curve
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.chance import chance_level
from ma2ml_agents.search.loop import CHECKPOINT_FOLDER
from ma2ml_agents.search.outcome import RESULT_FILE
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import Resumable, Retrainable

if TYPE_CHECKING:
    from ma2ml_env.training.checkpoint import BegunTraining

MODEL_FILE, WEIGHTS_FILE = "model.safetensors", "weights.safetensors"
FINAL_CHECKPOINT = "final.pt"
MEASURED_EPOCH, SHORTER, FILLED = 2, 0.9, 0.95
"""The epoch of a session by which the time of the later ones is measured, the share of these that must fit, and the
share of the time left that a training which begins anew is planned to take."""
MORE = 1.25
"""Least ratio of the epochs for which there is time to those that are planned, or that a model has, from which a
training begins anew."""


class _OtherPaceError(Exception):
    """Ends a training whose epochs take much more or less time than planned.

    Args:
        epochs: number of those that fit into the time.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__(epochs)
        self.epochs = epochs


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
        epochs = self._epochs()
        numbers = self._earlier(epochs)
        if numbers is None:
            started = time.monotonic()
            try:
                model, numbers = self._train(epochs)
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

    def _epochs(self) -> int | None:
        """Epochs of the training, those for which time is left; None where the evaluator does not state any.

        A training that was begun goes on as long as it was meant to be, if there is time for most of the rest of it,
        or the rest is no longer than a new training would be.
        """
        evaluator = self.env.evaluator
        if not isinstance(evaluator, Resumable):
            return None
        whole, fitting = evaluator.retrain_epochs, self.split.final_epochs(self.winner, self.trials)
        begun = self._begun
        if fitting is None or begun is None or begun.pipeline != self.winner.pipeline.key or begun.epochs > whole:
            return fitting or whole
        seconds = self.split.final_training_seconds(self.winner, self.trials)
        remaining = begun.epochs - begun.epoch
        fits = SHORTER * seconds * remaining / whole <= self.split.left
        return begun.epochs if fits or remaining <= fitting else fitting

    def _train(self, epochs: int | None) -> tuple[Any, dict[str, Any]]:
        evaluator = self.env.evaluator
        if not isinstance(evaluator, Resumable) or epochs is None:
            assert isinstance(evaluator, Retrainable)
            model, accuracy = evaluator.retrain(self.winner.pipeline, seed=self.seed)
            return model, {"test_accuracy": float(accuracy)}
        if epochs < evaluator.retrain_epochs:
            self._say(f"the time limit leaves {epochs} of {evaluator.retrain_epochs} epochs for the final training")
        seconds = self.split.final_training_seconds(self.winner, self.trials) / evaluator.retrain_epochs
        if epochs == 1 and seconds > self.split.left:
            self._say(f"an epoch takes about {duration(seconds)}, longer than the time limit leaves")
        self._say_begun(epochs)
        try:
            return self._observed(evaluator, epochs, adapt=True)
        except _OtherPaceError as other:
            fitting = other.epochs  # its traceback holds the first network, which is let go before the second is made
        pace = "slower" if fitting < epochs else "faster"
        so_many = f"{fitting} of {evaluator.retrain_epochs}"
        self._say(f"epochs are {pace} than planned: the final training begins anew, with {so_many}")
        return self._observed(evaluator, fitting, adapt=False)

    def _observed(self, evaluator: Resumable, epochs: int, *, adapt: bool) -> tuple[Any, dict[str, Any]]:
        """Trains with a bar and a curve; raises `_OtherPaceError` after two epochs if another number of them fits.

        Epochs of an earlier session are shown anew in no time, and are not measured.
        """
        there, whole = self._epochs_there(epochs), evaluator.retrain_epochs
        with TrainingProgress("final training", epochs, self.console) as progress:

            def on_epoch(epoch: int, loss: float, accuracy: float) -> None:
                progress.show(epoch, loss, accuracy)
                left = self.split.left / max(progress.seconds, 1e-9)
                fitting = max(1, math.floor(min(whole, FILLED * left)))
                remaining = epochs - epoch
                too_few = left < SHORTER * remaining and fitting < remaining
                more = not there and fitting >= MORE * epochs
                if adapt and epoch == there + MEASURED_EPOCH and (too_few or more):
                    raise _OtherPaceError(fitting)

            model, accuracy = evaluator.retrain_observed(
                self.winner.pipeline, seed=self.seed, epochs=epochs, checkpoint=self._checkpoint, on_epoch=on_epoch
            )
        self._draw(progress)
        return model, {"test_accuracy": float(accuracy), "epochs": epochs}

    def _epochs_there(self, epochs: int) -> int:
        """Number of epochs of a training of so many that its checkpoint has, 0 without one."""
        begun = self._begun
        if begun is None or (begun.pipeline, begun.epochs) != (self.winner.pipeline.key, epochs):
            return 0
        return begun.epoch

    def _say_begun(self, epochs: int) -> None:
        """Says whether a training that was interrupted goes on."""
        begun = self._begun
        if begun is None:
            return
        there = f"of {begun.epoch} of {counted(begun.epochs, 'epoch')}"
        if begun.pipeline != self.winner.pipeline.key:
            self._say(f"the checkpoint {there} is of another pipeline, so the final training begins anew")
        elif begun.epochs != epochs:
            self._say(f"the checkpoint {there} is of another length than {epochs}, so the final training begins anew")
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

    def _earlier(self, wanted: int | None) -> dict[str, Any] | None:
        """Numbers of the model in the folder, None if there is none of this pipeline, or it would be trained longer."""
        if not ((self.out / RESULT_FILE).exists() and (self.out / MODEL_FILE).exists()):
            return None
        earlier = json.loads((self.out / RESULT_FILE).read_text(encoding="utf-8"))
        if "test_accuracy" not in earlier:
            return None
        if earlier.get("trial") != self.winner.number:
            self._say(f"the model there is of pipeline {earlier.get('trial')}; it will be replaced")
            return None
        epochs = earlier.get("epochs")
        if epochs is not None and wanted is not None and epochs < wanted and self._worth(epochs, wanted):
            trained = f"the model there was trained for {counted(epochs, 'epoch')}"
            self._say(f"{trained}; there is time for {wanted}, so it will be replaced")
            return None
        return {name: earlier[name] for name in ("test_accuracy", "epochs") if name in earlier}

    def _worth(self, earlier: int, wanted: int) -> bool:
        """Whether more epochs are worth a whole training: all of them, or many more."""
        evaluator = self.env.evaluator
        return wanted >= MORE * earlier or (isinstance(evaluator, Resumable) and wanted == evaluator.retrain_epochs)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
