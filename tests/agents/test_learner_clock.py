"""When a search says that its learner is slow."""

from __future__ import annotations

import time

from ma2ml_agents.search.learner_clock import LearnerClock


def test_a_learner_that_takes_a_large_share_is_told_of_once() -> None:
    clock = LearnerClock(after=0.0, tolerated=0.1)
    with clock:
        time.sleep(0.02)
    assert 0.1 < clock.share <= 1.0
    assert "the learner takes" in str(clock.notice())
    assert clock.notice() is None


def test_a_learner_is_not_judged_early_or_for_a_small_share() -> None:
    early = LearnerClock(after=60.0)
    with early:
        time.sleep(0.01)
    assert early.notice() is None
    quick = LearnerClock(after=0.0, tolerated=0.5, started=time.monotonic() - 100.0)
    with quick:
        pass
    assert quick.share < 0.01
    assert quick.notice() is None
