"""A run: its folder, report, loggers and progress."""
