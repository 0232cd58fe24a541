"""PPO and A2C of stable-baselines3: one policy over all agents' decisions."""

from ma2ml_agents.sb3.learner import SB3A2C, SB3PPO

__all__ = ["SB3A2C", "SB3PPO"]
