"""Options of several commands: repeatable flags, NAME=VALUE settings, help from docstrings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, get_type_hints

import tyro
import yaml
from tyro.conf import UseAppendAction
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

import ma2ml_env
from ma2ml_agents.runs.front import parse_number, with_suffix
from ma2ml_env.errors import MA2MLError

Repeatable = UseAppendAction[tuple[tuple[str, ...], ...]]
"""Type of a flag that accepts several values and may be repeated: `--set a=1 b=2 --set c=3`."""
Amount = Annotated[
    float,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER",
        instance_from_str=lambda words: parse_number(words[0]),
        is_instance=lambda value: isinstance(value, float),
        str_from_instance=lambda value: [with_suffix(value)],
    ),
]
"""Type of a number above 0 that may end in k, M or G."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def cores() -> int:
    """Returns the number of cores that this process may use, as far as the system reports it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Limits torch to one thread in this process, which leaves the cores to the workers.

    A final training starts threads of its own then, which take denormal numbers for zero.
    """
    import torch

    torch.set_num_threads(1)


def flat(groups: Iterable[Iterable[str]]) -> list[str]:
    """Returns all values of a `Repeatable` flag, in order."""
    return [value for group in groups for value in group]


def comma_separated(groups: Iterable[Iterable[str]]) -> list[str]:
    """Returns all values of a `Repeatable` flag whose values may be joined by commas."""
    return [part.strip() for value in flat(groups) for part in value.split(",") if part.strip()]


def parse_settings(groups: Iterable[Iterable[str]]) -> dict[str, Any]:
    """Returns the values of a `--set` flag as {name: value}.

    Values are read as YAML, except that 4e5 is a number; hyphens of a name are underscores.

    Raises:
        MA2MLError: for text of another form than NAME=VALUE, and for duplicate names.
    """
    settings: dict[str, Any] = {}
    for text in flat(groups):
        name, equals, value = text.partition("=")
        name = name.replace("-", "_")
        if not (name and equals):
            raise MA2MLError(f"--set takes NAME=VALUE, not {text!r}")
        if name in settings:
            raise MA2MLError(f"{name!r} is set twice; set it once")
        try:
            settings[name] = yaml.load(value, Loader=_Loader)
        except yaml.YAMLError as error:
            raise MA2MLError(f"--set takes NAME=VALUE with a YAML value, not {text!r}") from error
    return settings


class _Loader(yaml.SafeLoader):
    """Safe loader that parses 4e5 as a number, as in YAML 1.2."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^{NUMBER.pattern}$"), list("-+.0123456789"))


def register_environments(files: Iterable[Path | None]) -> None:
    """Registers the environments of `--registry` files; None is ignored."""
    for file in files:
        if file is not None:
            ma2ml_env.register_file(file)


def parse(
    kind: Any, argv: Sequence[str], prog: str, description: str | None = None, groups: Iterable[type] = ()
) -> Any:
    """Parses arguments into a dataclass whose fields' docstrings are the help; options need no prefix of a group.

    Args:
        kind: the dataclass.
        argv: the command's arguments.
        prog: name of the program in its help.
        description: of the program; the dataclass's docstring if it is None.
        groups: dataclasses of its fields, each a box in the help.

    Raises:
        SystemExit: with code 2 for an unknown option or a value of a wrong type, with 0 after `--help`.
    """
    wanted = tyro.conf.DisallowNone[tyro.conf.OmitArgPrefixes[kind]]
    registry = help_registry(kind, *groups)
    return tyro.cli(wanted, args=list(argv), prog=prog, description=description, registry=registry)


def help_registry(*classes: type) -> ConstructorRegistry:
    """Returns tyro's rule that reads the help of dataclasses' fields without their `Source:`.

    Args:
        *classes: dataclasses whose fields are documented by the string below each.
    """
    registry = ConstructorRegistry()

    @registry.struct_rule
    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        if info.type not in classes:
            return None
        hints, texts = get_type_hints(info.type, include_extras=True), field_docs(info.type)
        given = info.default if isinstance(info.default, info.type) else None
        fields = (
            StructFieldSpec(
                field.name,
                hints[field.name],
                _default(field) if given is None else getattr(given, field.name),
                texts.get(field.name),
            )
            for field in dataclasses.fields(info.type)
            if field.init
        )
        return StructConstructorSpec(info.type, tuple(fields))

    return registry


def field_docs(cls: type) -> dict[str, str]:
    """Returns {field: documentation} of a class and its bases, in one line each, up to `Source:`."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for name, text in _documented(base):
            docs[name] = " ".join(text.partition("Source:")[0].split())
    return docs


def _documented(cls: type) -> Iterator[tuple[str, str]]:
    try:
        (tree,) = ast.parse(dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # built in, or typed at a prompt
        return
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for node, below in pairwise(body):
        match node, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING if field.default is dataclasses.MISSING else field.default
