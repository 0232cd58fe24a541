"""Standard output and error streams that survive write failures."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class ForgivingStream:
    """Text stream that is abandoned once writing to it fails, such as a closed pipe or a file on a full disk.

    Characters that the stream's encoding lacks are written as escape sequences. Other attributes are the stream's.

    Args:
        stream: the stream to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed = False
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Writes a text, unless the stream has failed before."""
        if not self._failed:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # a closed file is a ValueError
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flushes the stream, unless it has failed before."""
        if not self._failed:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        """Redirects remaining output, including the interpreter's final flush, to the null device."""
        self._failed = True
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Makes standard output and error forgiving within a `with` block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, ForgivingStream(stream)) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before
