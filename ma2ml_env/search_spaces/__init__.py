"""The catalogue of search spaces: one file each."""
