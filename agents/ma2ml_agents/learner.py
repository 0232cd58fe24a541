"""The `Learner` protocol: proposes joint actions and learns from their rewards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError

AgentID = str
Observations = Mapping[AgentID, NDArray[np.float32]]
Actions = Mapping[AgentID, NDArray[np.int64]]
Condition = tuple[tuple[int, tuple[int, ...]], ...]
"""Condition for a decision to be active: pairs of (index of an earlier decision of the agent, indices of its choices
that activate it), all of which must hold; empty for always. Decisions that depend on an inactive one are inactive."""


@dataclass(frozen=True)
class AgentSpec:
    """Specification of an agent for a learner. The meaning of its decisions is optional; unknown tuples are empty.

    Args:
        name: id of the agent.
        nvec: number of choices of each decision.
        observation_size: length of its observation vector.
        decisions: names of the decisions.
        choices: values of each decision's choices: numbers, strings, booleans, None or tuples; other values as text.
        ordered: whether the choices of each decision are monotone numbers.
        active: condition for each decision to be active. Actions that differ only in inactive decisions are equal;
            their canonical form, used in batches, has index 0 there.

    Raises:
        ValueError: if one of the optional tuples has another length than `nvec`.

    Source: after bsuite's and Acme's specs.
    """

    name: AgentID
    nvec: tuple[int, ...]
    observation_size: int
    decisions: tuple[str, ...] = ()
    choices: tuple[tuple[Any, ...], ...] = ()
    ordered: tuple[bool, ...] = ()
    active: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        for field in ("decisions", "choices", "ordered", "active"):
            given = getattr(self, field)
            if given and len(given) != len(self.nvec):
                raise MA2MLError(
                    f"agent {self.name!r} has {len(self.nvec)} decisions, so {field} requires as many entries, "
                    f"not {len(given)}"
                )


def agent_specs(env: Any) -> tuple[AgentSpec, ...]:
    """Returns the agents of a PettingZoo parallel environment with MultiDiscrete actions, in its order.

    Args:
        env: has `possible_agents`, `action_space(agent).nvec` and `observation_space(agent).shape`; the
            meaning of decisions is read from `search_spaces[agent]` where available.

    Raises:
        ValueError: for an environment with other actions, such as another form of this environment.
    """
    for agent in env.possible_agents:
        if not hasattr(env.action_space(agent), "nvec"):
            raise MA2MLError(
                f"agent {agent!r} has actions {env.action_space(agent)}; learners require MultiDiscrete ones, "
                "as in the native form that ma2ml_env.make(id) returns"
            )
    return tuple(
        AgentSpec(
            name=agent,
            nvec=tuple(int(n) for n in env.action_space(agent).nvec),
            observation_size=int(np.prod(env.observation_space(agent).shape)),
            **_meanings(getattr(env, "search_spaces", {}).get(agent), env.action_space(agent).nvec),
        )
        for agent in env.possible_agents
    )


def _meanings(space: Any, nvec: NDArray[np.int64]) -> dict[str, Any]:
    """Returns a search space's description of its decisions; empty without one, or if actions have another form."""
    if space is None or not np.array_equal(space.nvec, nvec):
        return {}
    return {
        "decisions": tuple(decision.name for decision in space.decisions),
        "choices": tuple(tuple(_plain(choice) for choice in decision.choices) for decision in space.decisions),
        "ordered": tuple(decision.ordered for decision in space.decisions),
        "active": tuple(space.conditions),
    }


def _plain(choice: Any) -> Any:
    """Returns a choice as plain data, or its text."""
    if isinstance(choice, tuple):
        return tuple(_plain(part) for part in choice)
    return choice if isinstance(choice, str | int | float | None) else str(choice)


class Outcome(Protocol):
    """Protocol of the evaluation results that a learner may read besides the reward."""

    @property
    def accuracy(self) -> float:
        """Accuracy in [0, 1]."""

    @property
    def flops(self) -> float:
        """Multiply-accumulates of one image."""

    @property
    def params(self) -> float:
        """Trainable parameters."""

    @property
    def error(self) -> str | None:
        """Reason of the failure, None for success."""

    @property
    def infeasible(self) -> bool:
        """True if the pipeline was not evaluated because it exceeds a bound on cost; it has an error, too."""


@dataclass(frozen=True)
class Batch:
    """B transitions <S, A, R>, in the order in which they were proposed.

    Attributes:
        observations: S, {agent: (B, observation_size) float32}.
        actions: A, {agent: (B, decisions) integers}.
        rewards: R, shape (B,), float64.
        results: result of each evaluation, of length B.

    Source: MA2ML's transition, without a next state: the game has one step.
    """

    observations: Observations
    actions: Actions
    rewards: NDArray[np.float64]
    results: Sequence[Outcome]

    def __len__(self) -> int:
        return len(self.rewards)


CostFunction = Callable[[Actions], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Function from B joint actions, {agent: (B, K) integers}, to (flops, params), each of shape (B,)."""


@runtime_checkable
class UsesCost(Protocol):
    """Optional protocol of learners that use the cost of joint actions before their evaluation.

    `run_search` calls `use_cost` once, before the first proposal, where the environment is priced: where its evaluator
    has a method `cost(pipeline)`, and no attribute `priced` that is false. Otherwise it is never called, and the
    learner uses the reward alone. Costs are not part of its state.
    """

    def use_cost(self, cost: CostFunction, *, max_flops: float | None = None, max_params: float | None = None) -> None:
        """Stores the function and the bounds on proposals for later calls of `act` and `update`.

        Args:
            cost: cost of joint actions; takes about a millisecond each.
            max_flops: upper bound on multiply-accumulates of one image; None for no bound.
            max_params: upper bound on trainable parameters; None for no bound.
        """
        ...


@runtime_checkable
class Learner(Protocol):
    """Protocol of learners: a selection mechanism and an update rule for joint actions.

    A learner is built as `Class(specs, config, seed=0)` with `config` an instance of `Class.Config`,
    a dataclass in which every field has a default. It must be deterministic: the same seed and the
    same batches produce the same proposals. If it stores its settings as `config`, a search begun under
    other settings does not resume from its checkpoint.

    Attributes:
        batch_size: number of results per update. The search calls `update` with exactly so many, in the order
            of the proposals; in between, `act` may be called for many at once.
        on_policy: whether all results of a batch must come from the current policy. If so, the search
            never runs ahead of results.

    Source: bsuite's agent, with two methods.
    """

    Config: ClassVar[type]
    batch_size: int
    on_policy: bool

    def act(self, observations: Observations) -> Actions:
        """Proposes B joint actions.

        Args:
            observations: {agent: (B, observation_size)}.

        Returns:
            {agent: (B, decisions) integers}.
        """
        ...

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Learns from a batch of results.

        Returns:
            Named numbers worth logging.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state: tensors, numbers, strings, lists and dicts of them."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        ...


@runtime_checkable
class Recommender(Protocol):
    """A learner with a final answer of its own, beside the pipeline of the highest reward; optional."""

    def recommend(self) -> Mapping[AgentID, NDArray[np.int64]] | None:
        """Returns the evaluated joint action that the learner expects to be best.

        Under noise the highest reward of many is partly luck; a model of all results knows better.

        Returns:
            {agent: (decisions,) integers}; None before the first result.
        """
        ...
