"""Report of importance: a table, JSON and a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ma2ml_agents.importance.effects import DecisionEffect, Importance, InteractionEffect
from ma2ml_env.files import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = 15
POOR_R2 = 0.5
ROW, MARGIN, WIDTH = 0.26, 1.3, 10.0


@dataclass(frozen=True)
class Page:
    """Importance and its source.

    Attributes:
        env: the environment's id.
        source: description of what was scored.
        importance: the numbers.
        r2: R2 of the model on held-out pipelines; None where no model was fitted.
    """

    env: str
    source: str
    importance: Importance
    r2: float | None = None

    @property
    def warning(self) -> str | None:
        """Warning against drawing conclusions from a poor model; None if there is no reason."""
        if self.r2 is None or self.r2 >= POOR_R2:
            return None
        return (
            f"warning: the model explains too little of the variance of held-out trials (R2 {self.r2:.2f}, "
            f"below {POOR_R2}) to draw conclusions from these numbers; add trials, preferably of random search"
        )

    def table(self) -> RenderableType:
        """Returns the tables for the console."""
        agents = _right_aligned("agent", "share", "95 % interval", "alone", "with others")
        for name, effect in self.importance.agents.items():
            interval = "exact" if effect.low == effect.high else f"{effect.low:.1%} to {effect.high:.1%}"
            agents.add_row(name, f"{effect.share:.1%}", interval, f"{effect.alone:.1%}", f"{effect.together:.1%}")
        interactions = _right_aligned("interaction", "share", "95 % interval")
        for together in self.importance.interactions:
            exact = together.low == together.high
            interval = "exact" if exact else f"{together.low:.1%} to {together.high:.1%}"
            interactions.add_row(" x ".join(together.agents), f"{together.share:.1%}", interval)
        decisions = _right_aligned("agent", "decision", "total effect", "alone")
        decisions.columns[1].justify = "left"
        for decision in self.importance.decisions[:TOP]:
            decisions.add_row(decision.agent, decision.name, f"{decision.total:.1%}", f"{decision.first:.1%}")
        parts = [f"{self.env}: shares of the variance of the reward over random pipelines", self.source]
        left_out = len(self.importance.decisions) - TOP
        more = [f"and {left_out} decisions of smaller effect, in importance.json"] if left_out > 0 else []
        warning = [f"[bold]{self.warning}[/bold]"] if self.warning else []
        return Group(*parts, "", agents, "", interactions, "", decisions, *more, *warning)

    def save(self, folder: Path, colors: Sequence[str]) -> list[Path]:
        """Writes `importance.json` and `importance.png`.

        Args:
            folder: created if there is none.
            colors: colors of the agents, in order; cycled if there are more agents.

        Returns:
            The two files.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / "importance.json", folder / "importance.png"]
        about = {"env": self.env, "source": self.source, "r2": self.r2, "warning": self.warning}
        write_text(files[0], json.dumps({**about, **asdict(self.importance)}, indent=1) + "\n")
        looks = {agent: colors[i % len(colors)] for i, agent in enumerate(self.importance.agents)}
        self._draw(files[1], looks)
        return files

    def _draw(self, file: Path, colors: Mapping[str, str]) -> None:
        from matplotlib.figure import Figure

        decisions = self.importance.decisions[:TOP]
        interactions = self.importance.interactions[:TOP]
        height = 2 * MARGIN + ROW * max(len(decisions), 2 * len(self.importance.agents) + len(interactions), 8)
        figure = Figure(figsize=(WIDTH, height), dpi=150, layout="constrained")
        parts = figure.subfigures(1, 2, width_ratios=(2, 3), squeeze=False)
        left, right = parts[0, 0], parts[0, 1]
        if interactions:
            sizes = (2 * len(self.importance.agents), 1 + len(interactions))
            upper, lower = left.subplots(2, 1, sharex=True, height_ratios=sizes)
            _draw_interactions(lower, interactions)
        else:
            upper = left.subplots()
        _draw_agents(upper, self.importance, colors)
        if interactions:
            upper.set_xlabel("")
        _draw_decisions(right.subplots(), decisions, colors)
        held_out = "" if self.r2 is None else f", held-out R2 {self.r2:.2f}"
        poor = " (too poor to conclude from)" if self.warning else ""
        figure.suptitle(f"Importance in {self.env}{held_out}{poor}", fontsize=11)
        figure.savefig(file)


def _right_aligned(*columns: str) -> Table:
    table = Table(*columns, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _draw_agents(axes: Axes, importance: Importance, colors: Mapping[str, str]) -> None:
    """Draws every agent's share with its interval: solid the part explained alone, hatched the part with others."""
    for row, (name, effect) in enumerate(importance.agents.items()):
        axes.barh(row, effect.alone, color=colors[name], height=0.6)
        axes.barh(
            row, effect.together, left=effect.alone, height=0.6, color="white", edgecolor=colors[name], hatch="////"
        )
        reach = [[max(effect.share - effect.low, 0.0)], [max(effect.high - effect.share, 0.0)]]
        axes.errorbar(effect.share, row, xerr=reach, color="black", capsize=3, linewidth=1.2)
        axes.annotate(
            f"{effect.share:.1%}",
            (effect.high, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(importance.agents)), list(importance.agents))
    axes.set_title("agents: Shapley share (hatched: with others)", fontsize=9, loc="left")
    _finish(axes, 1.25 * max(effect.high for effect in importance.agents.values()), "share of the variance")


def _draw_interactions(axes: Axes, interactions: Sequence[InteractionEffect]) -> None:
    """Draws the share of each interaction with its interval."""
    for row, effect in enumerate(interactions):
        axes.barh(row, max(effect.share, 0.0), height=0.6, color="white", edgecolor="dimgray", hatch="////")
        if effect.low < effect.high:
            axes.plot([max(effect.low, 0.0), max(effect.high, 0.0)], [row, row], color="black", linewidth=1.2)
        end = max(effect.high, effect.share, 0.0)
        label = f"{effect.share:.1%}"
        axes.annotate(label, (end, row), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(interactions)), [" x ".join(effect.agents) for effect in interactions])
    axes.set_title("interactions between agents", fontsize=9, loc="left")
    _finish(axes, axes.get_xlim()[1], "share of the variance")


def _draw_decisions(axes: Axes, decisions: Sequence[DecisionEffect], colors: Mapping[str, str]) -> None:
    """Draws total effects, colored and labeled by agent."""
    for row, effect in enumerate(decisions):
        axes.barh(row, effect.total, color=colors[effect.agent], height=0.7)
    axes.set_yticks(range(len(decisions)), [f"{effect.agent}  {effect.name}" for effect in decisions], fontsize=8)
    axes.set_title("decisions: total effect, the largest first", fontsize=9, loc="left")
    _finish(axes, 1.05 * max(effect.total for effect in decisions), "share of the variance, interactions included")


def _finish(axes: Axes, end: float, label: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.invert_yaxis()
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(label, fontsize=8)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
