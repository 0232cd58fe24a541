"""Surrogates: what an evaluation would give, learned from real evaluations; fitted once, shipped as data."""
