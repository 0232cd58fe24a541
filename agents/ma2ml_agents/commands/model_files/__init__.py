"""Trained models for `ma2ml export` and `ma2ml predict`: reading them, facts of their runs, writing predictions."""
