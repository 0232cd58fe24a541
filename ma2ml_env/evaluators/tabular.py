"""The evaluator that looks results up in a table of finished trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.benchmark_tables.csv_columns import file_digest
from ma2ml_env.benchmark_tables.file import Cells, decisions_of, file_table
from ma2ml_env.benchmark_tables.table import Table
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID, Cost, JointAction, Pipeline, Result

Missing = Literal["error", "fail", "nearest"]


@dataclass(frozen=True)
class TabularEvaluator:
    """Returns one of a pipeline's trainings in a table, drawn by environment seed and pipeline.

    `seconds` are those that the training took when the table was made: a simulated clock.

    Args:
        load: returns the table; called at every use, so it must cache it. A partial of a function of a module, so that
            the evaluator can be pickled without the table.
        definition: names all that a result depends on besides pipeline and seed.
        missing: what a pipeline that is not in the table is: a ValueError (`"error"`), a failed result (`"fail"`), or
            the pipeline of the table that differs in the fewest decisions (`"nearest"`).

    Raises:
        ValueError: for another `missing`.
    """

    load: Callable[[], Table]
    definition: Any
    missing: Missing = "error"
    instant: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.missing not in ("error", "fail", "nearest"):
            raise MA2MLError(f"missing is 'error', 'fail' or 'nearest', not {self.missing!r}")

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        """One of the pipeline's trainings; raises a ValueError as `missing` specifies."""
        number = self._number(pipeline)
        return _absent() if number is None else self.load().training(number, pipeline, seed)

    def expected(self, pipeline: Pipeline) -> Result:
        """The mean of the pipeline's trainings; raises a ValueError as `missing` specifies."""
        number = self._number(pipeline)
        return _absent() if number is None else self.load().mean(number)

    @property
    def priced(self) -> bool:
        """True if the table has FLOPs and parameters, and those of every pipeline."""
        table = self.load()
        return table.priced and (table.complete or self.missing == "nearest")

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters of a pipeline.

        Raises:
            ValueError: if the table does not have them, or not this pipeline.
        """
        if not self.load().priced:
            raise MA2MLError("this table has no costs: it needs columns flops and params")
        result = self.expected(pipeline)
        if result.failed and not result.params:
            raise MA2MLError(f"the table cannot report the cost of pipeline {pipeline.action}, which it does not hold")
        return Cost(round(result.flops), round(result.params))

    @property
    def optimum(self) -> JointAction:
        """The joint action of the highest mean accuracy in the table; the first of several."""
        table = self.load()
        return table.action(int(table.means.argmax()))

    @property
    def optimum_accuracy(self) -> float:
        """The highest mean accuracy in the table."""
        return float(self.load().means.max())

    @property
    def scores(self) -> NDArray[np.float64]:
        """The mean accuracy of every pipeline, one axis per agent, in the agents' order; what `exact` reads.

        Axis i runs over the actions of agent i, the last decision varying fastest.

        Raises:
            ValueError: if the table does not hold all pipelines.
        """
        table = self.load()
        if not table.complete:
            raise MA2MLError(f"the table holds {len(table.pipelines)} pipelines, not all there are")
        return table.means.reshape([int(np.prod(sizes)) for sizes in table.nvec.values()])

    def _number(self, pipeline: Pipeline) -> int | None:
        table = self.load()
        number = table.find(pipeline.action)
        if number is None and self.missing == "nearest":
            return table.nearest(pipeline.action)
        if number is None and self.missing == "error":
            raise MA2MLError(
                f"the table has no pipeline {dict(pipeline.action)}; missing='fail' makes it a failed result, "
                "missing='nearest' returns the nearest"
            )
        return number


def tabular(
    search_spaces: Mapping[AgentID, SearchSpace], file: str, cells: Cells = "values", missing: Missing = "error"
) -> TabularEvaluator:
    """Evaluator of a user-supplied table, a CSV (`.csv`, `.csv.gz`, `.csv.xz`, `.csv.bz2`) or `.parquet` file.

    The file has a column `<agent>.<decision>` for every decision, and `accuracy`; optional are `flops`, `params`,
    `seconds` and `seed`. Other columns are ignored, unless there is a dot in their name. Rows of one pipeline are its
    repeats, in the order of `seed` if there is one; an empty accuracy is a training that failed. For example, with
    `mine.csv` beginning `nas.depth,nas.block,hpo.lr,accuracy`, `3,conv,0.1,0.91`:

        import ma2ml_env
        from ma2ml_env.evaluators.tabular import tabular
        from ma2ml_env.reward import accuracy
        from ma2ml_env.benchmark_tables.file import tabular_spaces

        spaces = tabular_spaces("mine.csv")
        env = ma2ml_env.AutoMLEnv(spaces, tabular(spaces, "mine.csv"), accuracy, name="mine/table-v0")

    or, in a file for `ma2ml_env.register_file`:

        mine/table-v0:
          summary: My own trainings.
          agents:
            nas: {kind: tabular, file: mine.csv, agent: nas}
            hpo: {kind: tabular, file: mine.csv, agent: hpo}
          evaluator: {kind: tabular, file: mine.csv}
          reward: {kind: accuracy}

    Args:
        search_spaces: search spaces of the environment that it is for; `tabular_spaces` makes them from the file.
        file: path of the table.
        cells: whether the decisions' columns hold the chosen `"values"` or their `"indices"`, from 0.
        missing: as in `TabularEvaluator`.

    Raises:
        ValueError: if the file or an extra that it needs is missing, for another `missing`; at first use, for a file
            that does not fit the search spaces.
    """
    digest = file_digest(file)
    load = partial(file_table, file, digest, decisions_of(search_spaces), cells)
    return TabularEvaluator(load, {"kind": "tabular", "content": digest, "missing": missing}, missing)


def _absent() -> Result:
    return Result(0.0, 0, 0, 0.0, error="this pipeline is not in the table")
