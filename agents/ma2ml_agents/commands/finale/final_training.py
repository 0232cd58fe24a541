"""Final training of `ma2ml train`: progress, checkpoints, learning curve, and the saved model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ma2ml_agents.commands.finale.time_split import TimeSplit
from ma2ml_agents.runs.training_progress import TrainingProgress, save_curve
from ma2ml_agents.search.loop import CHECKPOINT_FOLDER
from ma2ml_agents.search.outcome import RESULT_FILE
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import Resumable, Retrainable

MODEL_FILE, WEIGHTS_FILE = "model.safetensors", "weights.safetensors"
FINAL_CHECKPOINT = "final.pt"


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
        numbers = self._earlier()
        if numbers is None:
            started = time.monotonic()
            try:
                model, numbers = self._train()
            except (ArithmeticError, MemoryError, RuntimeError) as failure:
                self._say(
                    f"the longer training of pipeline {self.winner.number} failed, so there is no model: {failure}"
                )
                return {}
            saved = self._save(model)
            self._checkpoint.unlink(missing_ok=True)
            self._say(f"retrained pipeline {self.winner.number} in {time.monotonic() - started:.0f} s")
            self._say(f"retrained on train + validation: test accuracy {numbers['test_accuracy']:.2%}")
            if not saved:
                return numbers
        else:
            self._say(f"retrained on train + validation: test accuracy {numbers['test_accuracy']:.2%}")
        model_file = self.out / MODEL_FILE
        self._say(f"the trained model is {model_file}; load it with\n")
        self._say(f"    from ma2ml_env import load_model\n    model = load_model({str(model_file)!r})")
        self._say("    print(model.predict('picture.png'))  # also pictures, arrays and tensors\n")
        return numbers

    @property
    def _checkpoint(self) -> Path:
        return self.out / CHECKPOINT_FOLDER / FINAL_CHECKPOINT

    @property
    def _epochs(self) -> int | None:
        """Epochs of the training, those for which time is left; None where the evaluator does not state any."""
        evaluator = self.env.evaluator
        if not isinstance(evaluator, Resumable):
            return None
        return self.split.final_epochs(self.winner, self.trials) or evaluator.retrain_epochs

    def _train(self) -> tuple[Any, dict[str, Any]]:
        evaluator, epochs = self.env.evaluator, self._epochs
        if not isinstance(evaluator, Resumable) or epochs is None:
            assert isinstance(evaluator, Retrainable)
            model, accuracy = evaluator.retrain(self.winner.pipeline, seed=self.seed)
            return model, {"test_accuracy": float(accuracy)}
        if epochs < evaluator.retrain_epochs:
            self._say(f"the time limit leaves {epochs} of {evaluator.retrain_epochs} epochs for the final training")
        with TrainingProgress("final training", epochs, self.console) as progress:
            model, accuracy = evaluator.retrain_observed(
                self.winner.pipeline,
                seed=self.seed,
                epochs=epochs,
                checkpoint=self._checkpoint,
                on_epoch=progress.show,
            )
        self._draw(progress)
        return model, {"test_accuracy": float(accuracy), "epochs": epochs}

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

    def _earlier(self) -> dict[str, Any] | None:
        """Numbers of the model in the folder, None if there is none of this pipeline and of so many epochs."""
        if not ((self.out / RESULT_FILE).exists() and (self.out / MODEL_FILE).exists()):
            return None
        earlier = json.loads((self.out / RESULT_FILE).read_text(encoding="utf-8"))
        if earlier.get("trial") != self.winner.number or "test_accuracy" not in earlier:
            return None
        epochs, wanted = earlier.get("epochs"), self._epochs
        if epochs is not None and wanted is not None and epochs < wanted:
            return None
        return {name: earlier[name] for name in ("test_accuracy", "epochs") if name in earlier}

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
