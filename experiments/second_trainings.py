"""Compares the surrogate with a second training of the same pipeline as predictors of a training.

    python experiments/second_trainings.py --out experiments/results/second_trainings.json

Some searches were trained again under a second seed. For each of them a surrogate is fitted with its pipelines held
out; its predictions, and the other training, are compared with each training in turn. The other training knows the
pipeline, but has noise of its own; the noise ceiling follows from the agreement of both trainings. The interval of the
ratio of the mean taus is that of 1,000 bootstrap samples of each search's pipelines. A minute per search.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from digits_table import ENV, FITTED

import ma2ml_env
from ma2ml_env.surrogate.evaluations_file import read_evaluations
from ma2ml_env.surrogate.fit import Data, gather
from ma2ml_env.surrogate.noise import Floats
from ma2ml_env.surrogate.quality import Agreement, held_out

DRAWS = 1000
OTHERS = ("another training", "a perfect prediction")


@dataclass(frozen=True)
class Search:
    """One search that was trained twice.

    Attributes:
        name: name of its run.
        trainings: accuracies of both trainings, shape (2, N).
        predicted: predictions of a surrogate with its pipelines held out, shape (N,).
    """

    name: str
    trainings: Floats
    predicted: Floats

    @property
    def training(self) -> Agreement:
        """Agreement of one training with the other, the mean of both directions."""
        one, other = self.trainings
        return Agreement.mean([Agreement.of(one, other), Agreement.of(other, one)])

    @property
    def surrogate(self) -> Agreement:
        """Agreement of the surrogate with one training, the mean over both."""
        return Agreement.mean([Agreement.of(one, self.predicted) for one in self.trainings])

    @property
    def perfect(self) -> float:
        """Noise ceiling: Kendall's tau of the truth with one training.

        Since accuracies are not normal, it is 0.014 above the tau of the truth in simulations of these searches.

        Source: measurements correlate with the truth by the square root of what they correlate with each other by
        (Spearman 1904), and r = sin(pi tau / 2) for normal numbers (Greiner 1909).
        """
        correlation = np.sin(np.pi / 2 * max(0.0, self.training.tau))
        return float(np.arcsin(correlation**0.5) * 2 / np.pi)

    def drawn(self, rng: np.random.Generator) -> Search:
        """Returns a bootstrap sample of its pipelines."""
        rows = rng.integers(len(self.predicted), size=len(self.predicted))
        return Search(self.name, self.trainings[:, rows], self.predicted[rows])


def searches(data: Data) -> Iterator[Search]:
    """Yields the searches that were trained under the seeds 0 and 1."""
    distinct = data.distinct
    again = distinct[distinct.seed == 1]
    second = dict(zip(again.key.tolist(), again.accuracy.tolist(), strict=True))
    for name in np.unique(data.run[data.seed == 0]).tolist():
        run = data[data.run == name]
        twice = run[np.isin(run.key, again.key)]
        if 2 * len(twice) > len(run):
            trainings = np.stack([twice.accuracy, [second[key] for key in twice.key.tolist()]])
            yield Search(name, trainings, held_out(distinct, twice))


def ratios(found: Sequence[Search]) -> Floats:
    """Returns the surrogate's mean tau as a share of the other training's, and of a perfect prediction's."""
    taus = np.mean([[one.surrogate.tau, one.training.tau, one.perfect] for one in found], axis=0)
    return np.asarray(taus[0] / taus[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, nargs="+", default=(FITTED,))
    parser.add_argument("--out", type=Path, help="JSON file of all results")
    arguments = parser.parse_args()
    env = ma2ml_env.make(ENV)
    data = gather(env, {name: run for table in arguments.tables for name, run in read_evaluations(table, env).items()})
    found = []
    for search in searches(data):
        print(f"{search.name} ({len(search.predicted)} pipelines)")
        print(f"  another training  {search.training}")
        print(f"  the surrogate     {search.surrogate}")
        print(f"  perfect           tau {search.perfect:.3f}", flush=True)
        found.append(search)
    rng = np.random.default_rng(0)
    drawn = [ratios([one.drawn(rng) for one in found]) for _ in range(DRAWS)]
    shares = np.stack([ratios(found), *np.quantile(drawn, (0.025, 0.975), axis=0)], axis=1).tolist()
    for other, (share, low, high) in zip(OTHERS, shares, strict=True):
        print(f"the surrogate's mean tau is {share:.3f} [{low:.3f}, {high:.3f}] of {other}'s")
    if arguments.out is not None:
        of_each = {
            one.name: {
                "another training": asdict(one.training),
                "the surrogate": asdict(one.surrogate),
                "a perfect prediction": {"tau": one.perfect},
            }
            for one in found
        }
        figures = {"searches": of_each, "share, low, high": dict(zip(OTHERS, shares, strict=True))}
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
