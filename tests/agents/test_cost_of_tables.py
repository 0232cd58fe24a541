"""Tables that do not know what every pipeline costs: learners that use costs work on the reward alone there."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.search.cost import cost_function
from ma2ml_env import AutoMLEnv
from ma2ml_env.benchmark_tables.file import tabular_spaces
from ma2ml_env.evaluators.tabular import Missing, tabular
from ma2ml_env.reward import accuracy

DEPTHS, RATES = (1, 2, 3, 4), (0.1, 0.2, 0.3)
ROWS = [f"{depth},{rate},{0.1 * depth + rate},{depth * 10},{depth * 100}" for depth in DEPTHS for rate in RATES]


def environment(folder: Path, *, costs: bool = True, rows: int = len(ROWS), missing: Missing = "error") -> AutoMLEnv:
    file, header = folder / "table.csv", "nas.depth,hpo.rate,accuracy,flops,params"
    lines = [header, *ROWS[-rows:]] if costs else [line.rsplit(",", 2)[0] for line in (header, *ROWS)]
    file.write_text("\n".join(lines))
    spaces = tabular_spaces(str(file))
    return AutoMLEnv(spaces, tabular(spaces, str(file), missing=missing), accuracy, name="mine/table-v0")


def test_costs_of_a_table_that_has_them_all_are_handed_to_learners(tmp_path: Path) -> None:
    costs = cost_function(environment(tmp_path))
    assert costs is not None
    pairs = list(itertools.product(range(len(DEPTHS)), range(len(RATES))))
    actions = {"nas": np.array([[depth] for depth, _ in pairs]), "hpo": np.array([[rate] for _, rate in pairs])}
    flops, params = costs(actions)
    assert flops.tolist() == [10 * DEPTHS[depth] for depth, _ in pairs]
    assert params.tolist() == [100 * DEPTHS[depth] for depth, _ in pairs]


def test_a_table_without_costs_or_without_some_pipelines_hands_out_none(tmp_path: Path) -> None:
    assert cost_function(environment(tmp_path, costs=False)) is None
    assert cost_function(environment(tmp_path, rows=8, missing="fail")) is None
    assert cost_function(environment(tmp_path, rows=8, missing="nearest")) is not None


@pytest.mark.parametrize("algo", ["nars", "predictor_evolution", "rmi_forest", "bananas", "ma2ml"])
@pytest.mark.parametrize("lacking", ["costs", "pipelines"])
def test_learners_search_tables_that_lack_costs(tmp_path: Path, algo: str, lacking: str) -> None:
    env = environment(tmp_path, costs=False) if lacking == "costs" else environment(tmp_path, rows=8, missing="fail")
    learner = make_learner(algo, agent_specs(env), seed=0)
    trials = run_search(env, learner, 10)
    assert len(trials) == 10
