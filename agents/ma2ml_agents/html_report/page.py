"""The report's HTML page: style, script and data in one file, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ma2ml_agents.html_report.extras import extras
from ma2ml_agents.html_report.run import Run
from ma2ml_agents.runs.report import TOP_K
from ma2ml_agents.runs.version import version_line
from ma2ml_env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.files import write_text

SCRIPTS = ("derive.js", "chart.js", "parts.js", "tables.js", "main.js")
"""Concatenated in this order."""
PLACE = re.compile(r"\{\{(\w+)\}\}")
ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def write_report(paths: Sequence[str | Path], out: str | Path, env: AutoMLEnv | None = None) -> Path:
    """Writes the report of runs as one HTML file.

    Args:
        paths: folders of runs, or their trial logs; at least one.
        out: file to write; its folder is created.
        env: environment of all runs; None for those that their configurations name.

    Returns:
        The file.

    Raises:
        MA2MLError: if there is no run at a path, a trial log cannot be used, or the file cannot be written.
    """
    runs = [Run.find(Path(path)) for path in paths]
    target = Path(out)
    text = report_page(report_data(runs, env))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, text)
    except OSError as error:
        raise MA2MLError(f"cannot write {target}: {error.strerror}") from error
    return target


def report_data(runs: Sequence[Run], env: AutoMLEnv | None = None) -> dict[str, Any]:
    """Returns the content of the page as JSON values.

    Args:
        runs: at least one.
        env: environment of all runs; None for those that their configurations name.

    Raises:
        MA2MLError: if there is no run.
        TrialLogError: if a trial log cannot be used.
    """
    if not runs:
        raise MA2MLError("a report is of at least one run")
    names = _distinct_names(runs)
    parts = [{**run_data(run, name), **extras(run, env)} for run, name in zip(runs, names, strict=True)]
    return {"live": False, "top_k": TOP_K, **made_by(), "runs": parts}


def made_by() -> dict[str, str]:
    """Returns version of the project and time of the report."""
    return {"version": version_line(), "made": f"{datetime.now():%Y-%m-%d %H:%M}"}


def run_data(run: Run, name: str, first: int = 0) -> dict[str, Any]:
    """Returns the content of one run.

    Args:
        run: the run.
        name: name to show.
        first: number of the first trial to include.
    """
    return {**run.about(), "name": name, "batch": run.batch_size(), "trials": run.trials(first)}


def report_page(data: Mapping[str, Any]) -> str:
    """Returns the page that shows the content of `report_data`."""
    style, script = _static("report.css"), "\n".join(map(_static, SCRIPTS))
    policy = [
        "default-src 'none'",
        "img-src data:",
        f"style-src {_hash(style)}",
        f"script-src {_hash(script)}",
        *(["connect-src 'self'"] if data["live"] else []),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    values = {
        "policy": html.escape("; ".join(policy)),
        "title": html.escape(", ".join(run["name"] for run in data["runs"])),
        "style": style,
        "script": script,
        "data": embedded_json(data),
    }
    return PLACE.sub(lambda found: values[found[1]], _static("page.html"))


def embedded_json(value: Any) -> str:
    """Returns JSON that cannot end the script element in which it stands, whatever text it contains."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: ESCAPED[found[0]], text)


def _hash(text: str) -> str:
    """Source expression of a Content Security Policy that permits this inline text alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _distinct_names(runs: Sequence[Run]) -> list[str]:
    """Names of the runs, with as many parent folders as tell them apart."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    longer = [f"{run.folder.resolve().parent.name}/{run.name}" for run in runs]
    return longer if len(set(longer)) == len(longer) else [str(run.file) for run in runs]


@cache
def _static(name: str) -> str:
    return files("ma2ml_agents.html_report").joinpath("static", name).read_text(encoding="utf-8")
