"""Benchmark of the search loop with sleeping evaluations: utilization of the workers, and overhead per trial.

    python speed/workers.py utilization    # 8 workers, log-normal durations: the window against a batch barrier
    python speed/workers.py thousand       # 1,000 workers at a median of 60 s per pipeline, updates of 20 results
    python speed/workers.py growth         # memory and time per trial, over many trials
    python speed/workers.py price          # loss of sample efficiency from running ahead of results

Evaluations sleep on one timer thread, which leaves the machine's cores to the driver. Durations are log-normal with
sigma 0.5, determined by the pipeline. Busy is the share of the workers' time spent in evaluations, from the first
submission to the last, or to the time limit where there is one.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import Future

import numpy as np
import torch

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.search import Callbacks
from ma2ml_env import Pipeline
from ma2ml_env.trials import top_k

ENV = "ma2ml/synthetic-v0"
SIGMA = 0.5


class SleepingExecutor:
    """Executor whose workers sleep, all on one timer thread."""

    def __init__(self, evaluate, capacity: int, median: float) -> None:
        self.capacity = capacity
        self._evaluate, self._median = evaluate, median
        self._due: list[tuple[float, int, Future, Pipeline, int]] = []
        self._ready = threading.Condition()
        self._order = itertools.count()
        self._stopped = False
        self._running, self._since, self._busy = 0, 0.0, 0.0
        self.first = self.last = 0.0
        self._busy_at_last = 0.0
        threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, pipeline: Pipeline, seed: int, **fidelity) -> Future:
        """Starts a sleeping evaluation."""
        rng = np.random.default_rng(pipeline.random_seed(seed))
        now = time.monotonic()
        future: Future = Future()
        with self._ready:
            self._account(now, +1)
            self.first = self.first or now
            self.last, self._busy_at_last = now, self._busy
            due = now + self._median * float(np.exp(SIGMA * rng.standard_normal()))
            heapq.heappush(self._due, (due, next(self._order), future, pipeline, seed))
            self._ready.notify()
        return future

    def shutdown(self) -> None:
        """Stops the timer."""
        with self._ready:
            self._stopped = True
            self._ready.notify()

    @property
    def busy(self) -> float:
        """Share of the workers' time, from the first submission to the last, in [0, 1]."""
        return self._busy_at_last / (self.capacity * max(self.last - self.first, 1e-9))

    def busy_until_now(self) -> float:
        """Share of the workers' time, from the first submission until now, in [0, 1]."""
        with self._ready:
            self._account(time.monotonic(), 0)
            return self._busy / (self.capacity * (time.monotonic() - self.first))

    def _account(self, now: float, change: int) -> None:
        self._busy += self._running * (now - self._since)
        self._running, self._since = self._running + change, now

    def _serve(self) -> None:
        while True:
            with self._ready:
                while not self._stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._ready.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                _, _, future, pipeline, seed = heapq.heappop(self._due)
                self._account(time.monotonic(), -1)
            future.set_result(self._evaluate(pipeline, seed))


def search(algo: str, budget: int, capacity: int, median: float, window: int, time_limit: float | None = None, **more):
    env = ma2ml_env.make(ENV)
    executor = SleepingExecutor(env.evaluate, capacity, median)
    learner = make_learner(algo, agent_specs(env), seed=0, **more)
    notices: list[str] = []
    started, cpu = time.monotonic(), time.process_time()
    callbacks = Callbacks(on_notice=notices.append)
    trials = run_search(
        env, learner, budget, executor=executor, window=window, time_limit=time_limit, callbacks=callbacks
    )
    busy = executor.busy if time_limit is None else executor.busy_until_now()
    executor.shutdown()
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    print(
        f"{algo:22s} {capacity:5d} workers  window {window:5d}  {len(trials):6d} trials in {wall:6.1f} s "
        f"({len(trials) / wall:5.1f}/s)  busy {busy:6.1%}  "
        f"driver {cpu / max(1, len(trials)) * 1e3:5.1f} ms CPU per trial",
        flush=True,
    )
    for notice in notices:
        print("  note:", notice)


def utilization() -> None:
    for algo in ("regularized_evolution", "ma2ml"):
        for window in (1, 4, 20):
            search(algo, 300, 8, 0.8, window)
    print("ma2ml_lite is on-policy: it waits for its whole batch of 10, a barrier")
    search("ma2ml_lite", 300, 8, 0.8, 1)
    print("a barrier at every 8 pipelines, as wide as the workers")
    search("ma2ml_lite", 300, 8, 0.8, 1, batch_size=8)


def thousand(minutes: float, window: int) -> None:
    search("ma2ml", 10**6, 1000, 60.0, window, time_limit=60 * minutes, batch_size=20)


def growth(trials: int) -> None:
    env = ma2ml_env.make(ENV)
    learner = make_learner("ma2ml", agent_specs(env), seed=0, batch_size=50, critic_steps=20, actor_steps=5)
    marks: list[tuple[int, float, float]] = []

    def mark(updates, batch, numbers) -> None:
        if updates % max(1, trials // 500) == 0:
            marks.append((updates * 50, time.process_time(), _memory()))

    with tempfile.TemporaryDirectory() as out:
        started = time.monotonic()
        run_search(env, learner, trials, out=out, callbacks=Callbacks(on_update=mark))
        wall = time.monotonic() - started
    print(f"{trials} trials with trials.db and checkpoints in {wall:.0f} s; learner: batches of 50, 20 critic steps")
    for begin, end in [*itertools.pairwise(marks), (marks[0], marks[-1])]:
        count, seconds, size = (after - before for before, after in zip(begin, end, strict=True))
        print(f"  {begin[0]:7d}..{end[0]:7d}: {seconds / count * 1e3:5.2f} ms CPU, {size / count:6.0f} bytes per trial")


def price(env_id: str = "ma2ml/digits-surrogate-v0", seeds: int = 8, budget: int = 300) -> None:
    env = ma2ml_env.make(env_id)
    print(f"mean true value of the top 20 distinct of {budget} on {env_id}, {seeds} seeds, with its standard error")
    for algo in ("regularized_evolution", "one_plus_one", "ma2ml"):
        for window in (1, 4, 20):
            found = []
            for seed in range(seeds):
                learner = make_learner(algo, agent_specs(env), seed=seed)
                best = top_k(run_search(env, learner, budget, window=window, seed=seed), 20)
                found.append(np.mean([env.expected(trial.pipeline).accuracy for trial in best]))
            error = np.std(found, ddof=1) / np.sqrt(seeds)
            print(f"{algo:22s} window {window:3d}  {np.mean(found):.4f} +- {error:.4f}", flush=True)


def _memory() -> float:
    """Peak memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["utilization", "thousand", "growth", "price"])
    parser.add_argument("--minutes", type=float, default=10.0, help="duration of the run of a thousand workers")
    parser.add_argument("--window", type=int, default=5000, help="window of the thousand workers")
    parser.add_argument("--trials", type=int, default=100_000, help="number of trials of the growth")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "utilization":
        utilization()
    elif given.what == "thousand":
        thousand(given.minutes, given.window)
    elif given.what == "growth":
        growth(given.trials)
    else:
        price()
