"""Replay of trial logs that measures the savings and losses of pruners.

    python experiments/pruning.py runs/*/trials.db [--top 20] [--window 1]

Each log is replayed in order. A training is stopped at the first epoch where its stored curve is below the threshold
that the pruner computes from the curves of earlier trials (at least `window` earlier, as in a search), except those
it stopped itself. The table reports the share of all epochs and trainings that this saves; the number of stopped
pipelines among the best of the logs, by accuracy at the last epoch; and the difference between the best pipeline of a
log and the best one that is not stopped, averaged over logs.

Proposals are those of the log, although a learner that observes the accuracy of stopped trainings would diverge.
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
    """Effect of a pruner on one log.

    Attributes:
        epochs: number of epochs that are trained.
        stopped: the trials that it stops.
    """

    epochs: int
    stopped: set[int]


def replay(pruner: Pruner, curves: Sequence[Curve], window: int) -> Replay:
    """Replays complete trainings in order; decisions use the trials at least `window` earlier."""
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
    """Returns the curves of the distinct complete trials of a log, in order."""
    curves: dict[str, Curve] = {}
    for row in TrialStore(path).rows():
        if row["state"] == "complete" and (curve := tuple(json.loads(row["curve"]))):
            curves.setdefault(row["key"], curve)
    return list(curves.values())


def row(name: str, pruner: Pruner, logs: Sequence[list[Curve]], top: int, window: int) -> str:
    """Returns a row of the table."""
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
    parser.add_argument("--top", type=int, default=20, help="number of best pipelines per log to look for")
    parser.add_argument("--window", type=int, default=1, help="number of proposals that ran ahead of results")
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
