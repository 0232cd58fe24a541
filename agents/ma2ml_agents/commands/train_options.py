"""The options of `ma2ml train`, and what they say of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ma2ml_agents.building_blocks.settings import parse_setting
from ma2ml_agents.learners import learner_class
from ma2ml_agents.search import CostBounds
from ma2ml_agents.search.plan import check_limits
from ma2ml_env import registry


def _cores() -> int:
    """The cores that this process may use, where the system tells; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class TrainOptions:
    """What `ma2ml train` takes beside the learner's settings."""

    algo: str = "ma2ml"
    """The learner: a name, or package.module:Class for one of your own."""
    env: str = "ma2ml/digits-v0"
    """The environment's id; `ma2ml envs` lists them."""
    budget: int = 80
    """How many pipelines to evaluate."""
    time_limit: float | None = None
    """Seconds after which the search ends even if the budget is not spent; counted anew when a run is resumed."""
    workers: int = field(default_factory=_cores)
    """Local processes that evaluate, one CPU thread each; the default is the number of cores."""
    timeout: float | None = None
    """Seconds that one pipeline may take before it counts as failed."""
    memory_limit: float | None = None
    """GiB of address space that one worker may use; a pipeline that needs more has failed (Linux only)."""
    executor: Literal["processes", "inline", "ray"] = "processes"
    """Where pipelines are evaluated: in local processes, in this one, or on a Ray cluster."""
    address: str | None = None
    """The Ray cluster: auto for the one that this machine belongs to, or host:port; none for one of this machine."""
    cpus_per_trial: float = 1.0
    """CPUs that a pipeline takes on the Ray cluster."""
    gpus_per_trial: float = 0.0
    """GPUs that a pipeline takes on the Ray cluster; shares of one are allowed."""
    max_flops: float | None = None
    """Multiply-accumulates of one image beyond which a pipeline is not trained; it counts, with reward 0."""
    max_params: float | None = None
    """Parameters beyond which a pipeline is not trained; it counts, with reward 0."""
    prune: Literal["none", "quartile", "median", "halving"] = "none"
    """Stop trainings whose validation accuracy lags behind that of earlier ones: quartile saves about a fifth of all
    epochs and seldom stops a good pipeline, median and halving save two fifths and often do."""
    warm_start: tuple[str, ...] = ()
    """Evaluate these first: names that `ma2ml published` lists, separated by commas or spaces, or a file of pipelines
    (JSON or YAML, or another run's trials.db, of which the best 20). An agent that is not named plays its default."""
    cache: Path | None = None
    """A folder of results that runs share: what another run has evaluated is not evaluated again."""
    window: int = 4
    """How far proposals may run ahead of results; part of what makes runs equal, so it does not follow --workers."""
    seed: int = 0
    """Of the environment and the learner."""
    out: Path | None = None
    """The run's folder; default runs/<environment>-<algo>-seed<seed>. The same command again resumes."""
    log: tuple[str, ...] = ()
    """Loggers: wandb, tensorboard, or none."""
    set: tuple[str, ...] = ()
    """Settings of the environment as NAME=VALUE, such as epochs=3 or device=cuda."""
    registry: Path | None = None
    """A YAML file with environments of your own."""

    def check(self) -> None:
        """Raise a ValueError if a number is out of range."""
        check_limits(self.budget, self.window, self.time_limit)
        for name, least in (("workers", 1), ("seed", 0), ("gpus_per_trial", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("timeout", "memory_limit", "cpus_per_trial"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value}")
        limits = [name for name in ("timeout", "memory_limit") if getattr(self, name) is not None]
        if self.executor == "inline" and limits:
            raise ValueError(f"{limits[0]} needs a process of its own for each pipeline; the inline executor has none")
        if self.executor == "ray" and self.memory_limit is not None:
            raise ValueError("memory_limit is for local processes; on a Ray cluster its memory monitor watches")
        self.bounds()

    def bounds(self) -> CostBounds:
        """What a pipeline may cost."""
        return CostBounds(self.max_flops, self.max_params)

    def overrides(self) -> dict[str, Any]:
        """The settings of the environment, {name: value}; values are read as YAML.

        Raises:
            ValueError: for a text of another form than NAME=VALUE.
        """
        return dict(parse_setting(text) for text in self.set)

    def folder(self) -> Path:
        """The run's folder."""
        environment = self.env.rpartition("/")[2]
        return self.out or Path("runs") / f"{environment}-{self.algo.replace(':', '.')}-seed{self.seed}"

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What must be equal for a run to be resumed, as JSON values.

        Args:
            settings: of the learner.
        """
        environment = asdict(registry.entry(self.env).override(**self.overrides()))
        optional = {
            "max_flops": self.max_flops,
            "max_params": self.max_params,
            "prune": None if self.prune == "none" else self.prune,
            "warm_start": list(self.warm_start) or None,
        }
        return {
            "environment": environment | {"summary": None},
            "learner": self.algo,
            "settings": dict(settings),
            "window": self.window,
            "seed": self.seed,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def resumable(self) -> dict[str, Any]:
        """What may differ when a run is resumed, as JSON values."""
        names = ("budget", "time_limit", "workers", "timeout", "memory_limit", "executor", "address", "log")
        return {name: getattr(self, name) for name in names}


def parse_train(argv: Sequence[str], prog: str) -> tuple[TrainOptions, dict[str, Any]]:
    """The options of `ma2ml train` and the settings of the learner that they name.

    Args:
        argv: the command's arguments.
        prog: what to call the program in its help.

    Raises:
        ValueError: for an unknown learner.
        SystemExit: with code 2 for an unknown option or a value of a wrong type, with 0 after `--help`.
    """
    algo = _value_of("--algo", argv, TrainOptions.algo)
    settings_class = learner_class(algo).Config
    flat = tyro.conf.arg(name="")
    command = make_dataclass(
        "Train", [("options", Annotated[TrainOptions, flat]), ("learner", Annotated[settings_class, flat])]
    )
    description = f"Search for a pipeline with {algo}, retrain the best one, save the model."
    parsed: Any = tyro.cli(command, args=list(argv), prog=prog, description=description)
    return parsed.options, asdict(parsed.learner)


def _value_of(flag: str, argv: Sequence[str], default: str) -> str:
    """The value of a flag before the rest of the command line is understood; the last one counts."""
    value = default
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if word == flag:
            value = following
        elif word.startswith(f"{flag}="):
            value = word.removeprefix(f"{flag}=")
    return value
