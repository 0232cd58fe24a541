"""Reward model of untried pipelines: an ensemble of boosted trees, each fitted to a bootstrap sample of the trials."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ma2ml_agents.importance.choices import Choices, Floats, Integers, Score
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.errors import MA2MLError, missing_extra
from ma2ml_env.evaluator import Priced
from ma2ml_env.surrogate.costs import costs
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.fit import LEAST, TREE_SETTINGS, TREES
from ma2ml_env.types import JointAction

MODELS = 12
SMALLER = {"min_data_in_leaf": 5, "num_leaves": 8, "learning_rate": 0.04, "extra_trees": False}
"""Differences from the settings of the surrogate's model of seconds: these trees are fitted to fewer pipelines, some
repeated, and often to few columns, where the best threshold works better than a random one."""


@dataclass(frozen=True)
class Trees:
    """Models of the reward.

    Attributes:
        score: scores of each of the `MODELS` models.
        pipelines: number of distinct pipelines in the training data.
        r2: coefficient of determination on held-out pipelines; 1 is perfect, 0 no better than the mean, below 0
            worse.
    """

    score: Score
    pipelines: int
    r2: float


def fit_trees(env: AutoMLEnv, trials: Sequence[Trial], seed: int = 0) -> Trees:
    """Fits models of the reward to the trials of a search.

    A pipeline counts once, with the mean of its rewards; one that failed has its reward 0. Trials that were stopped
    early or never evaluated are left out.

    Args:
        env: environment of the trials.
        trials: trials of at least `LEAST` distinct pipelines.
        seed: seed of the bootstrap samples.

    Raises:
        ValueError: if there are too few pipelines, or all have the same reward.
        MissingExtraError: if LightGBM is not installed.

    Source: LightGBM on the surrogate's columns; out-of-bag predictions, Breiman 1996.
    """
    rewards: dict[str, list[float]] = defaultdict(list)
    actions: dict[str, JointAction] = {}
    for trial in trials:
        if trial.state in ("complete", "failed"):
            rewards[trial.pipeline.key].append(trial.reward)
            actions[trial.pipeline.key] = trial.pipeline.action
    if len(rewards) < LEAST:
        raise MA2MLError(f"importance requires the results of at least {LEAST} distinct pipelines, not {len(rewards)}")
    target = np.array([np.mean(found) for found in rewards.values()])
    if np.ptp(target) == 0:
        raise MA2MLError(f"all {len(target)} pipelines have the reward {target[0]:.4g}; they must differ")
    read = _reader(env)
    table = read({agent: np.array([action[agent] for action in actions.values()]) for agent in env.possible_agents})
    samples = np.random.default_rng(seed).integers(len(target), size=(MODELS, len(target)))
    models = [_model(table[rows], target[rows], number) for number, rows in enumerate(samples)]
    choices = Choices.of(env.search_spaces)

    def score(pipelines: Integers) -> Floats:
        columns = read(choices.split(pipelines))
        return np.stack([model(columns) for model in models])

    return Trees(score, len(target), _held_out_r2(target, np.stack([model(table) for model in models]), samples))


def _reader(env: AutoMLEnv) -> Callable[[Mapping[str, Integers]], Floats]:
    """Returns the function from actions to the models' inputs, with costs where they are known."""
    features = Features(env.search_spaces)
    known = isinstance(env.evaluator, Priced)

    def read(actions: Mapping[str, Integers]) -> Floats:
        actions = {agent: space.canonical(actions[agent]) for agent, space in env.search_spaces.items()}
        rows = len(next(iter(actions.values())))
        counted = costs(env, actions) if known else np.zeros((2, rows), dtype=np.int64)
        return np.stack(list(features(actions, counted).values()), axis=1)

    return read


def _model(table: Floats, target: Floats, seed: int) -> Callable[[Floats], Floats]:
    try:
        import lightgbm
    except ModuleNotFoundError as error:
        raise missing_extra("importance from trials requires LightGBM", "surrogate") from error
    booster = lightgbm.train({**TREE_SETTINGS, **SMALLER, "seed": seed}, lightgbm.Dataset(table, target), TREES)

    def predict(rows: Floats) -> Floats:
        return np.asarray(booster.predict(rows))

    return predict


def _held_out_r2(target: Floats, predicted: Floats, samples: Integers) -> float:
    """R2 of the mean out-of-bag prediction."""
    from sklearn.metrics import r2_score

    unseen = np.array([~np.isin(np.arange(len(target)), rows) for rows in samples])
    told = unseen.any(axis=0)
    means = (predicted * unseen).sum(axis=0)[told] / unseen.sum(axis=0)[told]
    return float(r2_score(target[told], means))
