"""The report in a real browser; collected where chromium, its driver and selenium are installed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from stored_runs import MARKUP, some_trials, store_run, trial

from ma2ml_agents.html_report import WatchServer, write_report
from ma2ml_env.trials import TrialStore

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
WIDE, NARROW = (1440, 1000), (390, 844)
PATIENCE = 60
PROGRESS = "charts.find(chart => chart.options.yTitle === 'reward')"
"""The first figure."""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = "/usr/bin/chromium"
        opened = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        yield opened
        opened.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    return write_report([store_run(folder / "one", some_trials())], folder / "one.html")


def show(browser: webdriver.Chrome, page: Path | str, size: tuple[int, int] = WIDE, scheme: str = "light") -> None:
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page if isinstance(page, str) else page.as_uri())
    WebDriverWait(browser, PATIENCE).until(
        lambda b: b.execute_script("return charts.every(c => !c.host.clientWidth || c.px)")
    )


def click_on(browser: webdriver.Chrome, number: int) -> None:
    """Clicks on the point of a trial in the first figure."""
    place = """
        const chart = PROGRESS, trial = runs[0].byNumber.get(arguments[0]);
        chart.canvas.scrollIntoView({block: "center", behavior: "instant"});
        const box = chart.canvas.getBoundingClientRect();
        const y = trial.failed ? chart.box.bottom - 5 : chart.py(trial.reward);
        return [box.left + chart.px(trial.place), box.top + y];
    """.replace("PROGRESS", PROGRESS)
    x, y = browser.execute_script(place, number)
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def text_of(browser: webdriver.Chrome, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def errors(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_click_on_a_point_shows_its_pipeline(
    browser: webdriver.Chrome, report: Path, size: tuple[int, int], scheme: str
) -> None:
    show(browser, report, size, scheme)
    click_on(browser, 20)
    shown = text_of(browser, "#detail")
    assert "Pipeline 20" in shown
    assert "a network of 20 layers" in shown
    assert errors(browser) == []


def test_markup_in_a_pipeline_and_an_error_is_shown_as_text(browser: webdriver.Chrome, report: Path) -> None:
    show(browser, report)
    click_on(browser, 4)
    assert text_of(browser, "#detail .error") == f"out of memory: {MARKUP}"
    assert f"with {MARKUP}" in text_of(browser, "#detail")
    assert browser.title == "one - ma2ml report"
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")
    assert errors(browser) == []


def test_nothing_is_wider_than_a_phone(browser: webdriver.Chrome, report: Path) -> None:
    show(browser, report, NARROW)
    assert browser.execute_script("return document.documentElement.scrollWidth") == NARROW[0]


def test_the_leaderboard_sorts_by_a_click_on_a_heading(browser: webdriver.Chrome, report: Path) -> None:
    def column(place: int) -> list[str]:
        cells = browser.find_elements(By.CSS_SELECTOR, f"#leaderboard tbody td:nth-child({place})")
        return [cell.get_attribute("textContent") or "" for cell in cells]

    show(browser, report)
    rewards = [float(value) for value in column(3)]
    assert rewards == sorted(rewards, reverse=True)
    heading = browser.find_element(By.XPATH, "//table[@id='leaderboard']//button[text()='Pipeline']")
    browser.execute_script("arguments[0].click()", heading)
    numbers = [int(value) for value in column(2)]
    assert numbers == sorted(numbers)
    assert 4 not in numbers


def test_arrow_keys_step_through_the_pipelines_and_escape_closes_the_panel(
    browser: webdriver.Chrome, report: Path
) -> None:
    show(browser, report, NARROW)
    click_on(browser, 20)
    webdriver.ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
    assert "Pipeline 21" in text_of(browser, "#detail")
    webdriver.ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not browser.find_element(By.ID, "detail").is_displayed()


def test_curves_of_the_page_are_those_of_the_figures(browser: webdriver.Chrome, report: Path) -> None:
    from ma2ml_agents.runs.report import batch_means, best_curve, top_k_curve

    show(browser, report)
    trials = some_trials()
    drawn = browser.execute_script(
        "const r = runs[0]; return [r.bestCurve.map(p => p.y), r.topCurve.map(p => p.y), r.batches.map(p => p.y)]"
    )
    expected = best_curve(trials), [y for y in top_k_curve(trials) if y == y], batch_means(trials, 5)
    for found, curve in zip(drawn, expected, strict=True):
        assert found == pytest.approx(list(curve), rel=1e-5)


def test_several_runs_are_compared_and_can_be_hidden(browser: webdriver.Chrome, tmp_path: Path) -> None:
    runs = [store_run(tmp_path / name, some_trials(count)) for name, count in (("first", 40), ("second", 25))]
    show(browser, write_report(runs, tmp_path / "both.html"))
    counted = f"return {PROGRESS}.layers.flatMap(l => l.kind === 'dots' ? l.points : []).length"
    assert browser.execute_script(counted) == 40 + 25 - 2 * 3
    browser.find_element(By.XPATH, "//div[@class='legend']/button[contains(., 'second')]").click()
    assert browser.execute_script(counted) == 40 - 3
    assert errors(browser) == []


def test_a_watched_run_grows_on_the_page(browser: webdriver.Chrome, tmp_path: Path) -> None:
    trials = some_trials()
    folder = store_run(tmp_path / "live", trials[:10])
    with WatchServer(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            show(browser, server.url)
            assert text_of(browser, "#status") == "live"
            store = TrialStore(folder / "trials.db")
            for each in (*trials[11:], trials[10]):  # a worker that is slow, and then the last
                store.add(each)
            wait = WebDriverWait(browser, PATIENCE)
            wait.until(lambda b: b.execute_script("return runs[0].trials.length") == 40)
            wait.until(lambda b: text_of(b, "#status") == "finished")
            store.replace(trial(4, 0.99))
            wait.until(lambda b: b.execute_script("return runs[0].best.number") == 4)
            store.close()
            assert errors(browser) == []
        finally:
            server.shutdown()
            thread.join()
    WebDriverWait(browser, PATIENCE).until(lambda b: text_of(b, "#status") == "connection lost")


def test_the_winner_stands_in_the_summary_with_its_expected_accuracy(browser: webdriver.Chrome, tmp_path: Path) -> None:
    folder = store_run(tmp_path / "chosen", some_trials())
    result = '{"accuracy": 0.912, "expected_accuracy": 0.873, "interval": [0.85, 0.9], "test_accuracy": 0.88}'
    (folder / "result.json").write_text(result, encoding="utf-8")
    show(browser, write_report([folder], tmp_path / "chosen.html"))
    said = text_of(browser, "dl.tiles")
    for part in ("Winner", "87.3", "expected", "85.0", "90.0", "91.2", "88.0"):
        assert part in said, said
