"""Time to write the report of a run of many trials, and to open it in Chromium.

    python speed/report.py [--trials 10000] [--rounds 5]

The goal is two seconds from the start of the navigation to the drawn page. Requires chromium, its driver, selenium.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium import webdriver

import ma2ml_env
from ma2ml_agents import RandomSearch, agent_specs, run_search
from ma2ml_agents.html_report import write_report

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
OPENED = """
const done = arguments[0];
function look() {
  if (charts.every((chart) => chart.px || !chart.host.clientWidth)) done(performance.now());
  else setTimeout(look);
}
look();
"""


def browser(profile: str) -> Any:
    """Returns a headless browser with a new profile."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="ma2ml/digits-surrogate-v0")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = ma2ml_env.make(chosen.env)
        run = Path(folder, "run")
        run_search(env, RandomSearch(agent_specs(env), seed=0), chosen.trials, out=run)
        started = time.perf_counter()
        page = write_report([run], Path(folder, "report.html"))
        print(f"{chosen.trials} trials of {chosen.env}, load average {os.getloadavg()[0]:.1f}")
        print(f"write: {time.perf_counter() - started:.2f} s, {page.stat().st_size / 1e6:.1f} MB")
        opened = browser(str(Path(folder, "profile")))
        try:
            seconds = []
            for _ in range(chosen.rounds):
                opened.get(page.as_uri())
                seconds.append(opened.execute_async_script(OPENED) / 1000)
            print("open: " + ", ".join(f"{second:.2f}" for second in seconds) + " s")
        finally:
            opened.quit()


if __name__ == "__main__":
    main()
