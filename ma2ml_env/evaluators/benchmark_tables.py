"""Published tables that the user supplies as files: NAS-Bench-201, JAHS-Bench-201, NAS-HPO-Bench-II."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from ma2ml_env.benchmark_tables import jahs201 as jahs201_table
from ma2ml_env.benchmark_tables import nas_hpo_bench2 as nas_hpo_bench2_table
from ma2ml_env.benchmark_tables import nasbench201 as nasbench201_table
from ma2ml_env.benchmark_tables.choice_table import check_spaces, refuse_pickle
from ma2ml_env.benchmark_tables.csv_columns import file_digest
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluators.tabular import Missing, TabularEvaluator
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.search_spaces.benchmark_table import published_spaces
from ma2ml_env.types import AgentID

Spaces = Mapping[AgentID, SearchSpace]


def nasbench201(
    search_spaces: Spaces,
    file: str,
    dataset: str = "cifar10-valid",
    split: str = "x-valid",
    missing: Missing = "error",
) -> TabularEvaluator:
    """An evaluator of NAS-Bench-201; what is read is in `ma2ml_env.benchmark_tables.nasbench201.read`.

    Args:
        search_spaces: `published_table("nasbench201", ...)` of the agents `nas`, `hpo`.
        file: a `NAS-Bench-201-v1_*.pth`, or a CSV or parquet file.
        dataset: data set of the trainings; for a `.pth` only.
        split: split that they were evaluated on; for a `.pth` only.
        missing: as in `TabularEvaluator`.

    Raises:
        ValueError: if the file is missing or pickled (with the recipe that writes one that is read), or the search
            spaces are others; at first use, for a file of another format.
    """
    settings = {"dataset": dataset, "split": split}
    return _evaluator("nasbench201", search_spaces, file, nasbench201_table, missing, settings)


def jahs201(search_spaces: Spaces, file: str, epoch: int = 200, missing: Missing = "nearest") -> TabularEvaluator:
    """An evaluator of JAHS-Bench-201's metric data; what is read is in `ma2ml_env.benchmark_tables.jahs201.read`.

    Args:
        search_spaces: `published_table("jahs201", ...)` of the agents `aug`, `nas`, `hpo`.
        file: a CSV or parquet file.
        epoch: number of epochs after which results are read, 1 to 200.
        missing: as in `TabularEvaluator`.

    Raises:
        ValueError: if the file is missing or pickled (with the recipe that writes one that is read), or the search
            spaces are others; at first use, for a file of another format.
    """
    return _evaluator("jahs201", search_spaces, file, jahs201_table, missing, {"epoch": epoch})


def nas_hpo_bench2(search_spaces: Spaces, file: str, missing: Missing = "error") -> TabularEvaluator:
    """An evaluator of NAS-HPO-Bench-II; what is read is in `ma2ml_env.benchmark_tables.nas_hpo_bench2.read`.

    Args:
        search_spaces: `published_table("nas_hpo_bench2", ...)` of the agents `nas`, `hpo`.
        file: a CSV or parquet file.
        missing: as in `TabularEvaluator`.

    Raises:
        ValueError: if the file is missing or pickled (with the recipe that writes one that is read), or the search
            spaces are others; at first use, for a file of another format.
    """
    return _evaluator("nas_hpo_bench2", search_spaces, file, nas_hpo_bench2_table, missing, {})


EVALUATORS: dict[str, Callable[..., TabularEvaluator]] = {
    "nasbench201": nasbench201,
    "jahs201": jahs201,
    "nas_hpo_bench2": nas_hpo_bench2,
}


def published_parts(table: str, file: str, **options: Any) -> tuple[dict[AgentID, SearchSpace], TabularEvaluator]:
    """Search spaces and evaluator of a published table, for `AutoMLEnv`.

        spaces, evaluator = published_parts("nasbench201", "NAS-Bench-201-v1_1-096897.pth")
        env = AutoMLEnv(spaces, evaluator, ma2ml_env.reward.accuracy)

    Args:
        table: `"nasbench201"`, `"jahs201"` or `"nas_hpo_bench2"`.
        file: path of the table.
        **options: options of the evaluator of that name.

    Raises:
        ValueError: if there is no such table, or as the evaluator of that name does.
    """
    if table not in EVALUATORS:
        raise MA2MLError(f"there is no table {table!r} to be read from a file; choose from {list(EVALUATORS)}")
    spaces = published_spaces(table)
    return spaces, EVALUATORS[table](spaces, file, **options)


def _evaluator(
    table: str, search_spaces: Spaces, file: str, format_: ModuleType, missing: Missing, settings: Mapping[str, Any]
) -> TabularEvaluator:
    """The evaluator of a file in a format: a module with `read` and the `RECIPE` for what it does not read."""
    check_spaces(table, search_spaces)
    refuse_pickle(file, format_.RECIPE)
    digest = file_digest(file)
    definition = {"kind": table, "content": digest, "missing": missing, **settings}
    return TabularEvaluator(partial(format_.read, file, digest, **settings), definition, missing)
