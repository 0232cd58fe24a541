"""The examples run, each where its libraries are installed, and print what they learned."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples"


class Example(NamedTuple):
    """A budget for the test, the libraries that the script needs, and a text that it prints in the end."""

    budget: int
    prints: str
    libraries: tuple[str, ...] = ()


EXAMPLES = {
    "agilerl_ippo": Example(40, "pipelines, mean reward", ("agilerl", "peft")),
    "benchmarl_qmix": Example(40, "Mappo mean reward", ("benchmarl",)),
    "fourth_agent": Example(12, "bits, tried"),
    "loop": Example(20, "mean reward of the first fifth"),
    "own_evaluator": Example(6, "mean of the first five"),
    "own_learner": Example(40, "CrossEntropy: mean of the best 20"),
    "own_search_space": Example(6, "best of 155 networks"),
    "rllib_forms": Example(20, "masked: mean reward", ("ray", "tree")),
    "sb3_forms": Example(40, "masked", ("stable_baselines3", "sb3_contrib", "supersuit")),
    "tianshou_dqn": Example(40, "stored rewards:", ("tianshou",)),
    "torchrl_mappo": Example(40, "pipelines, mean reward", ("torchrl",)),
}
INSTALLED = [name for name, example in EXAMPLES.items() if all(map(find_spec, example.libraries))]


def test_every_example_is_run_here_and_is_short() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EXAMPLES)
    for path in FOLDER.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path


def test_no_example_hides_a_library_by_its_name() -> None:
    """A script's folder comes first on the path: `tianshou.py` would be imported as the library."""
    libraries = {library for example in EXAMPLES.values() for library in example.libraries}
    assert not libraries & {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("name", INSTALLED)
def test_an_example_prints_what_it_learned(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / f"{name}.py"), str(EXAMPLES[name].budget)]
    environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert EXAMPLES[name].prints in done.stdout
    assert not list(tmp_path.iterdir())
