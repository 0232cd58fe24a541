"""Rewards: pure functions from a result to one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ma2ml_env.errors import MA2MLError
from ma2ml_env.types import Result


def accuracy(result: Result) -> float:
    """Validation accuracy in [0, 1], 0 for a failed pipeline.

    Source: MA2ML's reward without a constraint, used on CIFAR.
    """
    return 0.0 if result.failed else float(result.accuracy)


def flops_constrained(result: Result, *, constraint: float, exponent: float = -0.07, one_sided: bool = False) -> float:
    """Accuracy, discounted where the network exceeds a FLOPs constraint.

        R = Acc * (FLOPs / constraint) ** w

    Args:
        result: the evaluated pipeline; a failed one has reward 0, whatever its FLOPs.
        constraint: multiply-accumulates of one image that are allowed, above 0.
        exponent: w, at most 0; the more negative, the dearer each surplus FLOP.
        one_sided: no bonus for staying below the constraint (w = 0 there).

    Returns:
        The reward; at most the accuracy when one-sided. A network of 0 FLOPs has the reward of one at the constraint.

    Raises:
        ValueError: if the constraint is not above 0 or the exponent is above 0.

    Source: MA2ML's reward, but for the one-sided form; the exponent's default is MnasNet's.
    """
    if not constraint > 0:
        raise MA2MLError(f"the FLOPs constraint must be above 0, not {constraint}")
    if not exponent <= 0:
        raise MA2MLError(f"the exponent must be at most 0, not {exponent}: above 0 it would reward large networks")
    if result.failed:
        return 0.0
    ratio = result.flops / constraint
    if ratio <= 0 or (one_sided and ratio <= 1):
        return float(result.accuracy)
    return float(result.accuracy * ratio**exponent)


@dataclass(frozen=True)
class FLOPsConstrained:
    """The reward `flops_constrained` of fixed settings; its arguments and errors are that function's."""

    constraint: float
    exponent: float = -0.07
    one_sided: bool = False

    def __post_init__(self) -> None:
        self(Result(accuracy=0.0, flops=1.0, params=1.0, seconds=0.0, error="not evaluated"))

    def __call__(self, result: Result) -> float:
        """The reward of a result."""
        return flops_constrained(result, constraint=self.constraint, exponent=self.exponent, one_sided=self.one_sided)


@runtime_checkable
class Constrained(Protocol):
    """A reward that depends on a FLOPs constraint."""

    @property
    def constraint(self) -> float:
        """Multiply-accumulates of one image that are allowed."""
