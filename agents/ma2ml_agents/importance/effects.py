"""Importance of each agent and decision, as shares of the variance of the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ma2ml_agents.importance.choices import Choices

INTERVAL = 1.96


@dataclass(frozen=True)
class AgentEffect:
    """Importance of an agent.

    Attributes:
        share: Shapley effect; those of all agents sum to 1.
        low: lower end of its 95 % interval.
        high: upper end.
        alone: first-order part of its share, explained by its own choices alone.
        together: the rest, its part of the interactions with other agents.

    Source: Owen 2014, "Sobol' indices and Shapley value".
    """

    share: float
    low: float
    high: float
    alone: float
    together: float


@dataclass(frozen=True)
class InteractionEffect:
    """Importance of the interaction of exactly these agents.

    Attributes:
        agents: two or more of them.
        share: variance of the interaction, as a share of that of the score; estimates of small ones may be below 0.
        low: lower end of its 95 % interval.
        high: upper end.

    Source: Sobol' 1993, the functional analysis of variance.
    """

    agents: tuple[str, ...]
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class DecisionEffect:
    """Importance of one decision, as shares of the variance.

    Attributes:
        agent: the agent that makes it.
        name: name of the decision.
        first: first-order effect, explained by it alone.
        total: total effect, alone and in all interactions; these overlap, so total effects sum to 1 or more.

    Source: Sobol' 1993 and Homma and Saltelli 1996.
    """

    agent: str
    name: str
    first: float
    total: float


@dataclass(frozen=True)
class Importance:
    """Importance of agents and decisions in a game, over uniformly random pipelines.

    Attributes:
        agents: effect of each agent, by name.
        interactions: interactions of two or more agents, the largest first; these and the agents' effects alone sum
            to 1.
        decisions: all of them, the largest total effect first.
    """

    agents: Mapping[str, AgentEffect]
    interactions: tuple[InteractionEffect, ...]
    decisions: tuple[DecisionEffect, ...]

    @classmethod
    def of(
        cls,
        choices: Choices,
        agents: Iterable[tuple[float, float, float]],
        interactions: Sequence[tuple[float, float]],
        decisions: Iterable[tuple[float, float]],
    ) -> Importance:
        """Creates an importance from its numbers.

        Args:
            choices: the decisions that they belong to.
            agents: share, its standard deviation and first-order effect of every agent.
            interactions: share and its standard deviation of every coalition of agents, by number; those of fewer than
                two are not used.
            decisions: first-order and total effect of every decision.
        """
        owners = [choices.agents[number] for number in choices.owner]
        rows = zip(owners, choices.names, decisions, strict=True)
        effects = [
            DecisionEffect(agent, name, float(min(max(first, 0.0), total)), float(total))
            for agent, name, (first, total) in rows
        ]
        return cls(
            {name: _agent_effect(*numbers) for name, numbers in zip(choices.agents, agents, strict=True)},
            tuple(sorted(_interactions(choices.agents, interactions), key=lambda effect: -effect.share)),
            tuple(sorted(effects, key=lambda effect: -effect.total)),
        )


def _agent_effect(share: float, deviation: float, alone: float) -> AgentEffect:
    own, reach = min(max(alone, 0.0), max(share, 0.0)), INTERVAL * deviation
    return AgentEffect(*map(float, (share, max(share - reach, 0.0), min(share + reach, 1.0), own, share - own)))


def _interactions(agents: Sequence[str], shares: Sequence[tuple[float, float]]) -> Iterable[InteractionEffect]:
    for coalition, (share, deviation) in enumerate(shares):
        members = tuple(name for player, name in enumerate(agents) if coalition >> player & 1)
        if len(members) > 1:
            reach = INTERVAL * deviation
            yield InteractionEffect(members, *map(float, (share, share - reach, share + reach)))
