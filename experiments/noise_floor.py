"""Validates the estimated noise ceiling on searches whose truth is known.

    python experiments/noise_floor.py

The shipped surrogate's predictions for the pipelines of each real search serve as the truth, to which noise is added,
in steps of one test image. `reachable` estimates the ceiling from the noisy accuracies alone; here the agreement of
the truth with other noisy ones is known. Then follow real trainings: for pipelines trained under two seeds, the
agreement of the second training with the first, as measured and as estimated from the noise.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable

import numpy as np

import ma2ml_env
from ma2ml_env.evaluators.surrogate import SHIPPED
from ma2ml_env.surrogate.evaluations_file import read_evaluations
from ma2ml_env.surrogate.fit import Data, gather
from ma2ml_env.surrogate.model import load_surrogate
from ma2ml_env.surrogate.noise import Floats, Noise
from ma2ml_env.surrogate.noise_floor import measurements, reachable, repeatable, smallest_step
from ma2ml_env.surrogate.quality import Agreement, second_evaluations


def simulate(truth: Floats, noise: Noise, step: float, repeats: int) -> tuple[float, float]:
    """Returns the estimated ceiling of Kendall's tau, and the tau that the truth reaches."""
    rng = np.random.default_rng(0)
    said = [reachable(measurements(truth, noise, step, rng), noise, step) for _ in range(repeats)]
    reached = [Agreement.of(measurements(truth, noise, step, rng), truth) for _ in range(10 * repeats)]
    return Agreement.mean(said).tau, Agreement.mean(reached).tau


def searches(data: Data, predict: Callable[[Data], Floats], repeats: int) -> None:
    """Prints both for each search, and the means of each learner."""
    rows = defaultdict[str, list[tuple[float, float]]](list)
    noise, step = data.noise, smallest_step(data.accuracy)
    for name in np.unique(data.run[data.seed == 0]).tolist():
        said, reached = simulate(predict(data[data.run == name]), noise, step, repeats)
        print(f"{name:40} estimated {said:.3f}   reached {reached:.3f}", flush=True)
        rows[name.partition("-")[0]].append((said, reached))
    for algorithm, pairs in rows.items():
        said, reached = np.mean(pairs, axis=0)
        print(f"{'mean of ' + algorithm:40} estimated {said:.3f}   reached {reached:.3f}")


def repeated(data: Data) -> None:
    """Prints the agreement of second trainings with first ones, for searches that were trained twice."""
    distinct, noise, step = data.distinct, data.noise, smallest_step(data.accuracy)
    for name in np.unique(data.run).tolist():
        run = data[data.run == name]
        again = second_evaluations(distinct, of=run.key)
        if again is not None and (run.seed == 0).all():
            said = repeatable(run.accuracy, noise, step)
            print(f"{name:40} a second training: estimated {said.tau:.3f}   measured {again.tau:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4, help="noisy copies of each search")
    arguments = parser.parse_args()
    env = ma2ml_env.make("ma2ml/digits-v0")
    data = gather(env, read_evaluations(SHIPPED / "digits-v0.csv.xz", env))
    surrogate = load_surrogate(SHIPPED / "digits-v0.surrogate.xz")

    def predict(run: Data) -> Floats:
        accuracy, _ = surrogate.predict(dict(zip(run.columns, run.table.T, strict=True)))
        return accuracy

    searches(data, predict, arguments.repeats)
    repeated(data)


if __name__ == "__main__":
    main()
