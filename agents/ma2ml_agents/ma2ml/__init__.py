"""MA2ML: off-policy multi-agent search with credit assignment."""

from ma2ml_agents.ma2ml.learner import MA2ML

__all__ = ["MA2ML"]
