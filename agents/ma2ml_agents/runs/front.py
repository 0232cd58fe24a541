"""The front of accuracy against cost: pipelines than which none is both cheaper and more accurate."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ma2ml_env.errors import MA2MLError, require_known

SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
COSTS = {"flops": "multiply-accumulates", "params": "parameters"}
NUMBER = r"(?P<number>[\d_]*\.?\d+(?:[eE][-+]?\d+)?)\s*(?P<suffix>\w*)\s*"
BOUND = re.compile(rf"\s*(?P<name>\w+)\s*(?P<sign><=?)\s*{NUMBER}")


@dataclass(frozen=True)
class Point:
    """One distinct pipeline of a run.

    Attributes:
        number: of its earliest trial.
        accuracy: mean over its evaluations, each seed once, in [0, 1].
        flops: multiply-accumulates of one image.
        params: parameters.
        seconds: of its earliest evaluation.
        evaluations: number of its evaluations; the accuracy of one that was evaluated once may be luck.
    """

    number: int
    accuracy: float
    flops: float
    params: float
    seconds: float
    evaluations: int = 1


@dataclass(frozen=True)
class Bound:
    """Upper bound on a cost.

    Attributes:
        name: a key of `COSTS`.
        limit: above 0.
        strict: whether the limit itself is beyond the bound.
    """

    name: str
    limit: float
    strict: bool

    def holds(self, point: Point) -> bool:
        """Whether a pipeline is within the bound."""
        value = {"flops": point.flops, "params": point.params}[self.name]
        return value < self.limit or (value == self.limit and not self.strict)

    def __str__(self) -> str:
        return f"{self.name}{'<' if self.strict else '<='}{with_suffix(self.limit)}"


def points_of(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Returns the distinct pipelines of completed trials, by number.

    Args:
        rows: of trial logs, by number, the search's before others; see `TrialStore.rows`.
    """
    evaluations: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        if row["state"] == "complete":
            evaluations.setdefault(row["key"], {}).setdefault(row["seed"], row)
    points = []
    for by_seed in evaluations.values():
        first = next(iter(by_seed.values()))
        mean = math.fsum(row["accuracy"] for row in by_seed.values()) / len(by_seed)
        points.append(Point(first["number"], mean, first["flops"], first["params"], first["seconds"], len(by_seed)))
    return points


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """Returns the points that no other dominates, by ascending FLOPs and accuracy.

    A point dominates another if it has at most its FLOPs and at least its accuracy, and one of them better. Of equal
    points the earliest stands for all.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.flops, -point.accuracy, point.number)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def best_within(points: Sequence[Point], bounds: Sequence[Bound]) -> Point:
    """Returns the most accurate point within all bounds; of equal ones that of fewer FLOPs, then the earlier.

    Raises:
        MA2MLError: if there is none, with the smallest cost of all.
    """
    within = [point for point in points if all(bound.holds(point) for bound in bounds)]
    if not within:
        smallest = " and ".join(
            f"{min(getattr(point, bound.name) for point in points):,.0f} {COSTS[bound.name]}" for bound in bounds
        )
        wanted = " and ".join(map(str, bounds))
        together = ", not both in one" if len(bounds) > 1 else ""
        raise MA2MLError(f"no pipeline has {wanted}; the smallest have {smallest}{together}")
    return max(within, key=lambda point: (point.accuracy, -point.flops, -point.number))


def parse_bounds(text: str) -> list[Bound]:
    """Returns the bounds of a text such as `flops<5M` or `params<=100k, flops<2e6`.

    Raises:
        MA2MLError: for a text of another form, an unknown cost or suffix, or a cost with two bounds.
    """
    bounds = [_bound(part) for part in text.split(",")]
    names = [bound.name for bound in bounds]
    for name in names:
        if names.count(name) > 1:
            raise MA2MLError(f"{name} has two bounds in {text!r}; state the smaller one")
    return bounds


def _bound(text: str) -> Bound:
    match = BOUND.fullmatch(text)
    if match is None:
        raise MA2MLError(f"a bound is like flops<5M or params<=100k, not {text.strip()!r}")
    require_known(match["name"], COSTS, "cost")
    return Bound(match["name"], _value(match), match["sign"] == "<")


def parse_number(text: str) -> float:
    """Returns a number above 0 such as `5M`, `1.5 G`, `100_000` or `2e6`; k, M and G are thousands and so on.

    Raises:
        MA2MLError: for a text of another form, an unknown suffix, or a number that is not above 0 and finite.
    """
    match = re.fullmatch(rf"\s*{NUMBER}", text)
    if match is None:
        raise MA2MLError(f"a number is like 5M, 100k or 2e6, not {text.strip()!r}")
    return _value(match)


def _value(match: re.Match[str]) -> float:
    """Returns the number of a match of `NUMBER`."""
    if match["suffix"]:
        require_known(match["suffix"], [suffix for suffix in SUFFIXES if suffix], "suffix")
    value = float(match["number"]) * SUFFIXES[match["suffix"]]
    if not 0 < value < math.inf:
        raise MA2MLError(f"a bound is above 0, not {match[0].strip()!r}")
    return value


def with_suffix(value: float) -> str:
    """Returns a number of at least 0 in up to four digits, with k, M or G where it is large enough."""
    for suffix, unit in reversed(SUFFIXES.items()):
        if value >= unit and unit > 1:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.4g}"
