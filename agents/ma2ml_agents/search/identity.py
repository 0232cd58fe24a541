"""Identity of a problem: everything its stored results depend on, as JSON values."""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import inspect
import io
import json
import math
import textwrap
import tokenize
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ma2ml_agents.executors.base import is_installed
from ma2ml_env import AutoMLEnv, Decision

SOURCE = "source"
"""Key of a hash of source code, which may differ after a fix."""
DEEPEST, LONGEST = 8, 300
OURS = ("ma2ml_env", "ma2ml_agents")
WRITERS = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear"}


def describe_problem(env: AutoMLEnv) -> dict[str, Any]:
    """Returns the decisions of an environment and its evaluator: a definition, else a name, settings and source code.

    Settings of an evaluator are those that determine its results and can be read: fields of a dataclass, attributes
    named like arguments of `__init__`, arguments of a `functools.partial`, and a function's closure and globals.
    """
    agents = {
        agent: {decision.name: _decision(decision) for decision in space.decisions}
        for agent, space in env.search_spaces.items()
    }
    return {"agents": agents, "evaluator": env.definition or describe(env.evaluator)}


def _decision(decision: Decision) -> dict[str, Any]:
    """Returns the choices of a decision, and its activation condition if it has one."""
    return {"choices": describe(decision.choices)} | ({"active": describe(decision.active)} if decision.active else {})


def describe(value: Any) -> Any:
    """Returns a value as JSON values that are equal in every process; an object as its type and settings."""
    return _Description().of(value)


def differences(there: Any, here: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields (name, value there, value here) for every difference between two descriptions."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            yield from differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
    elif there != here:
        yield name, there, here


class _Description:
    """Recursive description of values; a repeated function or class is described by its name alone."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def of(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str | bytes | Path | enum.Enum | range):
            return _plain(value)
        if depth > DEEPEST:
            return _name(type(value))
        if isinstance(value, Mapping):
            return _short({str(key): self.of(entry, depth + 1) for key, entry in value.items()})
        if isinstance(value, list | tuple):
            return _short([self.of(entry, depth + 1) for entry in value])
        if isinstance(value, set | frozenset):
            return _short(sorted((self.of(entry, depth + 1) for entry in value), key=repr))
        if hasattr(value, "__array__") and not isinstance(value, type):
            return _array(value)
        return self._object(value, depth + 1)

    def _object(self, value: Any, depth: int) -> dict[str, Any]:
        if isinstance(value, functools.partial):
            arguments = {"arguments": list(value.args), **value.keywords}
            return {"partial": self.of(value.func, depth), "settings": self.of(arguments, depth)}
        if isinstance(value, types.MethodType):
            return {"method": value.__name__, "of": self.of(value.__self__, depth)}
        if isinstance(value, types.FunctionType | type):
            return self._code(value, depth)
        definition = getattr(value, "definition", None)
        if definition is not None and not callable(definition):
            return {"definition": self.of(definition, depth)}
        settings = {name: self.of(setting, depth) for name, setting in _settings(value)}
        return {**self._code(type(value), depth), **({"settings": settings} if settings else {})}

    def _code(self, what: Any, depth: int) -> dict[str, Any]:
        """Returns the name of a function or class and, for user code, a hash of its source and the values it reads."""
        found: dict[str, Any] = {"name": _name(what)}
        if id(what) in self._seen or not _is_own(what):
            return found
        self._seen.add(id(what))
        functions = [what] if isinstance(what, types.FunctionType) else list(vars(what).values())
        reads: dict[str, Any] = {}
        for function in functions:
            if isinstance(function, types.FunctionType):
                reads |= {name: self.of(read, depth) for name, read in _surroundings(function) if read is not what}
        return found | ({SOURCE: source} if (source := _source(what)) else {}) | ({"reads": reads} if reads else {})


def _settings(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields fields of a dataclass, else attributes named like arguments of `__init__`."""
    if is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value) if field.init)
        return
    try:
        names = list(inspect.signature(type(value)).parameters)
    except (TypeError, ValueError):  # a class of C has no signature
        return
    held = getattr(value, "__dict__", {})
    for name in names:
        attribute = name if name in held else f"_{name}"
        if attribute in held:
            yield name, held[attribute]


def _surroundings(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Returns a function's defaults, and the variables that it reads from the enclosing function and from its module.

    Variables that it assigns are not settings, nor are containers if it modifies any: they are logs or caches.
    """
    codes = list(_codes(function.__code__))
    steps = [instruction for code in codes for instruction in dis.get_instructions(code)]
    assigned = {step.argval for step in steps if step.opname in ("STORE_DEREF", "STORE_GLOBAL")}
    names = {name for code in codes for name in code.co_names}
    writes = bool(WRITERS & names) or any(step.opname == "STORE_SUBSCR" for step in steps)
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    found |= {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a cell that is still empty
            found[name] = cell.cell_contents
    return [
        (name, value)
        for name, value in sorted(found.items())
        if name not in assigned and not isinstance(value, types.ModuleType)
        if not (writes and isinstance(value, list | dict | set))
    ]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yields a function's code objects, including those of nested functions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _plain(value: Any) -> Any:
    """Returns a description of an atomic value."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Path | enum.Enum | range):
        return str(value)
    if isinstance(value, bytes):
        return _digest(value)
    return value if not isinstance(value, str) or len(value) <= LONGEST else _digest(value.encode())


def _array(value: Any) -> str:
    try:
        array = np.ascontiguousarray(value)
    except (TypeError, ValueError, RuntimeError):  # a tensor on a GPU, or one with a gradient
        return _name(type(value))
    content = str(array).encode() if array.dtype == object else array.tobytes()
    return f"{array.dtype} {array.shape} {_digest(content)}"


def _is_own(what: Any) -> bool:
    """Returns whether a function or class is the user's own, so that no package version identifies its code."""
    module = getattr(what, "__module__", None) or ""
    if module.partition(".")[0] in OURS:
        return False
    try:
        return not is_installed(inspect.getfile(what))
    except (TypeError, OSError):
        return module == "__main__"


def _source(what: Any) -> str | None:
    """Returns a hash of source code without its comments, None where it cannot be read."""
    try:
        text = textwrap.dedent(inspect.getsource(what))
    except (OSError, TypeError):
        return None
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):  # part of a longer expression, as a lambda is
        return _digest(text.strip().encode())
    return _digest("\0".join(t.string for t in tokens if t.type not in (tokenize.COMMENT, tokenize.NL)).encode())


def _short(described: Any) -> Any:
    """Returns a container unchanged, or its digest where that is shorter."""
    text = json.dumps(described, sort_keys=True)
    if len(text) <= LONGEST or f'"{SOURCE}":' in text:
        return described
    return f"{len(described)} entries, {_digest(text.encode())}"


def _name(what: Any) -> str:
    return f"{what.__module__}.{what.__qualname__}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
