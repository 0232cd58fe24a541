"""The catalogue of evaluators: one file each."""
