"""Environment of a run, from its folder."""

from __future__ import annotations

import json
from pathlib import Path

from ma2ml_agents.runs.folder import CONFIG_FILE
from ma2ml_env import AutoMLEnv, registry
from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.render import draw


def env_of_run(folder: str | Path) -> AutoMLEnv:
    """Rebuilds the environment that a run was started with; nothing is read of its images.

    Args:
        folder: folder of the run, with its `config.json`.

    Raises:
        MA2MLError: if there is no `config.json`, or the environment has a part that is unknown here.
        DamagedFileError: if it is damaged, or not a run's.
    """
    return entry_of_run(folder).build(draw=draw)


def entry_of_run(folder: str | Path) -> registry.EnvEntry:
    """Returns the parts of the environment that a run was started with; errors as those of `env_of_run`."""
    path = Path(folder) / CONFIG_FILE
    if not path.exists():
        raise MA2MLError(f"{folder} holds no {CONFIG_FILE}, which names its environment; name it by --env")
    try:
        return registry.EnvEntry(**json.loads(path.read_text(encoding="utf-8"))["run"]["environment"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged or not a run's ({error}); name the environment by --env") from error
