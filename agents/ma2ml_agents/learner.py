"""What a learner is: something that proposes joint actions and learns from their rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

AgentID = str
Observations = Mapping[AgentID, NDArray[np.float32]]
Actions = Mapping[AgentID, NDArray[np.int64]]


@dataclass(frozen=True)
class AgentSpec:
    """All that a learner knows of an agent.

    Args:
        name: the agent's id.
        nvec: number of choices of each of its decisions.
        observation_size: length of its observation vector.

    Source: ours, after bsuite's and Acme's specs.
    """

    name: AgentID
    nvec: tuple[int, ...]
    observation_size: int


def agent_specs(env: Any) -> tuple[AgentSpec, ...]:
    """The agents of a PettingZoo parallel environment with MultiDiscrete actions, in its order.

    Args:
        env: has `possible_agents`, `action_space(agent).nvec` and `observation_space(agent).shape`.

    Raises:
        ValueError: for an environment with other actions, such as another form of ours.

    Source: ours.
    """
    for agent in env.possible_agents:
        if not hasattr(env.action_space(agent), "nvec"):
            raise ValueError(
                f"agent {agent!r} has actions {env.action_space(agent)}; learners take MultiDiscrete ones, as the "
                "native form that ma2ml_env.make(id) gives has"
            )
    return tuple(
        AgentSpec(
            name=agent,
            nvec=tuple(int(n) for n in env.action_space(agent).nvec),
            observation_size=int(np.prod(env.observation_space(agent).shape)),
        )
        for agent in env.possible_agents
    )


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

    Source: ours, after bsuite's agent of two verbs.
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
