"""Scripts outside the packages name what the packages have."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS, PACKAGES = ("docs", "examples", "experiments", "speed"), ("ma2ml_env", "ma2ml_agents")
SCRIPTS = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """Yields (module, name) of what a script imports from this project."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_script_imports_is_there(file: Path) -> None:
    for module, name in imported(file):
        try:
            made = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in PACKAGES:
                raise
            pytest.skip(f"{error.name} is not installed")
        assert hasattr(made, name) or importlib.util.find_spec(f"{module}.{name}"), f"{module} has no {name}"
