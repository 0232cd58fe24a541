"""What a search tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ma2ml_env import Trial


@dataclass
class Events:
    """Whom a search tells what happens.

    Attributes:
        on_trial: called with (trial, whether it was evaluated now), in the order in which they finish; a resumed
            search tells the stored ones again.
        on_update: called with (updates so far, the batch's trials in order, the learner's numbers).
        on_notice: called with a sentence that the user should read.

    Source: ours.
    """

    on_trial: Callable[[Trial, bool], None] = lambda trial, fresh: None
    on_update: Callable[[int, Sequence[Trial], dict[str, float]], None] = lambda updates, trials, numbers: None
    on_notice: Callable[[str], None] = lambda notice: None
