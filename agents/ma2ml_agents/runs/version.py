"""Version and commit of the installed project, recorded with each run."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from functools import cache
from pathlib import Path

DISTRIBUTION = "ma2ml-env"
GIT_SECONDS = 5.0


@cache
def project_version() -> dict[str, str | None]:
    """Returns {"version", "commit"} of this project; None for unknown ones.

    The commit is that of the checkout from which the package is imported, followed by "-dirty" if files were changed
    since, or else the one from which pip installed it.
    """
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return {"version": None, "commit": _commit_of_checkout(_root())}
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    installed = origin.get("vcs_info", {}).get("commit_id")
    return {"version": distribution.version, "commit": _commit_of_checkout(_root()) or installed}


def version_line() -> str:
    """Returns the line that `ma2ml --version` prints."""
    about = project_version()
    commit = f" ({about['commit']})" if about["commit"] else ""
    return f"{DISTRIBUTION} {about['version'] or 'unknown'}{commit}"


def _root() -> Path:
    """Folder of the project, if the package is imported from a checkout."""
    return Path(__file__).resolve().parents[3]


def _commit_of_checkout(root: Path) -> str | None:
    if not (root / ".git").exists() or not (root / "envs_registry.yaml").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
