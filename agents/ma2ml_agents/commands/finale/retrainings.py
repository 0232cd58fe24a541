"""`retrain.csv`: the trainings of `ma2ml retrain`, and their table of means and standard deviations."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.table import Table

from ma2ml_env.errors import DamagedFileError
from ma2ml_env.files import write_text
from ma2ml_env.types import Cost

RETRAIN_FILE = "retrain.csv"


@dataclass(frozen=True)
class Retraining:
    """One training of `ma2ml retrain`.

    Attributes:
        trial: number of the pipeline's trial in the search.
        key: key of the pipeline.
        number: number of the training, from 0, which determines its seed.
        epochs: epochs of the training.
        definition: definition of the environment, scaled network included.
        test_accuracy: in [0, 1]; None for a failure.
        error: reason of the failure, None for none.
    """

    trial: int
    key: str
    number: int
    epochs: int
    definition: str
    test_accuracy: float | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        """Name that no other training of a run has."""
        return f"{self.key}-{self.definition}-{self.epochs}-{self.number}"


class Retrainings:
    """Trainings in `retrain.csv`, each written as it ends.

    Args:
        run: folder of the run.

    Raises:
        DamagedFileError: if the file cannot be read.
    """

    def __init__(self, run: Path) -> None:
        self._path = run / RETRAIN_FILE
        self._done = {training.name: training for training in _read(self._path)}

    def find(self, wanted: Retraining) -> Retraining | None:
        """Returns the finished training of the same pipeline, number, epochs and network; None if there is none."""
        return self._done.get(wanted.name)

    def add(self, training: Retraining) -> Retraining:
        """Writes a finished training; returns it."""
        self._done[training.name] = training
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Retraining)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(each) for each in self._done.values())
        write_text(self._path, text.getvalue())
        return training


def _read(path: Path) -> list[Retraining]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as text:
            return [
                Retraining(
                    trial=int(row["trial"]),
                    key=row["key"],
                    number=int(row["number"]),
                    epochs=int(row["epochs"]),
                    definition=row["definition"],
                    test_accuracy=float(row["test_accuracy"]) if row["test_accuracy"] else None,
                    error=row["error"] or None,
                )
                for row in csv.DictReader(text)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged ({error!r}); restore it, or move it away") from error


def retrain_table(found: Sequence[Retraining], costs: Mapping[int, Cost]) -> Table:
    """Returns the table of the trained pipelines, in order: mean and standard deviation of test accuracy.

    Args:
        found: trainings, those of a pipeline together.
        costs: costs of the trained networks, by number of the trial.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("pipeline", "trainings", "test accuracy", "MFLOPs", "M params", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for trial in dict.fromkeys(training.trial for training in found):
        own = [training for training in found if training.trial == trial]
        accuracies = [training.test_accuracy for training in own if training.test_accuracy is not None]
        cost = costs[trial]
        failed = str(len(own) - len(accuracies)) if len(accuracies) < len(own) else ""
        sizes = (f"{cost.flops / 1e6:.2f}", f"{cost.params / 1e6:.3f}")
        table.add_row(str(trial), str(len(accuracies)), mean_and_spread(accuracies), *sizes, failed)
    return table


def mean_and_spread(accuracies: Sequence[float]) -> str:
    """Returns accuracies in percent as mean and sample standard deviation, the latter from two on."""
    if not accuracies:
        return "none"
    spread = f" ± {100 * statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{100 * statistics.fmean(accuracies):.2f}{spread} %"
