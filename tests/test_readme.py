"""The README says what works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ma2ml_agents import learner_names
from ma2ml_env import env_ids

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_readme_begins_with_the_two_commands() -> None:
    assert blocks("")[0].splitlines() == [
        "pip install -e . && python train.py --algo ma2ml",
        "pip install -e '.[test]' && pytest",
    ]


def test_the_python_of_the_readme_runs() -> None:
    names: dict[str, object] = {}
    code = blocks("python")
    assert code
    for block in code:
        exec(block, names)


def test_the_python_of_the_readme_is_well_typed(tmp_path: Path) -> None:
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", "--allow-untyped-defs"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--allow-untyped-calls", str(script)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "", done.stdout


def test_the_readme_names_every_environment_and_every_learner() -> None:
    for name in [*env_ids(), *learner_names()]:
        assert f"`{name}`" in README, f"{name} is not in the README"


def test_the_tables_of_the_results_page_are_those_of_the_stored_results() -> None:
    for name in ("grid", "ablations", "ablations_ensemble"):
        page = (ROOT / "experiments" / "results" / name / "results.md").read_text(encoding="utf-8")
        overall = page.partition("## All environments")[2].partition("\n## ")[0]
        rows = [line for line in overall.splitlines() if line.startswith("|")]
        assert len(rows) > 3
        assert "\n".join(rows) in RESULTS, f"the table of {name} in docs/results.md is not that of its page"
