"""Cross-validates every pipeline of a small scikit-learn space with conditional decisions, on four data sets.

    python experiments/sklearn_tables.py --out runs/sklearn-tables

A pipeline scales the features, may reduce their number, and trains one of five families of models, each with
hyperparameters of its own. All 1,638 distinct pipelines are cross-validated, so that a search in the table is a
search among real trainings. `sklearn.yaml` declares the environments: wine and diabetes for tuning learners,
breast cancer and digits for evaluating them.

Accuracy is that of three-fold cross-validation; for diabetes it is R^2, at least 0. Finished blocks are stored in
the folder and not recomputed; a finished table is written to `experiments/tables/`. About half an hour on one core.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import lzma
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets, decomposition, ensemble, feature_selection, linear_model, neighbors, neural_network, svm
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold
from sklearn.preprocessing import MinMaxScaler, StandardScaler

TABLES = Path(__file__).parent / "tables"
PROBLEMS = ("wine", "diabetes", "breast_cancer", "digits")
EXAMPLES, REPEATS, FOLDS = 400, 1, 3
SCALERS: dict[str, Any] = {
    "none": None,
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
}
SELECTIONS = ("none", "pca", "best")
SHARES = (0.25, 0.5, 0.75)
FAMILIES: dict[str, dict[str, tuple[Any, ...]]] = {
    "forest": {"forest_depth": (2, 4, 8, 32), "forest_features": (0.1, 0.3, 0.6, 1.0), "forest_extra": (0, 1)},
    "linear": {"linear_c": (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)},
    "network": {"network_units": (8, 32), "network_decay": (1e-4, 1e-2, 1.0), "network_rate": (1e-3, 1e-2)},
    "neighbors": {"neighbors_k": (1, 3, 5, 9, 15, 25), "neighbors_weights": ("distance", "uniform")},
    "svm": {"svm_c": (0.1, 1.0, 10.0, 100.0), "svm_gamma": (0.1, 0.3, 1.0, 3.0)},
}
"""Families and their hyperparameters; the table has the first choice of those that are inactive."""
FIRST = {name: choices[0] for own in FAMILIES.values() for name, choices in own.items()}
COLUMNS = [
    *("prep.scaler", "select.method", "select.share", "model.family"),
    *(f"model.{name}" for name in FIRST),
    "accuracy",
]


def blocks() -> Iterator[tuple[str, str, float]]:
    """Yields all (scaler, selection, share); the share is the first one where nothing is selected."""
    for scaler, method in itertools.product(SCALERS, SELECTIONS):
        for share in SHARES if method != "none" else SHARES[:1]:
            yield scaler, method, share


def models() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields all (family, its hyperparameters)."""
    for family, own in FAMILIES.items():
        for chosen in itertools.product(*own.values()):
            yield family, dict(zip(own, chosen, strict=True))


def load(problem: str) -> tuple[NDArray[np.float64], NDArray[Any], bool]:
    """Returns features and targets of at most 400 examples, and whether the targets are classes."""
    data = getattr(datasets, f"load_{problem}")()
    order = np.random.default_rng(0).permutation(len(data.target))[:EXAMPLES]
    target, classes = data.target[order], problem != "diabetes"
    return data.data[order], target if classes else (target - target.mean()) / target.std(), classes


def prepared(
    train: NDArray[np.float64], test: NDArray[np.float64], target: NDArray[Any], block: tuple[str, str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns scaled and selected features of a fold."""
    scaler, method, share = block
    steps = [SCALERS[scaler]()] if SCALERS[scaler] else []
    count = max(1, round(share * train.shape[1]))
    if method == "pca":
        steps.append(decomposition.PCA(min(count, *train.shape), random_state=0))
    if method == "best":
        steps.append(feature_selection.SelectKBest(k=count))
    for step in steps:
        train = step.fit_transform(train, target)
        test = step.transform(test)
    return train, test


def model(family: str, own: dict[str, Any], classes: bool) -> Any:
    """Returns an unfitted estimator."""
    kind = "Classifier" if classes else "Regressor"
    if family == "forest":
        name = "ExtraTrees" if own["forest_extra"] else "RandomForest"
        depth, features = own["forest_depth"], own["forest_features"]
        return getattr(ensemble, name + kind)(10, max_depth=depth, max_features=features, random_state=0)
    if family == "linear":
        c = own["linear_c"]
        return linear_model.LogisticRegression(C=c, max_iter=200) if classes else linear_model.Ridge(1.0 / c)
    if family == "network":
        return getattr(neural_network, "MLP" + kind)(
            hidden_layer_sizes=(own["network_units"],),
            alpha=own["network_decay"],
            learning_rate_init=own["network_rate"],
            max_iter=30,
            random_state=0,
        )
    if family == "neighbors":
        return getattr(neighbors, "KNeighbors" + kind)(own["neighbors_k"], weights=own["neighbors_weights"])
    made: Any = svm.SVC if classes else svm.SVR
    return made(C=own["svm_c"], gamma=own["svm_gamma"])


def scores(problem: str, block: tuple[str, str, float]) -> list[float]:
    """Returns the mean score of each model on a block's features; gamma is in units of scikit-learn's `scale`."""
    features, target, classes = load(problem)
    split = (RepeatedStratifiedKFold if classes else RepeatedKFold)(n_splits=FOLDS, n_repeats=REPEATS, random_state=0)
    total = np.zeros(len(list(models())))
    for train_rows, test_rows in split.split(features, target):
        train, test = prepared(features[train_rows], features[test_rows], target[train_rows], block)
        unit = 1.0 / (train.shape[1] * max(train.var(), 1e-12))
        for place, (family, own) in enumerate(models()):
            scaled = own | {"svm_gamma": own["svm_gamma"] * unit} if family == "svm" else own
            fitted = model(family, scaled, classes).fit(train, target[train_rows])
            total[place] += max(0.0, fitted.score(test, target[test_rows]))
    return [round(value, 4) for value in (total / (FOLDS * REPEATS)).tolist()]


def train(problem: str, file: Path) -> None:
    """Completes a table block by block, after those in the file."""
    done = set()
    if file.exists():
        with file.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
        done = {(row["prep.scaler"], row["select.method"], float(row["select.share"])) for row in rows}
    for block in blocks():
        if block in done:
            continue
        found = scores(problem, block)
        with file.open("a", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            if text.tell() == 0:
                writer.writerow(COLUMNS)
            for (family, own), score in zip(models(), found, strict=True):
                writer.writerow([*block, family, *(FIRST | own).values(), score])
        print(f"{problem} {block}: best {max(found):.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/sklearn-tables"))
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    TABLES.mkdir(exist_ok=True)
    warnings.filterwarnings("ignore")
    for problem in given.problems:
        file = given.out / f"{problem}.csv"
        train(problem, file)
        (TABLES / f"{problem}.csv.xz").write_bytes(lzma.compress(file.read_bytes(), preset=9))


if __name__ == "__main__":
    main()
