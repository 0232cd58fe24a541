"""A fitted surrogate: its predictions, and the file that stores it."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.surrogate.boosted_trees import BoostedTrees
from ma2ml_env.surrogate.columns import Columns
from ma2ml_env.surrogate.gaussian_process import GaussianProcess
from ma2ml_env.surrogate.image_changes import table_of_changes
from ma2ml_env.surrogate.noise import Floats, Noise, logistic

FORMAT = "ma2ml surrogate 4"
DIGITS = 6
"""Decimals kept in a predicted accuracy; hides batch-dependent rounding error."""


@dataclass(frozen=True)
class Surrogate:
    """Predicts accuracy and seconds.

    Attributes:
        env: id of the environment that it imitates.
        definition: definition of that environment, when the trials were made.
        columns: names of what the models read, in their order.
        accuracy: a Gaussian process of the accuracy's logit.
        seconds: a LightGBM model of the logarithm of the typical machine's seconds, as LightGBM's own text.
        noise: noise of the accuracy.
        image_changes: changes behind the columns of augmentation policies, by operation and magnitude; None for the
            assumed ones.
        quality: figures of the fit, for people.

    Source: after NAS-Bench-301.
    """

    env: str
    definition: str
    columns: tuple[str, ...]
    accuracy: GaussianProcess
    seconds: str
    noise: Noise
    image_changes: tuple[tuple[float, ...], ...] | None = None
    quality: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, columns: Columns) -> tuple[Floats, Floats]:
        """Noise-free accuracy in [0, 1] and seconds, of shape (B,) each; accuracy rounded to `DIGITS`.

        Args:
            columns: at least those of `self.columns`, by name, each of shape (B,).
        """
        table = np.stack([columns[name] for name in self.columns], axis=1)
        accuracy = logistic(self.accuracy(table)).round(DIGITS)
        return accuracy, np.exp(self._log_seconds(table))

    @cached_property
    def _log_seconds(self) -> BoostedTrees:
        return BoostedTrees.from_lightgbm(self.seconds)

    @cached_property
    def digest(self) -> str:
        """Digest of everything but `quality`, 16 hexadecimal digits."""
        return _digest({name: value for name, value in _fields(self).items() if name != "quality"})

    def save(self, path: str | Path) -> None:
        """Writes the file: JSON, compressed with xz; nothing in it is ever executed."""
        body = asdict(self)
        document = {"format": FORMAT, "digest": _digest(body), **body}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(lzma.compress(json.dumps(document).encode(), preset=9))


def load_surrogate(path: str | Path) -> Surrogate:
    """Reads a file that `Surrogate.save` wrote.

    Raises:
        ValueError: if it cannot be read, is damaged, or is not a surrogate.
    """
    try:
        document = json.loads(lzma.decompress(Path(path).read_bytes()))
    except OSError as error:
        raise MA2MLError(f"cannot read the surrogate {path}: {error.strerror}") from error
    except (lzma.LZMAError, ValueError) as error:
        raise DamagedFileError(
            f"{path} is damaged or not a surrogate ({error}); `ma2ml surrogate fit` writes one"
        ) from error
    given = document.pop("format", None) if isinstance(document, dict) else None
    if given != FORMAT:
        raise MA2MLError(
            f"{path} is not a file of the format {FORMAT!r} but {given!r}; `ma2ml surrogate fit` writes one"
        )
    if document.pop("digest", None) != _digest(document):
        raise DamagedFileError(f"{path} is damaged: it does not match its digest; fit it again or restore it")
    try:
        document["columns"] = tuple(document["columns"])
        document["accuracy"] = GaussianProcess.from_json(document["accuracy"])
        document["noise"] = Noise(**{name: tuple(values) for name, values in document["noise"].items()})
        surrogate = Surrogate(**document)
        if surrogate.image_changes is not None:
            surrogate = replace(surrogate, image_changes=table_of_changes(surrogate.image_changes))
        if len(surrogate.columns) != len(surrogate.accuracy.center):
            raise MA2MLError(f"it names {len(surrogate.columns)} columns, not {len(surrogate.accuracy.center)}")
        return surrogate
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MA2MLError(f"{path} does not hold a surrogate ({error}); `ma2ml surrogate fit` writes one") from error


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=_fields).encode()).hexdigest()[:16]


def _fields(part: Any) -> dict[str, Any]:
    """The fields of a dataclass, one level deep: `asdict` copies every number of the points."""
    return {field.name: getattr(part, field.name) for field in fields(part)}
