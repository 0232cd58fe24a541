"""Last steps of `ma2ml train`, after the search: report, figures, the final model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from ma2ml_agents.runs.report import best_in_words, draw_figures
from ma2ml_agents.search import SearchPlan
from ma2ml_env import Trial
from ma2ml_env.evaluator import Retrainable
from ma2ml_env.files import write_text
from ma2ml_env.trials import best

RESULT_FILE, MODEL_FILE, WEIGHTS_FILE = "result.json", "model.safetensors", "weights.safetensors"
FIGURE_BATCH = 10
Say = Callable[[str], None]
Retrain = Callable[[], tuple[Any, float]]


def conclude(plan: SearchPlan, out: Path, trials: Sequence[Trial], title: str, console: Console) -> int:
    """Reports the best pipelines, draws figures, retrains the best pipeline and saves its model.

    Args:
        plan: plan of the search.
        out: folder of the run.
        trials: all trials of the search.
        title: learner and environment.
        console: console to write to.

    Returns:
        Exit code: 0, or 1 if no pipeline succeeded.
    """

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if len(trials) < plan.budget:
        say(f"the time limit came first: {len(trials)} of {plan.budget} pipelines were evaluated")
    say(f"\nbest pipelines\n\n{best_in_words(trials)}\n")
    winner = best(trials)
    result: dict[str, Any] = {}
    if winner is not None:
        scores = {"reward": float(winner.reward), "accuracy": float(winner.result.accuracy)}
        result = {"trial": winner.number, **scores, "trials": len(trials)}
    _draw(plan, out, trials, title, say)
    if winner is None:
        return 1
    evaluator = plan.env.evaluator
    if isinstance(evaluator, Retrainable):
        result |= _final_model(partial(evaluator.retrain, winner.pipeline, seed=plan.seed), winner, out, say)
    write_text(out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    return 0


def _draw(plan: SearchPlan, out: Path, trials: Sequence[Trial], title: str, say: Say) -> None:
    """Draws the figures; a failure to write them does not end the command."""
    if not trials:
        return
    size = plan.learner.batch_size if plan.learner.batch_size > 1 else FIGURE_BATCH
    try:
        figures = draw_figures(trials, size, out, title)
    except OSError as error:
        say(f"the figures cannot be written: {error}")
    else:
        say(f"figures: {', '.join(str(figure) for figure in figures)}")


def _final_model(retrain: Retrain, winner: Trial, out: Path, say: Say) -> dict[str, float]:
    """Trains and saves the final model, unless the folder has it; returns its numbers for the result."""
    accuracy = _earlier(winner, out)
    if accuracy is None:
        started = time.monotonic()
        try:
            model, accuracy = retrain()
        except (ArithmeticError, MemoryError, RuntimeError) as failure:
            say(f"the longer training of pipeline {winner.number} failed, so there is no model: {failure}")
            return {}
        saved = _save(model, out, say)
        say(f"retrained pipeline {winner.number} in {time.monotonic() - started:.0f} s")
        say(f"retrained on train + validation: test accuracy {accuracy:.2%}")
        if not saved:
            return {"test_accuracy": float(accuracy)}
    else:
        say(f"retrained on train + validation: test accuracy {accuracy:.2%}")
    say(f"the trained model is {out / MODEL_FILE}; load it with\n")
    say(f"    from ma2ml_env import load_model\n    model = load_model({str(out / MODEL_FILE)!r})")
    say("    print(model.predict(pixels))  # uint8 pixels of shape (B, C, H, W)\n")
    return {"test_accuracy": float(accuracy)}


def _save(model: Any, out: Path, say: Say) -> bool:
    """Saves a model before anything else can fail; only its weights if it cannot be saved as a whole."""
    try:
        model.save(out / MODEL_FILE)
    except Exception as error:  # a training that was finished is never lost, whatever a task raises
        from safetensors.torch import save_model

        save_model(model, str(out / WEIGHTS_FILE))
        say(f"the model cannot be saved whole ({error}); its weights are {out / WEIGHTS_FILE}")
        return False
    return True


def _earlier(winner: Trial, out: Path) -> float | None:
    """Test accuracy of the model in the folder, None if there is none of this pipeline."""
    if not ((out / RESULT_FILE).exists() and (out / MODEL_FILE).exists()):
        return None
    earlier = json.loads((out / RESULT_FILE).read_text(encoding="utf-8"))
    if earlier.get("trial") != winner.number or "test_accuracy" not in earlier:
        return None
    return float(earlier["test_accuracy"])
