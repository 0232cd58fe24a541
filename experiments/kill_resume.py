"""Kills a search with SIGKILL at random moments, resumes it, and compares its trials with an uninterrupted run.

    python experiments/kill_resume.py --kills 20

Every other kill occurs while a program starts, the others after a finished pipeline. Prints the number of finished
evaluations in the log per kill, and finally whether any was lost, repeated or different.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = "number, seed, action, accuracy, flops, params, reward, error, state, curve"


def start(arguments: list[str], out: Path) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "ma2ml_agents.commands", "train", *arguments, "--out", str(out)]
    return subprocess.Popen(program, stdout=subprocess.DEVNULL)


def rows(out: Path) -> dict[int, tuple[object, ...]]:
    database = out / "trials.db"
    if not database.exists():
        return {}
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    found = connection.execute(f"SELECT {COLUMNS} FROM trials").fetchall()
    connection.close()
    return {row[0]: row for row in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--longest", type=float, default=6.0, help="seconds before a kill, at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    arguments = f"--budget {options.budget} --workers {options.workers} --set epochs=1 retrain_epochs=1".split()
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "whole"
        lost, changed = 0, 0
        for kill in range(1, options.kills + 1):
            before = rows(killed)
            process = start(arguments, killed)
            while kill % 2 and process.poll() is None and rows(killed).keys() == before.keys():
                time.sleep(0.2)
            time.sleep(rng.uniform(0.0, options.longest))
            process.send_signal(signal.SIGKILL)
            process.wait()
            after = rows(killed)
            lost += len(before.keys() - after.keys())
            changed += sum(before[number] != after[number] for number in before.keys() & after.keys())
            print(f"kill {kill}: {len(before)} trials before, {len(after)} after", flush=True)
        for out in (killed, whole):
            if start(arguments, out).wait():
                raise SystemExit("the run did not end cleanly")
        same = rows(killed) == rows(whole)
        print(
            f"lost {lost}, changed {changed}, trials equal to an uninterrupted run: {same} ({len(rows(whole))} trials)"
        )


if __name__ == "__main__":
    main()
