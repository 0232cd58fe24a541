"""`SearchPlan`: everything that determines a search, validated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ma2ml_agents.learner import Learner
from ma2ml_agents.runs.words import counted
from ma2ml_agents.search.cost import CostBounds
from ma2ml_agents.search.pruner import Pruner
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import JointAction, check_seed

DEFAULT_WINDOW = 4
GIVE_UP_AFTER = 5


@dataclass(frozen=True)
class SearchPlan:
    """Specification of a search, validated on construction.

    Args:
        env: the native form; it is never reset or stepped.
        learner: fresh, from `agent_specs(env)`.
        budget: number of pipelines to evaluate, at least 1.
        window: number of proposals that may run ahead of results, at least 1; None for that of the run in `out`, else
            a number that suits the executor.
        seed: seed of the environment, in [0, 2**63).
        time_limit: seconds after which no evaluation is begun or waited for; None for no limit.
        reserve: returns the seconds of the time limit to keep for what follows the search, from the trials so far.
        pace: returns the expected seconds of an evaluation, from the trials so far; none is begun in less time.
        warm_start: joint actions that are evaluated first.
        bounds: bounds on cost; pipelines above them are never evaluated.
        cache: folder of results shared among searches.
        pruner: early stopping of trainings whose accuracy lags behind; None trains all to the end.
        out: folder of the run; None for no files.
        retry_failed: whether stored trials that failed are evaluated again.
        give_up_after: number of evaluations after which the search stops if all raised the same exception, at least 1;
            None for never.

    Raises:
        ValueError: for an environment in another form, a number out of range, a warm start that does not fit or is
            longer than the budget, bounds on a cost that is not known, a pruner where trainings cannot be stopped, or
            a cache that cannot be used, beside a pruner, or for an environment without a definition.
    """

    env: AutoMLEnv
    learner: Learner
    budget: int
    window: int | None = None
    seed: int = 0
    time_limit: float | None = None
    reserve: Callable[[Sequence[Trial]], float] = lambda trials: 0.0
    pace: Callable[[Sequence[Trial]], float] = lambda trials: 0.0
    warm_start: Sequence[JointAction] = ()
    bounds: CostBounds = field(default_factory=CostBounds)
    cache: Path | None = None
    pruner: Pruner | None = None
    out: Path | None = None
    retry_failed: bool = False
    give_up_after: int | None = GIVE_UP_AFTER

    def __post_init__(self) -> None:
        if not isinstance(self.env, AutoMLEnv):
            raise MA2MLError(
                "a search needs an environment's native form, as ma2ml_env.make(id) returns it, "
                f"not a {type(self.env).__name__}"
            )
        check_limits(self.budget, self.window, self.time_limit)
        if self.give_up_after is not None and self.give_up_after < 1:
            raise MA2MLError(f"give_up_after must be at least 1, or None, not {self.give_up_after}")
        object.__setattr__(self, "seed", check_seed(self.seed))
        if len(self.warm_start) > self.budget:
            given = counted(len(self.warm_start), "pipeline")
            raise MA2MLError(f"the warm start has {given}, the budget is {self.budget}")
        first = tuple(self.env.decode(action).action for action in self.warm_start)
        object.__setattr__(self, "warm_start", first)
        self._check_abilities()

    def _check_abilities(self) -> None:
        """Raises a ValueError if the environment or the cache does not support the plan."""
        env = self.env
        self.bounds.check(env)
        if self.pruner is not None:
            env.check_fidelity(["stop_below"])
        if self.cache is None:
            return
        if self.pruner is not None:
            raise MA2MLError(
                "a cache and a pruner do not go together: whether a training was stopped would depend on what "
                "other runs have cached"
            )
        if not env.definition:
            raise MA2MLError(
                f"{env.name} was not made by its id, so its results cannot be told from others' in a cache"
            )
        shared = cache_store(env, self.cache)
        shared.open()
        shared.close()


def check_limits(budget: int, window: int | None, time_limit: float | None) -> None:
    """Raises a ValueError if a limit of a search is out of range."""
    for name, value in (("budget", budget), ("window", window)):
        if value is not None and value < 1:
            raise MA2MLError(f"{name} must be at least 1, not {value}")
    if time_limit is not None and not time_limit > 0:
        raise MA2MLError(f"time_limit must be above 0 seconds, not {time_limit}")


def cache_store(env: AutoMLEnv, folder: Path) -> TrialStore:
    """Returns the file of shared results for an environment's definition."""
    return TrialStore(folder / f"{env.definition}.db", env.definition)


def updates_before(number: int, batch_size: int, window: int) -> int:
    """Returns the number of updates before the learner proposes a pipeline, at least 0.

    A proposal may run ahead of the results of the `window - 1` proposals before it. The learner changes
    only with a full batch, so this number, not the timing of workers, determines its state.

    Args:
        number: number of the proposal, from 0.
        batch_size: results per update, at least 1.
        window: number of proposals that may run ahead, at least 1; with 1 all earlier results are known.
    """
    return max(0, number - window + 1) // batch_size


def most_in_flight(learner: Learner, window: int) -> int:
    """Returns the most evaluations that a search has at once, however many workers there are.

    Args:
        learner: of the search.
        window: number of proposals that may run ahead, at least 1; an on-policy learner takes 1.
    """
    return learner.batch_size + (1 if learner.on_policy else window) - 1
