"""Results that need no evaluation: those of the same pipeline earlier, and those of pipelines that cost too much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ma2ml_env import AutoMLEnv, Pipeline, Result, Trial
from ma2ml_env.trials import TrialStore


@dataclass(frozen=True)
class CostBounds:
    """What a pipeline's network may cost at most; None for no bound.

    Args:
        max_flops: multiply-accumulates of one image, above 0.
        max_params: trainable parameters, above 0.

    Raises:
        ValueError: for a bound that is not above 0.

    Source: ours.
    """

    max_flops: float | None = None
    max_params: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_flops", "max_params"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ValueError(f"{name} must be above 0, not {bound}")

    def __bool__(self) -> bool:
        return self.max_flops is not None or self.max_params is not None

    def infeasible(self, env: AutoMLEnv, pipeline: Pipeline) -> Result | None:
        """The result of a pipeline that exceeds a bound, None for one that does not.

        Raises:
            ValueError: if the environment cannot tell a cost beforehand.
        """
        if not self:
            return None
        cost = env.cost(pipeline)
        limits = (
            (cost.flops, self.max_flops, "multiply-accumulates"),
            (cost.params, self.max_params, "parameters"),
        )
        excess = [
            f"{value:,} {unit}, more than {limit:,.0f}"
            for value, limit, unit in limits
            if limit is not None and value > limit
        ]
        if not excess:
            return None
        return Result(0.0, cost.flops, cost.params, 0.0, error=f"infeasible: {'; '.join(excess)}", infeasible=True)


class KnownResults:
    """What a search knows of a pipeline without evaluating it.

    Args:
        env: the environment.
        seed: of the environment in this search.
        bounds: beyond which nothing is evaluated.
        cache: folder of results that searches share, one file for each definition of an environment.

    Raises:
        ValueError: if a cache is asked for that cannot be used or the environment's definition is not known, or
            bounds are and its cost is not.

    Source: ours.
    """

    def __init__(self, env: AutoMLEnv, seed: int, bounds: CostBounds, cache: Path | None) -> None:
        self._env = env
        self._seed = seed
        self.bounds = bounds
        self._results: dict[str, Result] = {}
        self._shared: TrialStore | None = None
        if bounds:
            env.cost(env.decode({agent: space.default for agent, space in env.search_spaces.items()}))
        if cache is not None:
            if not env.definition:
                raise ValueError(
                    f"{env.name} was not made by its id, so its results cannot be told from others' in a cache"
                )
            self._shared = TrialStore(cache / f"{env.definition}.db", env.definition)
            self._shared.open()

    def take(self, trials: Iterable[Trial]) -> None:
        """Learn the results of earlier trials of the same seed."""
        self._results.update((trial.pipeline.key, trial.result) for trial in trials)

    def find(self, pipeline: Pipeline) -> Result | None:
        """The pipeline's result, None if it has to be evaluated."""
        known = self._results.get(pipeline.key) or self.bounds.infeasible(self._env, pipeline)
        if known is None and self._shared is not None:
            known = self._shared.find(pipeline, self._seed)
        return known

    def add(self, trial: Trial) -> None:
        """Remember a trial's result; a complete one is shared."""
        new = trial.pipeline.key not in self._results
        self._results[trial.pipeline.key] = trial.result
        if self._shared is None or not new or trial.state != "complete":
            return
        if self._shared.find(trial.pipeline, self._seed) is None:
            self._shared.append(trial)

    def close(self) -> None:
        """Close the cache's file."""
        if self._shared is not None:
            self._shared.close()
