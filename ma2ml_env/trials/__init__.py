"""Trials on disk: the SQLite log, ranking, and export to Optuna."""

from ma2ml_env.trials.ranking import best, top_k, top_k_mean
from ma2ml_env.trials.store import TrialLogError, TrialStore

__all__ = ["TrialLogError", "TrialStore", "best", "top_k", "top_k_mean"]
