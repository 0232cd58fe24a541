"""PPO of every agent: several clipped steps on each batch."""

from ma2ml_agents.ppo.learner import PPO

__all__ = ["PPO"]
