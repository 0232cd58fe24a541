"""Files: YAML that is read safely, and files that are replaced as a whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from ma2ml_env.errors import DamagedFileError


def read_yaml(path: Path) -> Any:
    """Document of a YAML or JSON file, made of dicts, lists, texts and numbers only.

    Raises:
        DamagedFileError: if the file cannot be read, is not YAML, or has a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise DamagedFileError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedFileError(f"{path} is not valid YAML: {error}") from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; at the end its file, flushed to the disk, replaces `path`.

    A crash or an exception leaves the old file as it was.

    Raises:
        OSError: if the file cannot be written or replaced.
    """
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # some file systems cannot flush a folder; the file itself is safe
        _flush(target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Replaces a file by `text` in UTF-8; a crash leaves the old text or the new one.

    Raises:
        OSError: if it cannot.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_UniqueKeyLoader.add_implicit_resolver(  # as YAML 1.2 has it; YAML 1.1 reads 4e5 as text
    "tag:yaml.org,2002:float", re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)

__all__ = ["read_yaml", "replacing", "write_text"]
