"""The wheel: what it holds, and that it works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = """
import pathlib, ma2ml_env, ma2ml_agents
env = ma2ml_env.make("ma2ml/digits-surrogate-v0")
env.reset(seed=0)
env.step({agent: space.sample() for agent, space in env.action_spaces.items()})
print(pathlib.Path(ma2ml_env.__file__).parent.parent)
print(env.last_trial.reward)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_exactly_two_typed_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"ma2ml_env", "ma2ml_agents"}
    assert {"ma2ml_env/py.typed", "ma2ml_agents/py.typed", "ma2ml_env/envs_registry.yaml"} <= set(names)
    shipped = ("digits-v0.csv.xz", "digits-v0.surrogate.xz", "cifar10-16px-v0.surrogate.xz")
    assert {f"ma2ml_env/data/{name}" for name in shipped} <= set(names)


def test_the_wheel_holds_every_module_of_the_checkout(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    sources = [(ROOT, "ma2ml_env"), (ROOT / "agents", "ma2ml_agents")]
    assert held == {str(path.relative_to(root)) for root, package in sources for path in (root / package).rglob("*.py")}


def test_an_installed_wheel_makes_an_environment_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are borrowed from this environment; the package itself is installed afresh."""
    fresh = tmp_path / "venv"
    venv.create(fresh, with_pip=False)
    site = next(fresh.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    python, alone = str(fresh / "bin" / "python"), {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([python, "-c", PROGRAM], cwd=tmp_path, env=alone, capture_output=True, text=True, check=True)
    where, reward = done.stdout.split()
    assert Path(where).resolve() == site.resolve()
    assert 0.0 <= float(reward) <= 1.0
