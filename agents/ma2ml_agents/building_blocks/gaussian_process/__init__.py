"""A Gaussian process over joint actions: kernel, posterior, acquisition, and its use as a critic."""
