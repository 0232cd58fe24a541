"""`ma2ml surrogate`: fits a surrogate of evaluations to the trials of runs, shows it, tests it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

import ma2ml_env
from ma2ml_agents.runs.words import counted
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluators.surrogate import SurrogateEvaluator
from ma2ml_env.surrogate.evaluations_file import read_evaluations
from ma2ml_env.surrogate.fit import Data, evaluations, fit, gather
from ma2ml_env.surrogate.model import load_surrogate
from ma2ml_env.surrogate.noise import Floats, Noise
from ma2ml_env.surrogate.noise_floor import reachable, repeatable, smallest_step
from ma2ml_env.surrogate.quality import Agreement, held_out_pipelines, held_out_runs, learning_curve, second_evaluations
from ma2ml_env.trials import TrialStore
from ma2ml_env.types import AgentID

TABLE_ENDING = ".csv.xz"


def main(argv: Sequence[str], prog: str) -> None:
    """Fits a surrogate, shows one, or tests it."""
    app = tyro.extras.SubcommandApp()
    app.command(name="fit")(_fit)
    app.command(name="show")(_show)
    app.command(name="test")(_test)
    app.cli(args=list(argv), prog=prog)


def _fit(
    trials: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    env: str = "ma2ml/digits-v0",
    quality: bool = True,
) -> None:
    """Fit a surrogate to the trials of runs.

    Args:
        trials: run folders, their `trials.db`, or tables of many runs (`.csv.xz`).
        out: file to write.
        env: environment of the trials.
        quality: measure its agreement with held-out trials, by fitting it many times.
    """
    made = ma2ml_env.make(env)
    data = gather(made, _runs(made, trials))
    evaluations, pipelines = counted(len(data.distinct), "evaluation"), counted(len(set(data.key)), "pipeline")
    print(f"{evaluations} of {pipelines} in {counted(len(set(data.run)), 'run')}")
    figures = _measure(data) if quality else {}
    fit(made, data, {"evaluations": len(data.distinct), **figures}).save(out)
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


def _show(file: Annotated[Path, tyro.conf.Positional]) -> None:
    """Show the content of a surrogate file.

    Args:
        file: written by `ma2ml surrogate fit`.
    """
    surrogate = load_surrogate(file)
    print(f"a surrogate of {surrogate.env}, definition {surrogate.definition}, digest {surrogate.digest}")
    points, columns = len(surrogate.accuracy.points), len(surrogate.columns)
    print(f"accuracy by a Gaussian process over {columns} columns, through {points} points")
    for accuracy, deviation in zip(surrogate.noise.accuracy, surrogate.noise.deviation, strict=True):
        print(f"  noise at accuracy {accuracy:.3f}: {deviation:.4f}")
    for name, value in surrogate.quality.items():
        print(f"  {name}: {value}")


def _test(
    file: Annotated[Path, tyro.conf.Positional], trials: Annotated[tuple[Path, ...], tyro.conf.Positional]
) -> None:
    """Measure a surrogate's agreement with runs held out from its fit.

    Args:
        file: written by `ma2ml surrogate fit`.
        trials: run folders, their `trials.db`, or tables of many runs (`.csv.xz`).
    """
    surrogate = load_surrogate(file)
    env = ma2ml_env.make(surrogate.env)
    evaluator = SurrogateEvaluator(env, file, noisy=False)
    found = {name: evaluations(run) for name, run in _runs(env, trials).items()}
    labels, runs = _labels(found), list[tuple[str, Floats, Floats]]()
    for name, run in found.items():
        if len(run) < 2:
            raise MA2MLError(f"comparing orders requires at least 2 evaluations, {name} has {len(run)}")
        measured = np.array([trial.result.accuracy for trial in run])
        runs.append((labels[name], measured, evaluator.evaluate_batch(_actions(run), 0).accuracy))
    step = smallest_step(np.concatenate([measured for _, measured, _ in runs]))
    _tell_runs(_tell, "run", runs, surrogate.noise, step)


def _actions(trials: Sequence[Trial]) -> dict[AgentID, NDArray[np.int64]]:
    return {agent: np.array([trial.pipeline.action[agent] for trial in trials]) for agent in trials[0].pipeline.action}


def _runs(env: AutoMLEnv, paths: Sequence[Path]) -> dict[str, list[Trial]]:
    """Returns {name: trials}; a run's name is that of its folder, or the one in its table."""
    runs: dict[str, list[Trial]] = {}
    for path in paths:
        if path.name.endswith(TABLE_ENDING):
            found = read_evaluations(path, env)
        else:
            file = path / "trials.db" if path.is_dir() else path
            if not file.exists():
                raise MA2MLError(
                    f"there are no trials in {path}; give run folders, their trials.db or a {TABLE_ENDING}"
                )
            name = file.resolve().parent if file.name == "trials.db" else file
            found = {str(name): TrialStore(file, env.definition).load(env.decode)}
        if twice := sorted(found.keys() & runs.keys()):
            raise MA2MLError(f"the run {twice[0]!r} of {path} was given before; give each run once")
        runs |= found
    return runs


def _labels(runs: Iterable[str]) -> dict[str, str]:
    """Returns short names of runs, where those are unique."""
    labels = {name: Path(name).name for name in runs}
    return labels if len(set(labels.values())) == len(labels) else {name: name for name in labels}


def _tell(name: str, agreement: Agreement) -> None:
    print(f"{name:44} {agreement}", flush=True)


def _measure(data: Data) -> dict[str, Any]:
    """Prints and returns the surrogate's agreement with held-out trials."""
    figures: dict[str, Any] = {}

    def tell(name: str, agreement: Agreement) -> None:
        figures[name] = {key: round(value, 4) for key, value in asdict(agreement).items()}
        _tell(name, agreement)

    distinct, noise, step = data.distinct, data.noise, smallest_step(data.accuracy)
    second = second_evaluations(distinct)
    if second is not None:
        tell("a second evaluation, measured", second)
        tell("a second evaluation, by the noise", repeatable(distinct.pairs[:, 0], noise, step))
    for size, agreement in learning_curve(distinct):
        tell(f"held-out pipelines, from {size} evaluations", agreement)
    tell("held-out pipelines", Agreement.of(distinct.accuracy, held_out_pipelines(distinct)))
    tell("  what the noise allows", reachable(distinct.accuracy, noise, step))
    labels = _labels(np.unique(data.run).tolist())
    runs = ((labels[name], measured, predicted) for name, measured, predicted in held_out_runs(data))
    _tell_runs(tell, "held-out run", runs, noise, step)
    for name, label in labels.items():
        again = second_evaluations(distinct, of=data.key[data.run == name])
        if f"held-out run {label}" in figures and again is not None:
            tell(f"a second evaluation, measured ({label})", again)
    return figures


def _tell_runs(
    tell: Callable[[str, Agreement], None],
    kind: str,
    found: Iterable[tuple[str, Floats, Floats]],
    noise: Noise,
    step: float,
) -> None:
    """Reports predictions and noise ceiling of each run (name, measured, predicted), on average and together."""
    runs, allowances, all_of_them = [], [], []
    for name, measured, predicted in found:
        all_of_them.append((measured, predicted))
        runs.append(Agreement.of(measured, predicted))
        allowances.append(reachable(measured, noise, step))
        tell(f"{kind} {name}", runs[-1])
        tell(f"  what the noise allows ({name})", allowances[-1])
    if len(runs) > 1:
        tell(f"{kind}s, mean", Agreement.mean(runs))
        tell("  what the noise allows (mean)", Agreement.mean(allowances))
        measured, predicted = (np.concatenate(parts) for parts in zip(*all_of_them, strict=True))
        tell(f"{kind}s, together", Agreement.of(measured, predicted))
        tell("  what the noise allows (together)", reachable(measured, noise, step))
