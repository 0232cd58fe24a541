"""MA2ML-Lite: every agent a REINFORCE learner with the shared reward."""

from ma2ml_agents.ma2ml_lite.learner import MA2MLLite

__all__ = ["MA2MLLite"]
