"""Importance of each agent and decision: shares of the variance of the reward over random pipelines."""

from ma2ml_agents.importance.choices import Choices
from ma2ml_agents.importance.effects import AgentEffect, DecisionEffect, Importance
from ma2ml_agents.importance.enumeration import enumerate_all
from ma2ml_agents.importance.sampling import estimate

__all__ = ["AgentEffect", "Choices", "DecisionEffect", "Importance", "enumerate_all", "estimate"]
