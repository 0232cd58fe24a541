"""Compare what each learner has found at the quarters of a budget of 300, and where half of it is enough for MA2ML.

    python experiments/half_budget.py --runs runs/half runs/half-sklearn --out experiments/results/half

Reads benchmarks of `half.yaml` and `half_sklearn.yaml`, and for the baselines on FCNet and digits-surrogate the stored
results of `grid.yaml`, which are of the same environments, seeds and kind of runs. Half the budget is enough on a
problem where MA2ML's mean over seeds at 150 is at least the highest mean of the baselines at 300. Writes `half.md` and
`half.csv`, a row per problem, learner and quarter.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from ma2ml_agents.benchmark import summarize

GRID = Path(__file__).parent / "results" / "grid" / "anytime.parquet"
QUARTERS = (75, 150, 225, 300)
MEASURES = {"top_mean": "top 20", "apparent_best": "best found"}
OWN = ("ma2ml", "ma2ml without policies", "ma2ml, single agent")
NOT_COMPARED = ("gp",)
"""Shown, but no baseline: the same Gaussian process under another pool."""


def anytime(folders: list[Path]) -> pd.DataFrame:
    """All runs' values at the quarters: env, algo, seed, evaluations, top_mean, apparent_best."""
    found = pd.concat([summarize(folder).anytime for folder in folders])
    grid = pd.read_parquet(GRID).rename(columns={"best": "apparent_best"})
    own = set(zip(found.env, found.algo, strict=True))
    stored = [pair not in own and pair[1] != "ma2ml" for pair in zip(grid.env, grid.algo, strict=True)]
    kept = grid[stored & grid.env.isin(found.env)]
    old = grid[(grid.algo == "ma2ml") & grid.env.isin(found.env)].assign(algo="ma2ml, ensemble")
    table = pd.concat([found, kept, old])
    return table[table.evaluations.isin(QUARTERS)]


def means(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean over seeds, a row per (env, algo), a column per quarter, and the number of seeds."""
    grouped = table.groupby(["env", "algo"])
    wide = table.pivot_table(index=["env", "algo"], columns="evaluations", values=measure)
    return wide.assign(seeds=grouped.seed.nunique())


def page(table: pd.DataFrame) -> str:
    """The tables as Markdown."""
    lines = ["# Half the budget", "", "Means over seeds; a learner's best value of a column is bold.", ""]
    for measure, name in MEASURES.items():
        wide, enough = means(table, measure), []
        lines += [f"## {name}", ""]
        for env, rows in wide.groupby(level="env"):
            rows = rows.droplevel("env").sort_values(QUARTERS[-1], ascending=False)
            rivals = rows[~rows.index.isin([*OWN, *NOT_COMPARED, "ma2ml, ensemble"])]
            best = rivals[QUARTERS[-1]].max()
            enough.append(rows.loc["ma2ml", QUARTERS[1]] >= best)
            lines += [f"### {env}", "", f"The best baseline, {rivals[QUARTERS[-1]].idxmax()}, ends at {best:.4f}; "]
            lines[-1] += f"MA2ML has {rows.loc['ma2ml', QUARTERS[1]]:.4f} at half."
            lines += ["", "| learner | 75 | 150 | 225 | 300 | seeds |", "|---|---|---|---|---|---|"]
            for algo, row in rows.iterrows():
                cells = " | ".join(
                    f"**{row[q]:.4f}**" if row[q] == rows[q].max() else f"{row[q]:.4f}" for q in QUARTERS
                )
                lines.append(f"| {algo} | {cells} | {row.seeds:.0f} |")
            lines.append("")
        lines += [f"Half the budget is enough on {sum(enough)} of {len(enough)} problems ({name}).", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="+", default=[Path("runs/half"), Path("runs/half-sklearn")])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "half")
    given = parser.parse_args()
    table = anytime(given.runs)
    given.out.mkdir(parents=True, exist_ok=True)
    text = page(table)
    (given.out / "half.md").write_text(text, encoding="utf-8")
    rounded = pd.concat([means(table, measure).round(4).assign(measure=measure) for measure in MEASURES])
    rounded.to_csv(given.out / "half.csv")
    print(text)


if __name__ == "__main__":
    main()
