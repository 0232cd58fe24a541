"""Importance of agents and decisions in the trials of a run."""

from __future__ import annotations

from collections.abc import Sequence

from ma2ml_agents.importance.choices import Choices
from ma2ml_agents.importance.page import Page
from ma2ml_agents.importance.sampling import estimate
from ma2ml_agents.importance.trees import fit_trees
from ma2ml_env import AutoMLEnv, Trial


def importance_of_trials(env: AutoMLEnv, trials: Sequence[Trial], samples: int = 512, seed: int = 0) -> Page:
    """Returns the importance by models fitted to the trials of a run.

    Args:
        env: environment of the trials.
        trials: as for `fit_trees`.
        samples: pairs of random pipelines.
        seed: seed of all randomness.

    Raises:
        ValueError: if there are too few pipelines, or all have the same reward.
    """
    trees = fit_trees(env, trials, seed)
    source = (
        f"by trees fitted to {trees.pipelines} pipelines; on held-out pipelines their R2 is {trees.r2:.2f}.\n"
        "Trees miss interactions first of all, so these are rather larger than they look here."
    )
    return Page(env.name, source, estimate(Choices.of(env.search_spaces), trees.score, samples, seed), trees.r2)
