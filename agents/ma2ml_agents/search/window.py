"""How far proposals run ahead of results."""

from __future__ import annotations


def updates_before(number: int, batch_size: int, window: int) -> int:
    """How many updates the learner has had when it proposes a pipeline.

    A proposal may run ahead of the results of the `window - 1` proposals before it. The learner changes
    only with a full batch, so this number, not the timing of workers, decides what it knows.

    Args:
        number: of the proposal, from 0.
        batch_size: results that one update takes, at least 1.
        window: at least 1; 1 means that all earlier results are known.

    Returns:
        The number of updates, at least 0.

    Source: ours.
    """
    return max(0, number - window + 1) // batch_size
