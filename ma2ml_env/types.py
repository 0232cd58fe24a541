"""Basic types of the package: agents, pipelines, results, trials."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from textwrap import indent
from typing import Any, Protocol

from ma2ml_env.errors import MA2MLError

AgentID = str
JointAction = Mapping[AgentID, tuple[int, ...]]

MAX_SEED = 2**63 - 1
"""Largest seed: what SQLite stores as an integer."""


@dataclass(frozen=True, eq=False, slots=True)
class Pipeline(Mapping[AgentID, Any]):
    """One complete machine-learning pipeline: the choice of every agent, as indices and decoded.

    A mapping from agent to the decoded choice (`pipeline["nas"]`). Two pipelines are equal when
    their actions are.

    Attributes:
        action: the joint action, one tuple of choice indices per agent.
        parts: the decoded choices, one object per agent, as its `SearchSpace` builds them.
    """

    action: JointAction
    parts: Mapping[AgentID, Any]
    _key: str = field(default="", init=False, repr=False)

    @property
    def key(self) -> str:
        """A stable name of the joint action, 16 hexadecimal digits; computed once."""
        if not self._key:
            canonical = json.dumps(sorted((agent, list(action)) for agent, action in self.action.items()))
            object.__setattr__(self, "_key", hashlib.sha256(canonical.encode()).hexdigest()[:16])
        return self._key

    def random_seed(self, seed: int) -> int:
        """The seed, in [0, 2**63), of everything random in this pipeline's evaluation.

        It depends on the environment's seed and on the pipeline alone, so a result depends neither
        on the order of evaluation nor on the process that computes it.

        Args:
            seed: the environment's seed.
        """
        return derived_seed(f"{seed}:{self.key}")

    def __getitem__(self, agent: AgentID) -> Any:
        return self.parts[agent]

    def __iter__(self) -> Iterator[AgentID]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return "\n".join(f"{agent}\n{indent(str(part), '  ')}" for agent, part in self.parts.items())


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of evaluating one pipeline.

    Its numbers are Python floats, whatever they were passed as (NumPy's scalars, 0-d tensors). One that is not finite,
    or negative where that has no meaning, makes the pipeline a failed one: `error` names it, accuracy is 0.

    Attributes:
        accuracy: in [0, 1]; 0 for a failed pipeline.
        flops: multiply-accumulates of one image.
        params: trainable parameters.
        seconds: wall-clock seconds that the evaluation took.
        error: reason of the failure, None if there is none.
        curve: validation accuracy after each measured epoch, empty where there are no epochs.
        pruned: whether training was stopped early; accuracy is that of the last epoch then.
        infeasible: whether it was not evaluated, because it costs more than is allowed; such a one has failed.
    """

    accuracy: float
    flops: float
    params: float
    seconds: float
    error: str | None = None
    curve: tuple[float, ...] = ()
    pruned: bool = False
    infeasible: bool = False

    def __post_init__(self) -> None:
        for name in ("accuracy", "flops", "params", "seconds"):
            number = float(getattr(self, name))
            if not math.isfinite(number) or (number < 0 and name != "accuracy"):
                self._fail(
                    f"{name} is {number}, not a finite number" + (" of at least 0" if name != "accuracy" else "")
                )
                number = 0.0
            object.__setattr__(self, name, number)
        curve = tuple(map(float, self.curve))
        for epoch, value in enumerate(curve):
            if not math.isfinite(value):
                self._fail(f"accuracy is {value} after epoch {epoch + 1}, not a finite number")
                curve = curve[:epoch]
                break
        object.__setattr__(self, "curve", curve)

    def _fail(self, reason: str) -> None:
        object.__setattr__(self, "error", self.error or reason)
        object.__setattr__(self, "accuracy", 0.0)

    @property
    def failed(self) -> bool:
        """True if the pipeline failed."""
        return self.error is not None


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated pipeline in a search.

    Its reward is a Python float; one that is not finite becomes 0, and the pipeline a failed one that names it.

    Attributes:
        number: its place in the search, from 0.
        seed: the environment's seed under which it was evaluated.
        pipeline: the evaluated pipeline.
        result: result of the evaluation.
        reward: the shared reward that was paid for it.
    """

    number: int
    seed: int
    pipeline: Pipeline
    result: Result
    reward: float

    def __post_init__(self) -> None:
        reward = float(self.reward)
        if not math.isfinite(reward):
            error = self.result.error or f"the reward is {reward}, not a finite number"
            object.__setattr__(self, "result", replace(self.result, accuracy=0.0, error=error))
            reward = 0.0
        object.__setattr__(self, "reward", reward)

    @property
    def state(self) -> str:
        """`"complete"`, `"failed"`, `"infeasible"` or `"pruned"`."""
        result = self.result
        if result.infeasible:
            return "infeasible"
        return "failed" if result.failed else "pruned" if result.pruned else "complete"

    def __str__(self) -> str:
        return f"pipeline {self.number}: {self.summary}\n{self.pipeline}"

    @property
    def summary(self) -> str:
        """Reward, accuracy and cost in words, or the reason of a failure; a meaningless cost of 0 is left out."""
        outcome = self.result
        if outcome.infeasible:
            return f"too large, not evaluated: {(outcome.error or '').removeprefix('infeasible: ')}"
        if outcome.failed:
            return f"failed: {outcome.error}"
        flops = f", {outcome.flops / 1e6:.2f} M multiply-accumulates" if outcome.flops else ""
        params = f", {outcome.params / 1e3:.1f} k parameters" if outcome.params else ""
        return f"reward {self.reward:.4f}, accuracy {outcome.accuracy:.2%}{flops}{params}"


class RewardFn(Protocol):
    """Turns a result into the shared reward."""

    def __call__(self, result: Result, /) -> float:
        """The reward of `result`."""
        ...


@dataclass(frozen=True)
class Cost:
    """Cost of a network.

    Attributes:
        flops: multiply-accumulates of convolutions and linear layers for one image.
        params: trainable parameters.

    Source: the convention of the NASNet and FBNetV3 papers.
    """

    flops: int
    params: int


def derived_seed(text: str) -> int:
    """Returns a seed in [0, 2**63) that depends on a text alone, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def check_seed(seed: Any) -> int:
    """Returns a seed of any integer type as an int.

    Args:
        seed: from 0 to `MAX_SEED`; an int or an integer of NumPy or of another library.

    Raises:
        ValueError: if it is not a whole number, or out of range.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        raise MA2MLError(f"a seed is a whole number from 0 to 2**63 - 1, not {seed!r}") from None
    if not 0 <= number <= MAX_SEED:
        raise MA2MLError(f"a seed is a whole number from 0 to 2**63 - 1, not {number}")
    return number


__all__ = [
    "MAX_SEED", "AgentID", "Cost", "JointAction", "Pipeline", "Result", "RewardFn", "Trial", "check_seed",
    "derived_seed",
]  # fmt: skip
