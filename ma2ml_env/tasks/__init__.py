"""The catalogue of tasks: one file each."""
