"""Base class of learners that are a function of their data: all results so far, a seed and a random state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.feasibility import Bounded, Feasibility
from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.new_proposals import COSTED, Joint, NewProposals
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations


class History:
    """Joint actions and their rewards, in order of evaluation.

    Args:
        decisions: D, the length of a joint action.

    Attributes:
        actions: shape (n, D).
        rewards: shape (n,).
        failed: mask of failed pipelines, shape (n,).
        infeasible: mask of pipelines that were not evaluated because they exceed a bound on cost, shape (n,).
    """

    def __init__(self, decisions: int) -> None:
        self.actions: Joint = np.empty((0, decisions), dtype=np.int64)
        self.rewards: NDArray[np.float64] = np.empty(0)
        self.failed: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self.infeasible: NDArray[np.bool_] = np.empty(0, dtype=bool)

    def __len__(self) -> int:
        return len(self.rewards)

    def add(self, joint: Joint, batch: Batch) -> None:
        """Appends the results of joint actions, shape (B, D)."""
        self.actions = np.concatenate([self.actions, joint])
        self.rewards = np.concatenate([self.rewards, np.asarray(batch.rewards, dtype=np.float64)])
        self.failed = np.append(self.failed, [result.error is not None for result in batch.results])
        self.infeasible = np.append(self.infeasible, [result.infeasible for result in batch.results])

    def training_data(self, first: int | None = None) -> tuple[Joint, NDArray[np.float64]]:
        """Joint actions and rewards to fit a model to.

        Infeasible pipelines are left out, as their reward of 0 carries no information on accuracy; failed ones get the
        lowest other reward, as a reward of 0 would dwarf all other differences.

        Args:
            first: number of results to use, in order; None for all.

        Returns:
            Shapes (m, D) and (m,).
        """
        keep = ~self.infeasible[:first]
        rewards, failed = self.rewards[:first][keep].copy(), self.failed[:first][keep]
        if failed.any() and not failed.all():
            rewards[failed] = rewards[~failed].min()
        return self.actions[:first][keep], rewards

    def ranking(self) -> NDArray[np.int64]:
        """Row numbers from the best reward to the worst, ties broken by age, oldest first, shape (n,)."""
        return np.argsort(-self.rewards, kind="stable")

    def state_dict(self) -> dict[str, Any]:
        """Returns all data, as lists."""
        return {name: getattr(self, name).tolist() for name in ("actions", "rewards", "failed", "infeasible")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the data."""
        self.actions = np.array(state["actions"], dtype=np.int64).reshape(-1, self.actions.shape[1])
        self.rewards = np.array(state["rewards"], dtype=np.float64)
        self.failed = np.array(state["failed"], dtype=bool)
        self.infeasible = np.array(state["infeasible"], dtype=bool)


class HistoryLearner(Bounded, ABC):
    """Base class of learners that propose from all results so far.

    Models are refitted from the history under a seed, so that a checkpoint holds data only.

    Args:
        specs: the agents; their D decisions are one joint action.
        seed: seed of all randomness.
        batch_size: number of results per update.
        distinct: whether known pipelines are avoided while new ones can be found.
    """

    on_policy = False

    def __init__(self, specs: Sequence[AgentSpec], seed: int, *, batch_size: int = 1, distinct: bool = True) -> None:
        self.batch_size = batch_size
        self.layout = Layout(specs)
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.history = History(len(self.layout))
        self.proposals = NewProposals(self.layout, enabled=distinct)
        self.feasibility = Feasibility(self.layout)

    @abstractmethod
    def propose(self, rows: int) -> Joint:
        """Returns new joint actions, shape (rows, D), recorded in `proposals`."""

    def act(self, observations: Observations) -> Actions:
        """Proposes B joint actions."""
        return self.layout.split(self.propose(rows_of(observations)))

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Adds a batch to the history."""
        joint = self.layout.join(batch.actions)
        self.history.add(joint, batch)
        self.proposals.learn(joint)
        return {"best": float(self.history.rewards.max())}

    def state_dict(self) -> dict[str, Any]:
        """Returns data, seed, random state and pending proposals."""
        return {
            "seed": self.seed,
            "rng": self.rng.bit_generator.state,
            "history": self.history.state_dict(),
            "proposals": self.proposals.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        self.seed = state["seed"]
        self.rng.bit_generator.state = state["rng"]
        self.history.load_state_dict(state["history"])
        self.proposals.load_state_dict(state["proposals"])

    def random(self, rows: int) -> Joint:
        """Uniform joint actions, feasible where costs are known, shape (rows, D)."""
        return self.feasibility.draw(lambda count: self.layout.uniform(count, self.rng), rows)

    def random_new(self, rows: int) -> Joint:
        """Uniform new joint actions, shape (rows, D), recorded as proposed."""
        return self.proposals.draw(self.random, rows, self.rng.random)

    def best_new(self, candidates: Joint, scores: NDArray[np.float64], rows: int) -> Joint:
        """Returns the new candidates with the highest scores, recorded as proposed.

        Args:
            candidates: shape (n, D).
            scores: shape (n,); ties are broken at random.
            rows: number of joint actions; random new ones replace missing candidates.

        Returns:
            Shape (rows, D).
        """
        shuffled = self.rng.permutation(len(candidates))
        order = shuffled[np.argsort(-scores[shuffled], kind="stable")]
        chosen = self._feasible(candidates[order][self.proposals.distinct(candidates[order])], rows)
        self.proposals.remember(chosen)
        return np.concatenate([chosen, self.random_new(rows - len(chosen))]) if len(chosen) < rows else chosen

    def _feasible(self, ordered: Joint, rows: int) -> Joint:
        """Returns feasible ones of the first few joint actions, at most `rows`; each cost takes a millisecond."""
        if not self.feasibility.bounded:
            return ordered[:rows]
        found = ordered[:0]
        for start in range(0, min(len(ordered), COSTED), rows):
            some = ordered[start : start + rows]
            found = np.concatenate([found, some[self.feasibility.admits(some)]])
            if len(found) >= rows:
                break
        return found[:rows]

    def model_rng(self, results: int) -> np.random.Generator:
        """Random generator for a model fitted to the first `results` results, the same at every refit."""
        return np.random.default_rng([self.seed, results])
