"""What a learner is: something that proposes joint actions and learns from their rewards."""

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
"""When a decision is active: (index of an earlier decision of the agent, indices of its choices that allow it), all of
them at once; empty for always. A decision that depends on an inactive one is inactive."""


@dataclass(frozen=True)
class AgentSpec:
    """All that a learner knows of an agent. What its decisions mean is optional: a tuple is empty where nobody said.

    Args:
        name: the agent's id.
        nvec: number of choices of each of its decisions.
        observation_size: length of its observation vector.
        decisions: names of its decisions.
        choices: values of each decision's choices: numbers, strings, booleans, None or tuples; the text of others.
        ordered: whether the choices of each decision are numbers that rise or fall.
        active: when each decision has a meaning. Actions that differ in inactive decisions only are one action, whose
            canonical form has index 0 there; batches hold that form.

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
                    f"agent {self.name!r} has {len(self.nvec)} decisions, so {field} needs as many entries, "
                    f"not {len(given)}"
                )


def agent_specs(env: Any) -> tuple[AgentSpec, ...]:
    """The agents of a PettingZoo parallel environment with MultiDiscrete actions, in its order.

    Args:
        env: has `possible_agents`, `action_space(agent).nvec` and `observation_space(agent).shape`; what decisions
            mean is read from `search_spaces[agent]` where it has that.

    Raises:
        ValueError: for an environment with other actions, such as another form of ours.
    """
    for agent in env.possible_agents:
        if not hasattr(env.action_space(agent), "nvec"):
            raise MA2MLError(
                f"agent {agent!r} has actions {env.action_space(agent)}; learners take MultiDiscrete ones, as the "
                "native form that ma2ml_env.make(id) gives has"
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
    """What a search space says of its decisions; nothing where there is none, or actions are in another form."""
    if space is None or not np.array_equal(space.nvec, nvec):
        return {}
    return {
        "decisions": tuple(decision.name for decision in space.decisions),
        "choices": tuple(tuple(_plain(choice) for choice in decision.choices) for decision in space.decisions),
        "ordered": tuple(decision.ordered for decision in space.decisions),
        "active": tuple(space.conditions),
    }


def _plain(choice: Any) -> Any:
    """A choice as plain data, its text where it is none."""
    if isinstance(choice, tuple):
        return tuple(_plain(part) for part in choice)
    return choice if isinstance(choice, str | int | float | None) else str(choice)


class Outcome(Protocol):
    """What a learner may read of an evaluation beside its reward."""

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
        """Why the pipeline failed, None if it did not."""

    @property
    def infeasible(self) -> bool:
        """Whether it was not evaluated, because it costs more than is allowed; such a one has an error too."""


@dataclass(frozen=True)
class Batch:
    """B transitions <S, A, R>, in the order in which they were proposed.

    Attributes:
        observations: S, {agent: (B, observation_size) float32}.
        actions: A, {agent: (B, decisions) integers}.
        rewards: R, shape (B,), float64.
        results: what each evaluation gave, of length B.

    Source: MA2ML's transition, without a next state: the game has one step.
    """

    observations: Observations
    actions: Actions
    rewards: NDArray[np.float64]
    results: Sequence[Outcome]

    def __len__(self) -> int:
        return len(self.rewards)


CostFunction = Callable[[Actions], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""From B joint actions, {agent: (B, K) integers}, to (flops, params), each of shape (B,), before any evaluation."""


@runtime_checkable
class UsesCost(Protocol):
    """Learner that reads the cost of joint actions nobody has evaluated; optional.

    `run_search` calls `use_cost` once, before the first proposal, where the environment is priced: where its evaluator
    has a method `cost(pipeline)`. Elsewhere it is never called, and the learner works on the reward alone. Costs are
    no part of its state.
    """

    def use_cost(self, cost: CostFunction, *, max_flops: float | None = None, max_params: float | None = None) -> None:
        """Keeps the function, and the bounds within which to propose, for later calls of `act` and `update`.

        Args:
            cost: takes about a millisecond per joint action.
            max_flops: most multiply-accumulates of one image; None for no bound.
            max_params: most trainable parameters; None for no bound.
        """
        ...


@runtime_checkable
class Learner(Protocol):
    """Proposes joint actions, learns from what they earned.

    A learner is built as `Class(specs, config, seed=0)` with `config` an instance of `Class.Config`,
    a dataclass in which every field has a default. It must be deterministic: the same seed and the
    same batches give the same proposals. If it keeps its settings as `config`, a search that was begun
    under other settings is not taken up from its checkpoint.

    Attributes:
        batch_size: how many results it takes to change the learner. The search calls `update` with exactly
            so many, in the order of the proposals; `act` is asked for many at once in between.
        on_policy: whether all results of a batch must come from the current policy. Then the search
            never runs ahead of them.

    Source: after bsuite's agent of two verbs.
    """

    Config: ClassVar[type]
    batch_size: int
    on_policy: bool

    def act(self, observations: Observations) -> Actions:
        """Propose B joint actions.

        Args:
            observations: {agent: (B, observation_size)}.

        Returns:
            {agent: (B, decisions) integers}.
        """
        ...

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Learn from a batch of results.

        Returns:
            Named numbers worth logging.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that distinguishes this learner from a new one: tensors, numbers, strings, lists and dicts of them."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become the learner whose `state_dict` this is."""
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
