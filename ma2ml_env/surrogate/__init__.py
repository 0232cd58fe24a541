"""Surrogates: models of an evaluator's results, learned from real evaluations; fitted once, shipped as data."""
