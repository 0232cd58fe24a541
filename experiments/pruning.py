"""What a pruner would have saved and cost on trainings that were done: a replay of trial logs.

    python experiments/pruning.py runs/*/trials.db [--top 20] [--window 1]

Each log is gone through in its order. A training is stopped at the first epoch where its stored curve is below the
threshold that the pruner makes of the curves of the trials before it (at least `window` before, as in a search), but
those that it stopped itself. The table says which share of all epochs and trainings this saves; how many of the best
pipelines of the logs, by their accuracy at the last epoch, are stopped; and how far the best pipeline of a log that is
left falls below the best there was, in the mean over logs.

The proposals stay those of the log: a learner that is paid the accuracy of stopped trainings would go on to others.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ma2ml_agents.search.pruner import Pruner, QuantilePruner, make_pruner
from ma2ml_env.trials import TrialStore

Curve = tuple[float, ...]
DOUBLING = (1, 2, 4, 8, 16)
PRUNERS: dict[str, Pruner] = {
    f"quantile {quantile}, epochs {'1, 2, 4' if epochs else 'all'}, warm-up {warmup}": QuantilePruner(
        quantile, warmup, epochs
    )
    for warmup in (10, 20)
    for epochs in (None, DOUBLING)
    for quantile in (0.1, 0.25, 0.5, 0.75)
}


@dataclass
class Replay:
    """What a pruner does to one log.

    Attributes:
        epochs: that were trained, out of those of the log.
        stopped: which trials it stops.
    """

    epochs: int
    stopped: set[int]


def replay(pruner: Pruner, curves: Sequence[Curve], window: int) -> Replay:
    """Go through complete trainings in order; decisions use the trials at least `window` earlier."""
    outcome = Replay(0, set())
    for number, curve in enumerate(curves):
        known = [curves[i] for i in range(max(0, number - window + 1)) if i not in outcome.stopped]
        thresholds = pruner.thresholds(known)
        below = [epoch for epoch, (x, bar) in enumerate(zip(curve, thresholds, strict=False), start=1) if x < bar]
        length = below[0] if below else len(curve)
        outcome.epochs += length
        if length < len(curve):
            outcome.stopped.add(number)
    return outcome


def complete_curves(path: Path) -> list[Curve]:
    """The curves of the distinct complete trials of a log, in its order."""
    curves: dict[str, Curve] = {}
    for row in TrialStore(path).rows():
        if row["state"] == "complete" and (curve := tuple(json.loads(row["curve"]))):
            curves.setdefault(row["key"], curve)
    return list(curves.values())


def row(name: str, pruner: Pruner, logs: Sequence[list[Curve]], top: int, window: int) -> str:
    """A line of the table."""
    replays = [replay(pruner, curves, window) for curves in logs]
    epochs = sum(len(curve) for curves in logs for curve in curves)
    saved = 1 - sum(outcome.epochs for outcome in replays) / epochs
    stopped = sum(len(outcome.stopped) for outcome in replays) / sum(map(len, logs))
    lost, losses = 0, []
    for curves, outcome in zip(logs, replays, strict=True):
        best_first = sorted(range(len(curves)), key=lambda number: (-curves[number][-1], number))
        lost += len(outcome.stopped.intersection(best_first[:top]))
        left = [curves[number][-1] for number in best_first if number not in outcome.stopped]
        losses.append(curves[best_first[0]][-1] - left[0])
    of = sum(min(top, len(curves)) for curves in logs)
    return f"| {name} | {saved:.1%} | {stopped:.1%} | {lost} of {of} | {statistics.fmean(losses):.4f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "logs", type=Path, nargs="+", help="trials.db of searches that trained all pipelines to the end"
    )
    parser.add_argument("--top", type=int, default=20, help="how many of the best pipelines of a log to look for")
    parser.add_argument("--window", type=int, default=1, help="how far proposals ran ahead of results")
    options = parser.parse_args()
    logs = [curves for path in options.logs if (curves := complete_curves(path))]
    trials, epochs = sum(map(len, logs)), sum(len(curve) for curves in logs for curve in curves)
    print(f"{len(logs)} logs, {trials} distinct complete pipelines, {epochs} epochs, window {options.window}\n")
    print(f"| pruner | epochs saved | trainings stopped | of the top {options.top} stopped | best accuracy lost |")
    print("|---|---|---|---|---|")
    named = {f"**{name}**, as it stands": pruner for name in ("median", "halving") if (pruner := make_pruner(name))}
    for name, pruner in {**named, **PRUNERS}.items():
        print(row(name, pruner, logs, options.top, options.window))


if __name__ == "__main__":
    main()
