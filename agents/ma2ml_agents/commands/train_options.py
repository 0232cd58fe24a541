"""Options of `ma2ml train`, and the identity of the run that they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from ma2ml_agents.commands.finale.finale_options import FinaleOptions, duration_seconds
from ma2ml_agents.commands.options import Amount, Repeatable, cores, flat, parse, parse_settings
from ma2ml_agents.learners import learner_class, make_config
from ma2ml_agents.learners.presets import Kind
from ma2ml_agents.search import CostBounds
from ma2ml_agents.search.finalists import FinalistPlan
from ma2ml_agents.search.plan import check_limits
from ma2ml_env import registry
from ma2ml_env.errors import MA2MLError
from ma2ml_env.from_images import usual_device
from ma2ml_env.types import check_seed

GPU_WORKERS = 4
"""Most workers by default where all share a GPU: 1, 2, 4 trained 15, 23, 31 small networks a minute on an H100."""


@dataclass(frozen=True)
class SearchOptions:
    """Environment, learner, and extent of the search."""

    algo: str = "ma2ml"
    """Learner: a name, or package.module:Class for your own. `--algo NAME --help` lists its settings."""
    preset: Kind | None = None
    """Defaults of the learner's settings: those of its publication or those for a few hundred pipelines (tuned), the
    latter where both exist. `ma2ml learners` lists what has them, and where they come from."""
    env: str = "ma2ml/digits-v0"
    """Id of the environment; `ma2ml envs` lists them."""
    set: Repeatable = ()
    """Settings of the environment as NAME=VALUE, such as epochs=3 or device=cuda."""
    registry: Path | None = None
    """YAML file with your own environments."""
    budget: int = 80
    """Number of evaluations, those of the finalists included."""
    time_limit: str | None = None
    """Limit of the whole command, such as 90s, 30m, 2h or seconds: search, finalists and final training; restarted when
    a run is resumed."""
    seed: int = 0
    """Seed of the environment and the learner."""
    window: int = 4
    """Number of proposals that may run ahead of results. It is part of the run's identity, so it is independent of
    --workers."""
    warm_start: Repeatable = ()
    """Pipelines to evaluate first: names that `ma2ml published` lists, separated by commas or spaces, or a file of
    pipelines (JSON or YAML, or another run's trials.db, for its best 20). Agents that are not mentioned play their
    default action."""


@dataclass(frozen=True)
class DataOptions:
    """Your own images, instead of a registered environment, or the download of one's."""

    data: Path | None = None
    """Folder of pictures: a sub-folder per class, or train, val and test of such sub-folders. Size, channels, classes,
    skeleton, spaces and epochs follow from it; --set overrides them."""
    seconds_per_pipeline: float | None = None
    """Time of one evaluation, from which the number of epochs follows by a short trial training; by default 20."""
    image_size: int | None = None
    """Rows and columns to which the pictures are resized; by default their own, at most 64."""
    strict: bool = False
    """Refuse a folder with pictures that cannot be read, instead of leaving them out."""
    download: bool = False
    """Download the images of --env if they are missing: CIFAR or Fashion-MNIST, to the folder MA2ML_DATA names."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Workers, and limits per evaluation."""

    workers: int | None = None
    """Local worker processes, one CPU thread each; by default one per core, but at most four for a GPU."""
    executor: Literal["processes", "inline", "ray"] = "processes"
    """Executor of the evaluations: local worker processes, this process, or a Ray cluster."""
    timeout: float | None = None
    """Seconds after which an evaluation fails."""
    memory_limit: float | None = None
    """GiB of address space per worker; a pipeline that needs more fails (Linux only)."""
    max_flops: Amount | None = None
    """Upper bound on multiply-accumulates of one image, such as 5M; pipelines above it are not trained, and count
    with reward 0."""
    max_params: Amount | None = None
    """Upper bound on parameters, such as 100k; pipelines above it are not trained, and count with reward 0."""
    prune: Literal["none", "quartile", "median", "halving"] = "none"
    """Early stopping of trainings whose validation accuracy lags behind that of earlier ones: quartile saves about a
    fifth of all epochs and rarely stops a good pipeline; median and halving save two fifths and often do."""
    retry_failed: bool = False
    """Evaluate failed stored trials again, as after a fix of the evaluator."""
    ignore_failures: bool = False
    """Continue even if the first five evaluations all raise the same exception."""
    cache: Path | None = None
    """Folder of results shared among runs: pipelines that another run has evaluated are not evaluated again."""
    address: str | None = None
    """Ray cluster: auto for the one this machine belongs to, or host:port; by default a new one on this machine."""
    cpus_per_trial: float = 1.0
    """CPUs per evaluation on the Ray cluster."""
    gpus_per_trial: float = 0.0
    """GPUs per evaluation on the Ray cluster; fractions are allowed."""


@dataclass(frozen=True)
class OutputOptions:
    """Folder of the run, and loggers."""

    out: Path | None = None
    """Folder of the run; runs/<environment or data>-<algo>-seed<seed> by default. Rerunning the same command resumes
    it."""
    log: Repeatable = ()
    """Loggers: wandb, tensorboard."""


@dataclass(frozen=True)
class TrainOptions:
    """All options of `ma2ml train`.

    Attributes:
        config: settings of the learner, an instance of its `Config`.
    """

    search: SearchOptions
    data: DataOptions
    evaluation: EvaluationOptions
    finale: FinaleOptions
    output: OutputOptions
    config: Any

    def check(self) -> None:
        """Checks the ranges of all numbers.

        Raises:
            MA2MLError: if one is out of range, or two options are incompatible.
        """
        evaluation = self.evaluation
        check_limits(self.search.budget, self.search.window, self.time_limit())
        self.finalists()
        check_seed(self.search.seed)
        for name, value, low in (("workers", self.workers(), 1), ("gpus_per_trial", evaluation.gpus_per_trial, 0)):
            if not value >= low:
                raise MA2MLError(f"{name} must be at least {low}, not {value}")
        for name in ("timeout", "memory_limit", "cpus_per_trial"):
            value = getattr(evaluation, name)
            if value is not None and not value > 0:
                raise MA2MLError(f"{name} must be above 0, not {value}")
        limits = [name for name in ("timeout", "memory_limit") if getattr(evaluation, name) is not None]
        if evaluation.executor == "inline" and limits:
            raise MA2MLError(f"{limits[0]} requires a process for each pipeline; the inline executor has none")
        if evaluation.executor == "ray" and evaluation.memory_limit is not None:
            raise MA2MLError("memory_limit is for local processes; on a Ray cluster its memory monitor limits memory")

    def time_limit(self) -> float | None:
        """Returns the limit of the whole command in seconds, None for none."""
        return None if self.search.time_limit is None else duration_seconds(self.search.time_limit)

    def workers(self) -> int:
        """Returns the number of local worker processes."""
        if self.evaluation.workers is not None:
            return self.evaluation.workers
        found = "cpu" if self.data.data is None else usual_device()
        device = self.overrides().get("device") or found
        return cores() if device == "cpu" else min(cores(), GPU_WORKERS)

    def finalists(self) -> FinalistPlan:
        """Returns the extent of the finalists' evaluations within the budget."""
        return FinalistPlan.of_budget(self.search.budget, self.finale.finalists, self.finale.finalist_trials)

    def bounds(self) -> CostBounds:
        """Returns the bounds on a pipeline's cost."""
        return CostBounds(self.evaluation.max_flops, self.evaluation.max_params)

    def overrides(self) -> dict[str, Any]:
        """Returns the settings of the environment, {name: value}."""
        return parse_settings(self.search.set)

    def loggers(self) -> list[str]:
        """Returns the names of the loggers."""
        return flat(self.output.log)

    def folder(self) -> Path:
        """Returns the run's folder."""
        search, data = self.search, self.data.data
        problem = search.env.rpartition("/")[2] if data is None else data.expanduser().absolute().name
        name = f"{problem}-{search.algo.replace(':', '.')}-seed{search.seed}"
        return self.output.out or Path("runs") / name

    def identity(self) -> dict[str, Any]:
        """Returns the options that must be equal to resume a run, as JSON values."""
        search = self.search
        environment = asdict(registry.entry(search.env).override(**self.overrides()))
        optional = {
            "max_flops": self.evaluation.max_flops,
            "max_params": self.evaluation.max_params,
            "prune": None if self.evaluation.prune == "none" else self.evaluation.prune,
            "warm_start": flat(search.warm_start) or None,
            "seconds_per_pipeline": self.data.seconds_per_pipeline,
        }
        return {
            "environment": environment | {"summary": None},
            "learner": search.algo,
            "settings": asdict(self.config),
            "window": search.window,
            "seed": search.seed,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def resumable(self) -> dict[str, Any]:
        """Returns the options that may differ when a run is resumed, as JSON values."""
        search = {name: getattr(self.search, name) for name in ("budget", "time_limit")}
        names = ("timeout", "memory_limit", "executor", "address")
        evaluation = {name: getattr(self.evaluation, name) for name in names}
        return {**search, "workers": self.workers(), **evaluation, **asdict(self.finale), "log": self.loggers()}


DESCRIPTION = "Search for a pipeline, retrain the best one, save the model."
GROUPS: dict[str, type] = {
    "search": SearchOptions,
    "data": DataOptions,
    "evaluation": EvaluationOptions,
    "finale": FinaleOptions,
    "output": OutputOptions,
}


def parse_train(argv: Sequence[str], prog: str) -> TrainOptions:
    """Parses the arguments of `ma2ml train`.

    Args:
        argv: the command's arguments.
        prog: name of the program in its help.

    Raises:
        MA2MLError: for an unknown learner.
        SystemExit: with code 2 for an unknown option or a value of a wrong type, with 0 after `--help`.
    """
    named, preset = _learner_flags(argv)
    if named is None and {"-h", "--help"} & set(argv):
        _parse(GROUPS, ["--help"], prog, f"{DESCRIPTION} `{prog} --algo NAME --help` also lists a learner's settings.")
    algo = named or SearchOptions.algo
    config = learner_class(algo).Config
    _check_names(algo, config)
    parsed = _parse({**GROUPS, "learner": config}, argv, prog, DESCRIPTION, make_config(algo, {}, preset))
    return TrainOptions(parsed.search, parsed.data, parsed.evaluation, parsed.finale, parsed.output, parsed.learner)


def _parse(
    groups: Mapping[str, type], argv: Sequence[str], prog: str, description: str, settings: Any | None = None
) -> Any:
    """Parses arguments into an object with an attribute per group; `settings` are the defaults of the last group."""
    kinds: list[Any] = list(groups.items())
    if settings is not None:
        kinds[-1] = (*kinds[-1], field(default_factory=lambda: settings))
    return parse(make_dataclass("Train", kinds, kw_only=True), argv, prog, description, groups.values())


def _learner_flags(argv: Sequence[str]) -> tuple[str | None, Kind | None]:
    """Returns the values of `--algo` and `--preset`, None where one is not given."""
    flags: Any = make_dataclass("Flags", [("algo", str | None, None), ("preset", Kind | None, None)])
    parsed, _ = tyro.cli(flags, args=list(argv), add_help=False, return_unknown_args=True)
    return parsed.algo, parsed.preset


def _check_names(algo: str, config: type) -> None:
    """Raises an error if a setting of the learner has the name of an option of the command."""
    taken = {option.name for group in GROUPS.values() for option in fields(group)}
    for setting in fields(config):
        if setting.name in taken:
            raise MA2MLError(f"{algo} has a setting {setting.name!r}, which is an option of the command; rename it")
