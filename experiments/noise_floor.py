"""Is what the noise is said to allow right? Searches whose truth is known tell.

    python experiments/noise_floor.py

The shipped surrogate's predictions for the pipelines of each real search are taken for the truth, and noise is drawn on
top, in steps of one test image. `reachable` sees the noisy accuracies alone; how well the truth agrees with others like
them is known here. Then the real thing: pipelines that were trained under two seeds, and how well the second training
agrees with the first, measured and as the noise is said to have it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable

import numpy as np

import ma2ml_env
from ma2ml_env.evaluators.surrogate import SHIPPED
from ma2ml_env.surrogate.fit import Data, gather
from ma2ml_env.surrogate.model import load_surrogate
from ma2ml_env.surrogate.noise import Floats, Noise
from ma2ml_env.surrogate.noise_floor import measurements, reachable, repeatable, smallest_step
from ma2ml_env.surrogate.quality import Agreement, second_evaluations
from ma2ml_env.surrogate.table import read_table


def simulate(truth: Floats, noise: Noise, step: float, repeats: int) -> tuple[float, float]:
    """Kendall's tau that is said to be allowed, and that the truth reaches."""
    rng = np.random.default_rng(0)
    said = [reachable(measurements(truth, noise, step, rng), noise, step) for _ in range(repeats)]
    reached = [Agreement.of(measurements(truth, noise, step, rng), truth) for _ in range(10 * repeats)]
    return Agreement.mean(said).tau, Agreement.mean(reached).tau


def searches(data: Data, predict: Callable[[Data], Floats], repeats: int) -> None:
    """Print both for each search, and the means of each algorithm."""
    rows = defaultdict[str, list[tuple[float, float]]](list)
    noise, step = data.noise, smallest_step(data.accuracy)
    for name in np.unique(data.run[data.seed == 0]).tolist():
        said, reached = simulate(predict(data[data.run == name]), noise, step, repeats)
        print(f"{name:40} said {said:.3f}   reached {reached:.3f}", flush=True)
        rows[name.partition("-")[0]].append((said, reached))
    for algorithm, pairs in rows.items():
        said, reached = np.mean(pairs, axis=0)
        print(f"{'mean of ' + algorithm:40} said {said:.3f}   reached {reached:.3f}")


def repeated(data: Data) -> None:
    """Print how well second trainings agree with first ones, of searches that were trained again."""
    distinct, noise, step = data.distinct, data.noise, smallest_step(data.accuracy)
    for name in np.unique(data.run).tolist():
        run = data[data.run == name]
        again = second_evaluations(distinct, of=run.key)
        if again is not None and (run.seed == 0).all():
            said = repeatable(run.accuracy, noise, step)
            print(f"{name:40} a second training: said {said.tau:.3f}   measured {again.tau:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4, help="noisy copies of each search")
    arguments = parser.parse_args()
    env = ma2ml_env.make("ma2ml/digits-v0")
    data = gather(env, read_table(SHIPPED / "digits-v0.csv.xz", env))
    surrogate = load_surrogate(SHIPPED / "digits-v0.surrogate.xz")

    def predict(run: Data) -> Floats:
        accuracy, _ = surrogate.predict(dict(zip(run.columns, run.table.T, strict=True)))
        return accuracy

    searches(data, predict, arguments.repeats)
    repeated(data)


if __name__ == "__main__":
    main()
