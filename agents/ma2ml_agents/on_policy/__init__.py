"""MA2ML on-policy: credit assignment without replay."""

from ma2ml_agents.on_policy.learner import MA2MLOnPolicy

__all__ = ["MA2MLOnPolicy"]
