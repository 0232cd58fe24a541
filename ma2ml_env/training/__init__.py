"""Training of networks: the loop, input normalization, and the trained classifier."""
