"""Search spaces of published tables of trainings: decisions with their real values."""

from __future__ import annotations

from typing import Any

from ma2ml_env.decision import rises_or_falls
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace

CELL_EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
CELL_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
JAHS_OPERATIONS = ("Identity", "Zero", "ConvBN3x3", "ConvBN1x1", "AvgPool1x1")
NAS_HPO_BENCH2_OPERATIONS = ("conv_3x3", "avg_pool_3x3", "skip", "zero")
WIDTHS, ACTIVATIONS, DROPOUTS = (16, 32, 64, 128, 256, 512), ("relu", "tanh"), (0.0, 0.3, 0.6)

TABLES: dict[str, dict[str, dict[str, tuple[Any, ...]]]] = {
    "fcnet": {
        "arch": {
            "n_units_1": WIDTHS,
            "activation_fn_1": ACTIVATIONS,
            "n_units_2": WIDTHS,
            "activation_fn_2": ACTIVATIONS,
        },
        "reg": {"dropout_1": DROPOUTS, "dropout_2": DROPOUTS},
        "hpo": {
            "init_lr": (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1),
            "batch_size": (8, 16, 32, 64),
            "lr_schedule": ("cosine", "const"),
        },
    },
    "nasbench201": {
        "nas": dict.fromkeys(CELL_EDGES, CELL_OPERATIONS),
        "hpo": {"epochs": (12, 200)},
    },
    "jahs201": {
        "aug": {"TrivialAugment": (False, True)},
        "nas": {
            **{f"Op{number}": JAHS_OPERATIONS for number in range(1, 7)},
            "N": (1, 3, 5),
            "W": (4, 8, 16),
            "Resolution": (0.25, 0.5, 1.0),
            "Activation": ("ReLU", "Hardswish", "Mish"),
        },
        "hpo": {
            "LearningRate": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
            "WeightDecay": (1e-05, 3e-05, 0.0001, 0.0003, 0.001, 0.003, 0.01),
        },
    },
    "nas_hpo_bench2": {
        "nas": dict.fromkeys(CELL_EDGES, NAS_HPO_BENCH2_OPERATIONS),
        "hpo": {
            "lr": (0.003125, 0.00625, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4),
            "batch_size": (16, 32, 64, 128, 256, 512),
        },
    },
}


def published_table(table: str, agent: str) -> SearchSpace:
    """Search space of one agent of a published table; it builds the dict of the chosen values.

    A decision of a cell is named by its edge, `"0-1"` is the operation from node 0 to node 1. JAHS-Bench-201 sampled
    learning rates and weight decays; here they are the half decades of its ranges.

    Args:
        table: `"fcnet"` (agents `arch`, `reg`, `hpo`), `"nasbench201"` (`nas`, `hpo`), `"jahs201"` (`aug`, `nas`,
            `hpo`) or `"nas_hpo_bench2"` (`nas`, `hpo`).
        agent: one of that table's agents.

    Raises:
        ValueError: if there is no such table or agent.

    Source: the papers' search spaces, but not their division among agents: FCNet (Klein and Hutter 2019, table 1),
        NAS-Bench-201 (Dong and Yang 2020, figure 1), JAHS-Bench-201 (Bansal et al. 2022, table 2), NAS-HPO-Bench-II
        (Hirose et al. 2021, table 1).
    """
    spaces = published_spaces(table)
    if agent not in spaces:
        raise MA2MLError(f"the table {table!r} has no agent {agent!r}; its agents are {list(spaces)}")
    return spaces[agent]


def published_spaces(table: str) -> dict[str, SearchSpace]:
    """The search spaces of all agents of a published table, by agent.

    Args:
        table: as in `published_table`.

    Raises:
        ValueError: if there is no such table.
    """
    if table not in TABLES:
        raise MA2MLError(f"there is no published table {table!r}; choose from {list(TABLES)}")
    return {
        agent: SearchSpace([Decision(name, c, ordered=rises_or_falls(c)) for name, c in decisions.items()], dict)
        for agent, decisions in TABLES[table].items()
    }
