"""Importance of agents and decisions from random pipelines, by pick-freeze sampling."""

from __future__ import annotations

import numpy as np

from ma2ml_agents.importance.choices import Choices, Floats, Integers, Score, check_variance
from ma2ml_agents.importance.effects import Importance
from ma2ml_agents.importance.shapley import harsanyi_dividends, shapley_values
from ma2ml_env.errors import MA2MLError

REPLICATES = 400
MOST_AGENTS = 10


def estimate(choices: Choices, score: Score, samples: int = 512, seed: int = 0) -> Importance:
    """Importance over random pipelines, for the mean of the models; intervals measure the models' disagreement.

    With A and B two random pipelines, y_T takes the decisions of the agents in T from A and the others from B. All
    2^n mixes are scored, so that every coalition's total effect is a mean over 2^n pairs that differ in it alone:

        c(J) = E[(y_T - y_{T xor J})^2] / 2 = E[Var(score | x_{-J})]

    whose Shapley value is the agents'; their interactions are the dividends of c(all) - c(all without S). A replicate
    picks one of the models and resamples the pairs (A, B) with replacement; the interval is 1.96 standard deviations of
    its share to either side.

    Args:
        choices: all agents' decisions; at most `MOST_AGENTS` agents.
        score: scores of M models.
        samples: pairs (A, B) for the decisions; four times as many are drawn for the agents.
        seed: seed of pairs and replicates.

    Raises:
        ValueError: if all pipelines score the same, there are too many agents, or fewer than 2 samples.

    Source: Song, Nelson and Staum 2016, "Shapley effects for global sensitivity analysis: theory and computation", for
        c; Jansen 1999 for its estimator.
    """
    if samples < 2:
        raise MA2MLError(f"samples must be at least 2, not {samples}")
    if len(choices.agents) > MOST_AGENTS:
        raise MA2MLError(f"at most {MOST_AGENTS} agents are supported, not {len(choices.agents)}")
    rng = np.random.default_rng(seed)
    first, second = rng.integers(choices.nvec, size=(2, 4 * samples, len(choices.nvec)))
    pipelines = _mixes(choices, first, second)
    scores = score(pipelines.reshape(-1, len(choices.nvec)))
    check_variance(scores)
    scores = np.concatenate([scores.mean(axis=0, keepdims=True), scores])
    effects = _coalition_effects(scores.reshape(len(scores), *pipelines.shape[:2]))
    mean, replicates = effects[0].mean(axis=1), _replicates(effects, rng)
    shares, alone = _shares(mean)
    deviations = np.std([_shares(replicate)[0] for replicate in replicates], axis=0)
    interactions = list(zip(_interactions(mean), _interactions(replicates).std(axis=0), strict=True))
    own = _first_orders(choices, pipelines.reshape(-1, len(choices.nvec)), scores[0])
    total = _total_effects(choices, score, first[:samples], second[:samples]) / scores[0].var()
    agents = zip(shares, deviations, alone, strict=True)
    return Importance.of(choices, agents, interactions, zip(own, total, strict=True))


def _mixes(choices: Choices, first: Integers, second: Integers) -> Integers:
    """All mixes of pairs of pipelines, shape (2^n, pairs, decisions)."""
    masks = range(2 ** len(choices.agents))
    return np.stack([np.where((mask >> choices.owner) & 1, first, second) for mask in masks])


def _coalition_effects(mixes: Floats) -> Floats:
    """Estimate of every coalition's total effect from each pair, shape (1 + models, 2^n, pairs)."""
    masks = np.arange(mixes.shape[1])
    return np.stack([((mixes - mixes[:, masks ^ j]) ** 2).mean(axis=1) / 2 for j in masks], axis=1)


def _shares(effects: Floats) -> tuple[Floats, Floats]:
    """Shapley share and first-order share of every agent, from the total effects of all coalitions."""
    everyone = len(effects) - 1
    others = [everyone ^ 1 << player for player in range(everyone.bit_length())]
    return shapley_values(effects) / effects[everyone], 1.0 - effects[others] / effects[everyone]


def _interactions(effects: Floats) -> Floats:
    """Share of the interaction of each coalition, shape (..., 2^n), from the total effects of all coalitions."""
    return harsanyi_dividends(effects[..., -1:] - effects[..., ::-1]) / effects[..., -1:]


def _replicates(effects: Floats, rng: np.random.Generator) -> Floats:
    """Coalition effects of one model each, on pairs drawn with replacement, shape (replicates, 2^n)."""
    pairs = effects.shape[2]
    weights = rng.multinomial(pairs, np.full(pairs, 1.0 / pairs), size=REPLICATES) / pairs
    models = effects[1 + np.arange(REPLICATES) % (len(effects) - 1)]
    return np.asarray(np.einsum("rcp,rp->rc", models, weights))


def _first_orders(choices: Choices, pipelines: Integers, scores: Floats) -> list[float]:
    """Correlation ratio of every decision: variance of the mean score by choice, less its bias by chance."""
    shares = []
    for chosen, count in zip(pipelines.T, choices.nvec, strict=True):
        sizes = np.bincount(chosen, minlength=count)
        means = np.bincount(chosen, scores, minlength=count) / np.maximum(sizes, 1)
        explained = sizes @ (means - scores.mean()) ** 2 / len(scores) / scores.var()
        shares.append(float(explained - (count - 1) / len(scores)))
    return shares


def _total_effects(choices: Choices, score: Score, first: Integers, second: Integers) -> Floats:
    """Total effect of every decision, estimated by replacing it alone; in the unit of the score squared."""
    here = np.arange(len(choices.nvec))
    before = score(first).mean(axis=0)
    after = [score(np.where(here == decision, second, first)).mean(axis=0) for decision in here]
    return np.array([((before - changed) ** 2).mean() / 2 for changed in after])
