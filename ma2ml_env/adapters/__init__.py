"""Adapters for libraries that require more than a variant of the environment, one module per library.

Each is imported by its own name, and imports its library: `from ma2ml_env.adapters.torchrl import MultiCategorical`.
"""
