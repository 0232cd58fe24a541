"""Length of the trainings of a search, by the time there is and by who else uses the machine."""

from __future__ import annotations

import math

import pytest

from ma2ml_env import image_proxy
from ma2ml_env.image_proxy import LARGEST_CUT, Proxy, SearchTime, fitting_proxy, in_seconds, proxy_lines


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands at 100 seconds."""
    monkeypatch.setattr(image_proxy.time, "monotonic", lambda: 100.0)


def test_on_an_idle_machine_only_workers_beyond_the_cores_slow_an_evaluation() -> None:
    assert SearchTime(workers=2, cores=4).slowdown(1.0) == 1
    assert SearchTime(workers=6, cores=4).slowdown(1.05) == 1.5


def test_on_a_busy_machine_each_further_worker_takes_its_share_of_the_cores() -> None:
    # two programs and one training on two cores: 1.5 s by the clock per second; a second training makes it four on two
    assert SearchTime(workers=2, cores=2).slowdown(1.5) == pytest.approx(4 / 2)


def test_workers_that_share_a_gpu_slow_an_evaluation_by_less_than_their_number() -> None:
    assert SearchTime(workers=1, cores=16).slowdown(1.0, "cuda") == 1
    for workers in (2, 4):
        assert 1 < SearchTime(workers=workers, cores=16).slowdown(1.0, "cuda") < workers


@pytest.mark.usefixtures("now")
def test_an_evaluation_is_as_long_as_asked_where_enough_of_them_fit() -> None:
    assert SearchTime(ends=math.inf).affordable(20.0, 3.0) == 20
    assert SearchTime(ends=100 + 200, workers=2, pipelines=20).affordable(5.0, 2.0) == 5


@pytest.mark.usefixtures("now")
def test_an_evaluation_is_shortened_until_enough_of_them_fit_but_not_to_nothing() -> None:
    time = SearchTime(ends=100 + 120, workers=2, pipelines=20)
    assert time.affordable(20.0, 2.0) == pytest.approx(120 * 2 / 20 / 2)
    assert time._replace(loading=6.0).affordable(20.0, 2.0) == pytest.approx((120 - 6 * 2) * 2 / 20 / 2)
    assert time.affordable(20.0, 50.0) == 20 / LARGEST_CUT
    assert SearchTime(ends=90.0).affordable(20.0, 1.0) == 20 / LARGEST_CUT, "the time is over already"


@pytest.mark.usefixtures("now")
def test_a_share_of_the_time_that_is_left_is_counted_from_now() -> None:
    assert SearchTime(ends=300.0).share(0.1) == pytest.approx(120)
    assert SearchTime(ends=50.0).share(0.1) == 100
    assert SearchTime().share(0.1) == math.inf


def test_fewer_images_are_trained_on_where_few_epochs_fit() -> None:
    proxy, epochs = fitting_proxy(2, 8.0, 0.01, 0.0, images=400, classes=2, all_images=False)
    assert epochs == pytest.approx(2)
    assert (proxy.epochs, proxy.train_images) == (8, 100)
    assert proxy.seconds == pytest.approx(8 * 100 * 0.01)
    whole, _ = fitting_proxy(2, 8.0, 0.01, 0.0, images=400, classes=2, all_images=True)
    assert (whole.epochs, whole.train_images) == (5, 0)


def test_the_clock_is_named_where_the_machine_is_busy_and_the_cut_where_there_is_one() -> None:
    assert proxy_lines(Proxy(1, 8), "cpu") == []
    assert proxy_lines(Proxy(1, 8, seconds=20.0), "cpu") == [
        "measured: an evaluation takes about 20 s of a core of this machine"
    ]
    assert proxy_lines(Proxy(1, 8, seconds=1.25, slowdown=4.0, shortened_from=5.0), "cpu") == [
        "measured: an evaluation takes about 1.2 s of a core of this machine, 5.0 s by the clock, as busy as it is",
        "shortened: from 5.0 s, since too few would fit in the time limit to choose from",
    ]


def test_seconds_have_a_decimal_below_ten() -> None:
    assert [in_seconds(value) for value in (0.34, 9.94, 9.96, 1234.5)] == ["0.3 s", "9.9 s", "10 s", "1,234 s"]
