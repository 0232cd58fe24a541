"""Pickling of functions and pipelines for other processes."""

from __future__ import annotations

import io
import types
from typing import Any

import cloudpickle

ANONYMOUS = "<dynamic-code>"
"""File name that cloudpickle assigns to code; tracebacks need the real one."""


def dumps(what: Any) -> bytes:
    """Returns an object pickled with cloudpickle, preserving the names of its source files."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(what)
    return buffer.getvalue()


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    make, arguments = cloudpickle.CloudPickler.dispatch_table[types.CodeType](code)
    return make, tuple(code.co_filename if argument == ANONYMOUS else argument for argument in arguments)


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]  # cloudpickle has no types
    dispatch_table = cloudpickle.CloudPickler.dispatch_table.new_child({types.CodeType: _reduce_code})
