"""MA2ML: replay, a central critic, counterfactual baselines, and policies held near their targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ma2ml_agents.building_blocks.actor_critic import ActorCriticLearner
from ma2ml_agents.building_blocks.gaussian_process.actor import ProcessActor
from ma2ml_agents.building_blocks.gaussian_process.candidates import covering_design
from ma2ml_agents.building_blocks.gaussian_process.critic import ProcessCritic
from ma2ml_agents.building_blocks.gaussian_process.kernel import Floats
from ma2ml_agents.building_blocks.gaussian_process.promising import most_promising
from ma2ml_agents.building_blocks.gaussian_process.settings import ProcessConfig
from ma2ml_agents.building_blocks.joint_action import rows_of
from ma2ml_agents.building_blocks.losses import kl_penalty
from ma2ml_agents.building_blocks.new_proposals import Joint, NewProposals
from ma2ml_agents.building_blocks.policy import independent
from ma2ml_agents.building_blocks.replay import Replay
from ma2ml_agents.building_blocks.restarts import agents_to_restart
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations
from ma2ml_env.errors import MA2MLError

TargetName = Literal["polyak", "previous"]
CriticName = Literal["auto", "gp", "ensemble"]
WARMUP = 0x1A7
"""Keeps the random stream of the first pipelines apart from that of later ones."""


class MA2ML(ActorCriticLearner):
    """Ascends E_pi[Q(S, A) - lambda KL(pi || rho)], lambda = kl_coef / D over D decisions, one policy per agent.

        Adv_i = Q(S, A) - E_{A_i' ~ pi_i} Q(S, A_i', A_-i) - lambda (log pi_i(A_i) / rho_i(A_i) - KL(pi_i || rho_i))
        grad_i J = E_{A ~ pi}[ grad log pi_i(A_i | S_i) * Adv_i ]

    The critic Q is a Gaussian process whose kernel is a product and a sum over decisions, over which the policies
    factor. The expectation, every agent's counterfactual baseline and the ascent are then closed forms, without
    samples; that a baseline does not change the gradient's mean is exact too, so credit assignment makes no difference
    here. Proposals are samples of the policies; the fewer the decisions, the more of them are the best expected
    improvement among neighbors of good pipelines and distant ones instead, which leaves a wrong region. An upper limit
    of the policies' entropy, which falls with the number of results, lowers lambda.

    The other critic is an ensemble of networks. Every update trains it on all transitions so far, then takes steps of
    the policies on fresh samples of theirs, which it scores: nothing is evaluated for them, and no importance weights
    are needed.

    Args:
        specs: the agents.
        config: settings.
        seed: of everything random in it.

    Source: MA2ML; that actors use fresh samples is DMAC's way. The Gaussian process is ours; its acquisition is Jones
    et al., "Efficient Global Optimization of Expensive Black-Box Functions".
    """

    @dataclass
    class Config(ProcessConfig):
        """Settings of MA2ML."""

        critic: CriticName = "auto"
        """Gaussian process or ensemble of networks. The process needs independent policies and off-policy learning;
        `auto` takes it wherever it can: at 9 to 89 decisions and 25 to 300 results it was never the worse one, so that
        no run changes its critic on the way."""
        restart_after: int = 0
        """Pipelines without a new best after which one agent's policy, the agents in turn, starts again from a uniform
        one; 0 for never. It needs independent policies. With a Gaussian process the exact ascent of the same update
        takes most of it back, unless `policy_step` limits it."""
        batch_size: int = 1
        """Pipelines per update: it trades the learner's time for efficiency. With a Gaussian process 5 take a third of
        the time of 1 at 89 decisions; 5 suit the ensemble (`experiments/tuning.py`), whose updates are slow."""
        learning_rate: float = 0.2
        """Learning rate (Adam) of the policies. Source: tuned."""
        critic_learning_rate: float = 1e-3
        """Learning rate (AdamW) of the critic. Source: tuned."""
        critic_weight_decay: float = 0.3
        """Weight decay (AdamW) of the critic. Source: tuned."""
        off_policy: bool = True
        """Learn from all transitions; off, critic and policies see the newest batch alone, once. Source: MA2ML."""
        distinct: bool = True
        """Never propose a pipeline twice: what is known gives way to a new one. Only off-policy."""
        candidates: int = 32
        """New neighbors of which the most promising is proposed, with an ensemble. Found on a table of
        nine decisions and confirmed on the tuning problems."""
        optimism: float = 1.0
        """Optimism about neighbors: the critics' mean and so many standard deviations among them. Source: upper
        confidence bounds; the value is ours."""
        warmup: int = 10
        """First pipelines, before the policies move: with a Gaussian process a design that covers the choices of every
        decision, else random. Source: tuned."""
        actor_steps: int = 60
        """Gradient steps of the policies per update, with an ensemble. With `critic_steps` they are what its time goes
        into: a third of both is about three times as fast. Source: tuned."""
        actor_samples: int = 64
        """Fresh joint actions in each step of the policies."""
        kl_coef: float = 9.0
        """Weight of the divergence from the target policies, averaged over the D decisions, for rewards of standard
        deviation 1; 0 switches it off. Source: MA2ML; the average is ours: under a weight of the sum, policies of few
        decisions, each worth much of the reward, are certain after a few batches. The value is tuned."""
        target: TargetName = "polyak"
        """Target policies: an average that follows the policies, or the policies before the update. Source: DMAC."""
        target_rate: float = 0.02
        """Fraction by which the average moves after each step of the policies. Found on synthetic problems; DMAC's
        is 0.01."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_range(self, 0, names=["warmup", "actor_steps", "kl_coef", "optimism", "restart_after"])
            check_range(self, 1, names=["actor_samples", "candidates"])
            check_range(self, 0.0, 1.0, names=["target_rate"])
            check_choice(self, "target", get_args(TargetName))
            check_choice(self, "critic", get_args(CriticName))
            if self.critic == "gp" and not self._factored:
                raise MA2MLError(
                    "critic 'gp' needs policy 'independent' and off_policy; take critic 'auto' or 'ensemble'"
                )

            if self.restart_after and self.policy != "independent":
                raise MA2MLError("restart_after needs policy 'independent', or 0 for no restarts")

        @property
        def _factored(self) -> bool:
            return self.policy == "independent" and self.off_policy

        @property
        def gaussian_process(self) -> bool:
            """True if the critic is a Gaussian process."""
            return self.critic != "ensemble" and self._factored

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config = config or self.Config()
        super().__init__(specs, self.config, seed)
        self.on_policy = not self.config.off_policy
        self.replay = Replay(len(self.layout))
        self.target_policy = self.policy.frozen_copy()
        self.standardization = config.standardization_for("quartiles")
        self.process = ProcessCritic(self.layout, config) if config.gaussian_process else None
        self.actor = ProcessActor(self.layout, config)
        distinct = self.config.distinct and self.config.off_policy
        self.proposals = NewProposals(self.layout, candidates=self.config.candidates, enabled=distinct)
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def act(self, observations: Observations) -> Actions:
        """Propose B joint actions, new ones unless told otherwise."""
        if self.process is not None:
            return self.layout.split(
                np.concatenate([self._propose(self.process) for _ in range(rows_of(observations))])
            )
        if not self.proposals.enabled:
            return super().act(observations)
        return self.layout.split(self.proposals.draw(self.sample, rows_of(observations), self.uniform, self._promise))

    def update(self, batch: Batch) -> dict[str, float]:
        """Train the critic; after the warm-up, the policies too."""
        actions, rewards = self.transitions(batch)
        self.replay.add(actions, rewards)
        self.proposals.learn(actions.numpy())
        rewards_so_far, patience = self.replay.rewards.numpy(), self.config.restart_after
        for agent in agents_to_restart(rewards_so_far, len(batch), patience, self.layout.policies):
            independent(self.policy).restart(agent)
        if self.process is not None:
            return self._update_process(self.process)
        if self.config.off_policy:
            numbers = {"critic_error": self.fit_critic(self.replay.actions, self.replay.rewards)}
        else:
            numbers = {"critic_error": self.fit_critic(actions, rewards)}
        if len(self.replay) < self.config.warmup:
            return numbers
        if self.config.target == "previous":
            self.target_policy.follow(self.policy, rate=1.0)
        for _ in range(self.config.actor_steps if self.config.off_policy else 1):
            numbers["kl"] = self._improve_policies(None if self.config.off_policy else actions)
            if self.config.target == "polyak":
                self.target_policy.follow(self.policy, self.config.target_rate)
        return numbers | {"entropy": self.entropy_at(actions)}

    def recommend(self) -> dict[str, NDArray[np.int64]] | None:
        """The evaluated pipeline that the critic expects to be best, {agent: (K_i,)}; None before the first result.

        Unlike the highest reward this is not a matter of one lucky evaluation.
        """
        if not len(self.replay):
            return None
        if self.process is not None:
            known, values = self.process.posterior.joint, self.process.fitted
        else:
            known = self.replay.actions.long().numpy()
            values = self._value(self.replay.actions.long()).detach().numpy()
        best = self.layout.split(known[[int(np.argmax(values))]])
        return {agent: action[0] for agent, action in best.items()}

    def state_dict(self) -> dict[str, Any]:
        """State of the base class, target policies, replay and the Gaussian process."""
        own = {
            "target": self.target_policy.state_dict(),
            "replay": self.replay.state_dict(),
            "seed": self.seed,
            "rng": self.rng.bit_generator.state,
        }
        if self.process is not None:
            own |= {"process": self.process.state_dict(), "kl_weight": self.actor.kl_weight}
        return super().state_dict() | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become the learner whose `state_dict` this is."""
        super().load_state_dict(state)
        self.target_policy.load_state_dict(state["target"])
        self.replay.load_state_dict(state["replay"])
        self.seed, self.rng.bit_generator.state = state["seed"], state["rng"]
        if self.process is not None:
            self.process.load_state_dict(state["process"])
            self.actor.kl_weight = state["kl_weight"]
            if len(self.replay):
                self.process.condition(*self._data())

    def _data(self) -> tuple[Joint, Floats]:
        """All joint actions, shape (n, D), and rewards, shape (n,)."""
        return self.replay.actions.long().numpy(), self.replay.rewards.numpy()

    def _propose(self, process: ProcessCritic) -> Joint:
        """A new joint action, remembered as proposed, shape (1, D)."""
        number = len(self.replay) + len(self.proposals.open)
        if number < self.config.warmup:
            design = covering_design(self.config.warmup, self.layout, np.random.default_rng([self.seed, WARMUP]))
            return self.proposals.draw(lambda rows: design[[number] * rows], 1, self.rng.random)
        share = min(1.0, len(self.layout) / self.config.policy_scale)
        if not len(self.replay) or int((number + 1) * share) > int(number * share):
            drawn = self.sample(1)
            if self.proposals.admits(drawn)[0] or not len(self.replay):
                self.proposals.remember(drawn)
                return drawn
        found = most_promising(
            process, self.proposals, self.config.pool, self.layout, self.rng, distant=self.config.distant
        )
        if not len(found):
            return self.proposals.draw(lambda rows: self.layout.uniform(rows, self.rng), 1, self.rng.random)
        self.proposals.remember(found)
        return found

    def _update_process(self, process: ProcessCritic) -> dict[str, float]:
        """Condition the Gaussian process on all data; after the warm-up, ascend the regularized value exactly."""
        numbers = {"critic_error": process.fit(*self._data())}
        if len(self.replay) < self.config.warmup:
            return numbers
        if self.config.target == "previous":
            self.target_policy.follow(self.policy, rate=1.0)
        else:
            self.target_policy.follow(self.policy, self.config.gp_target_rate)
        targets = independent(self.target_policy).probabilities().numpy()
        policies = independent(self.policy).probabilities().numpy()
        policies, value = self.actor.improve(policies, targets, process.posterior, len(self.replay))
        independent(self.policy).set_probabilities(torch.from_numpy(policies))
        return numbers | {"value": value, "entropy": self.entropy_at(self.policy.sample(16, self.generator))}

    @torch.no_grad()
    def _promise(self, joint: Joint) -> NDArray[np.floating[Any]]:
        """An optimist's value of joint actions, shape (n, D): above the critics' mean where they disagree."""
        values: Tensor = self.critic(self.critic.one_hot(torch.from_numpy(joint)))
        optimistic = values.mean(dim=0) + self.config.optimism * values.std(dim=0, correction=0)
        return optimistic.numpy()

    def _improve_policies(self, actions: Tensor | None) -> float:
        """One step of the policies, on given or fresh joint actions; returns KL(pi || rho) before it."""
        fresh = self.config.actor_samples if actions is None else 0
        drawn = self.policy.sample(fresh + self.config.baseline_samples, self.generator)
        samples = drawn[fresh:]
        actions = drawn[:fresh] if actions is None else actions
        with torch.no_grad():
            kl = self.policy.kl(self.target_policy, samples)
            penalty = kl_penalty(self.policy.log_prob(actions), self.target_policy.log_prob(actions), kl)
        self.ascend(actions, self.advantages(actions, samples) - self.config.kl_coef / len(self.layout) * penalty)
        return float(kl.sum())
