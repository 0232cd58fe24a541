"""The grid of a benchmark, as data: environments x algorithms x seeds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from ma2ml_agents.learner import AgentSpec, agent_specs
from ma2ml_agents.learners import learner_from_config, make_config
from ma2ml_agents.search.cost import CostBounds
from ma2ml_agents.search.plan import check_limits
from ma2ml_env import registry
from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest

WINDOW = 1
"""Window of every run: each proposal is made from all earlier results, so that only the algorithms differ."""
SEEDS, BUDGET = 10, 500


@dataclass(frozen=True)
class Problem:
    """An environment of a grid.

    Attributes:
        name: name in tables; by default its id.
        entry: its registry entry, with the grid's settings of it.
        definition: hash of what its results depend on.
        specs: its agents, as learners see them.
    """

    name: str
    entry: registry.EnvEntry
    definition: str
    specs: tuple[AgentSpec, ...]


@dataclass(frozen=True)
class Contender:
    """An algorithm of a grid: a learner under certain settings.

    Attributes:
        name: name in tables; by default the learner's.
        algo: the learner: a name, or `module:Class`.
        config: settings of the learner, an instance of its `Config`.
        seeds: one seed per run.
    """

    name: str
    algo: str
    config: Any
    seeds: tuple[int, ...]

    @property
    def distinct(self) -> bool:
        """Whether its settings exclude known pipelines; on-policy learning ignores that setting."""
        settings = asdict(self.config)
        return bool(settings.get("distinct", False)) and bool(settings.get("off_policy", True))


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        problem: the environment.
        contender: the algorithm.
        seed: seed of the environment and the learner.
        budget: number of pipelines.
        bounds: bounds on cost; pipelines above them are not evaluated.
    """

    problem: Problem
    contender: Contender
    seed: int
    budget: int
    bounds: CostBounds = field(default_factory=CostBounds)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Returns everything that its result depends on, as JSON values, without the names in tables."""
        bounds = {"bounds": asdict(self.bounds)} if self.bounds else {}
        return bounds | {
            "environment": {**asdict(self.problem.entry), "summary": None},
            "definition": self.problem.definition,
            "learner": self.contender.algo,
            "settings": asdict(self.contender.config),
            "window": WINDOW,
            "seed": self.seed,
            "budget": self.budget,
        }

    @cached_property
    def folder(self) -> str:
        """Name of its folder: readable, and unique to its identity."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True, default=str).encode()).hexdigest()[:10]
        readable = f"{self.problem.entry.id.rpartition('/')[2]}-{self.contender.algo}-seed{self.seed}-{digest}"
        return re.sub(r"[^\w.-]+", "_", readable)


@dataclass(frozen=True)
class Grid:
    """Environments, algorithms and seeds of a benchmark.

    Attributes:
        problems: the environments.
        contenders: the algorithms.
        budget: evaluated pipelines per run.
        bounds: bounds on cost of every run.
    """

    problems: tuple[Problem, ...]
    contenders: tuple[Contender, ...]
    budget: int
    bounds: CostBounds = field(default_factory=CostBounds)

    def cells(self) -> Iterator[Cell]:
        """Returns all runs, first seeds first, so that an unfinished grid already compares all algorithms."""
        most = max((len(contender.seeds) for contender in self.contenders), default=0)
        for place in range(most):
            for problem in self.problems:
                for contender in self.contenders:
                    if place < len(contender.seeds):
                        yield Cell(problem, contender, contender.seeds[place], self.budget, self.bounds)


def make_grid(
    envs: Sequence[str | Mapping[str, Any]],
    algos: Sequence[str | Mapping[str, Any]],
    seeds: int | Sequence[int] = SEEDS,
    budget: int = BUDGET,
    settings: Mapping[str, Any] | None = None,
    max_flops: float | None = None,
    max_params: float | None = None,
) -> Grid:
    """Makes a grid, and checks it by making each of its environments and learners once.

    Args:
        envs: ids, or mappings with `env` (the id), `name` and `settings`.
        algos: learners' names, `module:Class`, or mappings with `algo`, `name`, `preset`, `settings` and `seeds`.
        seeds: number of seeds, counted from 0, or a list of them; seeds of an algorithm's mapping replace them.
        budget: evaluated pipelines per run, at least 1.
        settings: settings of every environment.
        max_flops: multiply-accumulates of one image at most; None for no bound.
        max_params: trainable parameters at most; None for no bound.

    Raises:
        MA2MLError: for an unknown environment, learner, key or setting, a value out of range, a duplicate, or a bound
            on a cost that an environment cannot report.
    """
    check_limits(budget, WINDOW, None)
    if not envs:
        raise MA2MLError("a grid needs at least one environment; `ma2ml envs` lists them")
    bounds = CostBounds(_number(max_flops, "max_flops"), _number(max_params, "max_params"))
    problems = tuple(_problem(item, settings or {}, bounds) for item in envs)
    contenders = tuple(_contender(item, _seeds(seeds, "seeds"), problems) for item in algos)
    for kind, names in (("environment", [p.name for p in problems]), ("algorithm", [c.name for c in contenders])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MA2MLError(f"{kind} {twice[0]!r} appears twice; rename one of them")
    return Grid(problems, contenders, budget, bounds)


def _problem(item: str | Mapping[str, Any], settings: Mapping[str, Any], bounds: CostBounds) -> Problem:
    given = _mapping(item, "env", ("name", "env", "settings"))
    entry = registry.entry(given["env"]).override(**{**settings, **given.get("settings", {})})
    env = entry.build()
    bounds.check(env)
    return Problem(str(given.get("name", given["env"])), entry, env.definition, agent_specs(env))


def _contender(item: str | Mapping[str, Any], seeds: tuple[int, ...], problems: Sequence[Problem]) -> Contender:
    given = _mapping(item, "algo", ("name", "algo", "preset", "settings", "seeds"))
    algo = given["algo"]
    config = make_config(algo, given.get("settings", {}), given.get("preset"))
    for problem in problems:
        learner_from_config(algo, problem.specs, config)
    name = str(given.get("name", algo))
    own = _seeds(given["seeds"], f"{name}, seeds") if "seeds" in given else seeds
    return Contender(name, algo, config, own)


def _mapping(item: str | Mapping[str, Any], main: str, allowed: Sequence[str]) -> Mapping[str, Any]:
    """Returns an entry of a grid in its long form."""
    given: Mapping[str, Any] = {main: item} if isinstance(item, str) else item
    if not isinstance(given, Mapping) or not isinstance(given.get(main), str):
        raise MA2MLError(f"an entry must be a name or a mapping with {main!r}, not {item!r}")
    for key in given:
        if key not in allowed:
            raise UnknownNameError(f"{given[main]}: unknown key {key!r}; {nearest(key, allowed)}")
    if not isinstance(given.get("settings", {}), Mapping):
        raise MA2MLError(f"{given[main]}: settings must be a mapping, not {given['settings']!r}")
    return given


def _number(given: Any, where: str) -> float | None:
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool)):
        return None if given is None else float(given)
    raise MA2MLError(f"{where}: expected a number above 0, such as 5_000_000, not {given!r}")


def _seeds(given: Any, where: str) -> tuple[int, ...]:
    numbers = range(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if isinstance(numbers, Sequence) and not isinstance(numbers, str):
        seeds = tuple(numbers)
        if seeds and len(set(seeds)) == len(seeds) and all(type(seed) is int and seed >= 0 for seed in seeds):
            return seeds
    raise MA2MLError(f"{where}: expected a number of at least 1, or distinct integers of at least 0, not {given!r}")
