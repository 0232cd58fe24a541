"""Names of the parts that environments are assembled from, and construction of parts by name."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast, get_type_hints

from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.families import FAMILIES
from ma2ml_env.types import Result

SEARCH_SPACES = {
    "autoaugment": "ma2ml_env.search_spaces.autoaugment:autoaugment",
    "fbnetv3_recipe": "ma2ml_env.search_spaces.fbnetv3_recipe:fbnetv3_recipe",
    "plain": "ma2ml_env.search_spaces.plain:plain",
    "published_table": "ma2ml_env.search_spaces.benchmark_table:published_table",
    "recipe": "ma2ml_env.search_spaces.recipe:recipe",
    "tabular": "ma2ml_env.benchmark_tables.file:tabular_space",
    **{name: family.space for name, family in FAMILIES.items()},
}
TASKS = {
    "cifar10": "ma2ml_env.tasks.cifar:CIFAR10",
    "cifar100": "ma2ml_env.tasks.cifar:CIFAR100",
    "digits": "ma2ml_env.tasks.digits:Digits",
    "fashion_mnist": "ma2ml_env.tasks.fashion_mnist:FashionMNIST",
    "image_folder": "ma2ml_env.tasks.image_folder:ImageFolder",
    "imagenet": "ma2ml_env.tasks.imagenet:ImageNet",
    "mnist5k": "ma2ml_env.tasks.mnist5k:MNIST5K",
}
NETWORKS = {name: family.skeleton for name, family in FAMILIES.items()}
EVALUATORS = {
    "fcnet": "ma2ml_env.evaluators.fcnet:fcnet",
    "jahs201": "ma2ml_env.evaluators.benchmark_tables:jahs201",
    "nas_hpo_bench2": "ma2ml_env.evaluators.benchmark_tables:nas_hpo_bench2",
    "nasbench201": "ma2ml_env.evaluators.benchmark_tables:nasbench201",
    "surrogate": "ma2ml_env.evaluators.surrogate:surrogate",
    "synthetic": "ma2ml_env.evaluators.synthetic:synthetic",
    "tabular": "ma2ml_env.evaluators.tabular:tabular",
    "train": "ma2ml_env.evaluators.train:TrainEvaluator",
}
REWARDS = {
    "accuracy": "ma2ml_env.reward:accuracy",
    "flops_constrained": "ma2ml_env.reward:FLOPsConstrained",
}
NESTED = {"task": TASKS, "network": NETWORKS}

Spec = Mapping[str, Any]


def load(reference: str) -> Any:
    """The object that `module:name` refers to.

    Raises:
        ValueError: if the text has another form, or there is no such module or name.
    """
    module_name, colon, name = reference.partition(":")
    if not (module_name and colon and name) or module_name.startswith("."):
        raise MA2MLError(f"{reference!r} is not of the form package.module:name")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise MA2MLError(f"cannot load {reference!r}: {error}") from error
    if not hasattr(module, name):
        raise UnknownNameError(f"cannot load {reference!r}: {module_name} has no {name!r}")
    return getattr(module, name)


def factory(kind: str, catalogue: Mapping[str, str], where: str) -> Callable[..., Any]:
    """Class or function that makes parts of a kind.

    Args:
        kind: a name of the catalogue, or `module:name`.
        catalogue: {kind: module:name}.
        where: for the message, the place of the part.

    Raises:
        ValueError: if there is no such kind.
    """
    if ":" in kind:
        made = load(kind)
    elif kind in catalogue:
        made = load(catalogue[kind])
    else:
        raise UnknownNameError(f"{where}: unknown kind {kind!r}; {nearest(kind, catalogue)}")
    if not callable(made):
        raise MA2MLError(f"{where}: {kind!r} is a {type(made).__name__}; a kind is a class or a function")
    maker: Callable[..., Any] = made
    return maker


def build(spec: Spec, catalogue: Mapping[str, str], where: str, **injected: Any) -> Any:
    """Makes the part that a spec describes.

    Args:
        spec: `kind` and the arguments of that kind; the arguments named in `NESTED` are specs themselves.
        catalogue: {kind: module:name}.
        where: for messages, the place of the part.
        **injected: passed where the kind has an argument of that name.

    Raises:
        ValueError: for an unknown kind, an unknown or missing argument, or one of a wrong type.
    """
    make, arguments = _resolve(spec, catalogue, where, injected)
    return make(**arguments)


def build_reward(spec: Spec, where: str) -> Callable[[Any], float]:
    """The reward function that a spec describes, a function of a result alone; raises as `build` does.

    Its kind is a function of a result and of settings, or a class that is made from the settings and then called.
    It is called immediately with a failed pipeline, so that settings it rejects raise here, not after a training.
    """
    make, arguments = _resolve(spec, REWARDS, where, {"result": None})
    arguments.pop("result", None)
    reward: Any = make
    if inspect.isclass(make):
        reward = make(**arguments)
    elif arguments:
        reward = partial(make, **arguments)
    reward(Result(accuracy=0.0, flops=1.0, params=1.0, seconds=0.0, error="not evaluated"))
    return cast("Callable[[Any], float]", reward)


def parameters(spec: Spec, catalogue: Mapping[str, str], where: str) -> list[str]:
    """Names of the arguments that a spec's kind accepts."""
    return list(inspect.signature(factory(spec["kind"], catalogue, where)).parameters)


def _resolve(
    spec: Spec, catalogue: Mapping[str, str], where: str, injected: Mapping[str, Any]
) -> tuple[Callable[..., Any], dict[str, Any]]:
    make = factory(spec["kind"], catalogue, where)
    signature, hints = inspect.signature(make), _hints(make)
    arguments = {name: value for name, value in injected.items() if name in signature.parameters}
    for name, value in spec.items():
        if name == "kind":
            continue
        if name not in signature.parameters or name in arguments:
            offered = [p for p in signature.parameters if p not in arguments]
            raise UnknownNameError(f"{where}: {spec['kind']} has no argument {name!r}; {nearest(name, offered)}")
        if name in NESTED and isinstance(value, Mapping):
            arguments[name] = build(value, NESTED[name], f"{where}, {name}")
        else:
            arguments[name] = _typed(value, hints.get(name, Any), f"{where}, {name}")
    missing = [n for n, p in signature.parameters.items() if p.default is p.empty and n not in arguments]
    if missing:
        raise MA2MLError(f"{where}: {spec['kind']} needs {missing}")
    return make, arguments


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(make.__init__ if inspect.isclass(make) else make)


def _typed(value: Any, annotation: Any, where: str) -> Any:
    """`value` as `annotation` requires it: a YAML list may be a tuple, an int a float, and nothing else."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise MA2MLError(f"{where}: {value!r} does not fit: {reason}") from error
