"""Writes `docs/learners/` from the learners' code and stored results: `python docs/generate_learners.py`."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ma2ml_agents.benchmark.figures import anytime_curves, draw_small
from ma2ml_agents.benchmark.statistics import iqm
from ma2ml_agents.learners import LEARNERS, learner_class, learner_names, learner_summary
from ma2ml_agents.learners.presets import PRESETS, preset_kinds, preset_origin, preset_settings

DOCS = Path(__file__).parent
PAGES, IMAGES = DOCS / "learners", DOCS / "images" / "learners"
RESULTS = DOCS.parent / "experiments" / "results" / "grid"
SHOWN = ("ma2ml/cifar10-16px-surrogate-v0", "ma2ml/fcnet-slice-v0")
"""Environments of the figures: 60 decisions, and 9."""
BASELINE = "random_search"
FIVE, OVERVIEW = ("ma2ml", "vdn", BASELINE, "tpe", "regularized_evolution"), DOCS / "images" / "five-learners.png"
"""Learners of the README's figure, and its file."""
WRITTEN = "Written by `python docs/generate_learners.py` from the learner's code and stored results; do not edit.\n"


@dataclasses.dataclass(frozen=True)
class Setting:
    """A field of a learner's `Config`.

    Attributes:
        name: its name.
        default: its default.
        meaning: its documentation, without the source.
        origin: source of the default; `ours` where there is none.
    """

    name: str
    default: str
    meaning: str
    origin: str


@dataclasses.dataclass(frozen=True)
class Stored:
    """The stored comparison of all learners.

    Attributes:
        runs: a row per run.
        anytime: a row per run and checkpoint.
    """

    runs: pd.DataFrame
    anytime: pd.DataFrame

    @property
    def best(self) -> str:
        """Name of the algorithm with the highest normalized score, as in the stored page's first table."""
        tables = {algo: rows.pivot(index="seed", columns="env", values="score") for algo, rows in self._by_algo()}
        return max(tables, key=lambda algo: float(iqm(tables[algo].dropna().to_numpy())[0]))

    def shown_with(self, name: str) -> list[str]:
        """Returns a learner and what it is compared with, deduplicated."""
        return list(dict.fromkeys([name, self.best, BASELINE]))

    def _by_algo(self) -> Iterator[tuple[str, pd.DataFrame]]:
        for algo, rows in self.runs.groupby("algo"):
            if rows.env.nunique() == self.runs.env.nunique():
                yield str(algo), rows

    def final(self, env: str, algo: str) -> float:
        """Returns the interquartile mean over runs of the true value of the top 20."""
        rows = self.runs[(self.runs.env == env) & (self.runs.algo == algo)]
        return float(iqm(rows.top_mean.to_numpy()[:, None])[0])


def stored() -> Stored:
    """Returns the stored results."""
    return Stored(*(pd.read_parquet(RESULTS / f"{name}.parquet") for name in ("summary", "anytime")))


def names() -> list[str]:
    """Returns the learners with a page: of several names of one class, the last."""
    return sorted({path: name for name, path in LEARNERS.items()}.values())


def page(name: str, results: Stored) -> str:
    """Returns the page of a learner."""
    also = [other for other in learner_names() if LEARNERS[other] == LEARNERS[name] and other != name]
    parts = [
        f"# {name}\n",
        WRITTEN,
        f"{learner_summary(name)}.{f' Also named `{also[0]}`.' if also else ''}\n",
        _description(name) + "\n",
        "## Settings\n",
        _settings_table(name),
        _presets(name),
        _measured(name, results),
    ]
    return "\n".join(part for part in parts if part)


def settings(kind: type) -> list[Setting]:
    """Returns the fields of a `Config` with the documentation of its attributes, also that of its bases."""
    documents: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                documents[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    found = []
    for field in dataclasses.fields(kind):
        meaning, _, source = documents.get(field.name, "").partition(" Source: ")
        found.append(Setting(field.name, _value(field.default), meaning, source.rstrip(".") or "ours"))
    return found


def write() -> None:
    """Writes all pages and figures."""
    results = stored()
    PAGES.mkdir(exist_ok=True)
    IMAGES.mkdir(parents=True, exist_ok=True)
    shown = {env: results.anytime[results.anytime.env == env] for env in SHOWN}
    panels = {env: anytime_curves(rows, list(rows.algo.unique())) for env, rows in shown.items()}
    for name in names():
        (PAGES / f"{name}.md").write_text(page(name, results), encoding="utf-8")
        if name in set(results.runs.algo):
            draw_small(panels, results.shown_with(name), IMAGES / f"{name}.png")
    draw_small(panels, FIVE, OVERVIEW)


def _description(name: str) -> str:
    """Returns the docstring of the learner's class without its arguments; its equations are code blocks."""
    lines = inspect.cleandoc(learner_class(name).__doc__ or "").splitlines()
    kept, skipping = [], False
    for line in lines:
        skipping = line in ("Args:", "Attributes:", "Raises:") or (skipping and (not line or line.startswith(" ")))
        if not skipping:
            kept.append(line.strip() if kept and kept[-1].startswith("Source:") else line)
    return "\n".join(kept).strip().replace("\n\n\n", "\n\n")


def _settings_table(name: str) -> str:
    rows = [(f"`{s.name}`", f"`{s.default}`", s.meaning, s.origin) for s in settings(learner_class(name).Config)]
    return _table(("setting", "default", "meaning", "origin"), rows) if rows else "None.\n"


def _presets(name: str) -> str:
    """Returns the systems that are settings of a learner."""
    rows = [
        (f"`{preset}`", entry.system, kind, _assignments(preset_settings(preset, kind)), preset_origin(preset, kind))
        for preset, entry in PRESETS.items()
        if LEARNERS[entry.learner] == LEARNERS[name]
        for kind in preset_kinds(preset)
    ]
    left_out = [
        f"- `{preset}` leaves out: {entry.left_out}.\n"
        for preset, entry in PRESETS.items()
        if LEARNERS[entry.learner] == LEARNERS[name] and entry.left_out
    ]
    if not rows:
        return ""
    head = ("preset", "system", "kind", "settings beside the defaults", "origin")
    return f"## Presets\n\n{_table(head, rows)}" + ("\n" + "".join(left_out) if left_out else "")


def _measured(name: str, results: Stored) -> str:
    """Returns the learner's curve and final values beside those of random search and the best learner."""
    if name not in set(results.runs.algo):
        return ""
    others = results.shown_with(name)
    rows = [
        (f"`{env}`", *(f"{results.final(env, algo):.4f}" for algo in others))
        for env in results.runs.env.drop_duplicates()
    ]
    budget, seeds = results.anytime.evaluations.max(), results.runs[results.runs.algo == name].seed.nunique()
    link = f"../../{RESULTS.relative_to(DOCS.parent)}/results.md"
    return (
        f"## Measured\n\n![top 20 of {name}](../images/learners/{name}.png)\n\n"
        f"Mean true value of the 20 best pipelines after {budget} evaluations, interquartile mean of {seeds} runs, "
        f"with the defaults; [the page]({link}) compares all learners.\n\n" + _table(("environment", *others), rows)
    )


def _assignments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}={_value(value)}`" for name, value in given.items())


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


if __name__ == "__main__":
    write()
