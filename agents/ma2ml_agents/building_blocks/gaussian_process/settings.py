"""Settings of a learner whose critic is a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ma2ml_agents.building_blocks.actor_critic import ActorCriticConfig
from ma2ml_agents.building_blocks.gaussian_process.process import KernelName
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.building_blocks.standardize import Standardization

Rescaling = Literal["auto", Standardization]


@dataclass
class ProcessConfig(ActorCriticConfig):
    """Settings of policies, proposals and critic with a Gaussian process; those before are of other critics."""

    kernel: KernelName = "mixed"
    """Kernel of the Gaussian process: main effects and interactions, or `additive` or `product` alone."""
    ordered: bool = True
    """The Gaussian process expects near choices of ordered decisions to be alike."""
    fit_steps: int = 5
    """Gradient steps of the Gaussian process's weights whenever the data have grown by five percent."""
    gp_limit: int = 600
    """Most results that the Gaussian process is conditioned on: of more, the best and the newest, half each."""
    policy_scale: int = 60
    """Decisions from which on every proposal is a sample of the policies, with a Gaussian process; with fewer, a
    share in proportion. The others, and those whose sample is known, maximize expected improvement."""
    pool: int = 352
    """Candidates whose expected improvement is compared."""
    distant: bool = True
    """A quarter of the candidates are uniform pipelines, so that no region is out of reach."""
    standardization: Rescaling = "auto"
    """Of the rewards: by their `ranks`, by the distance of their `quartiles`, or by how far the best tenth (`top`) is
    above the median. `auto` takes ranks for a Gaussian process, quartiles for an ensemble."""
    policy_sweeps: int = 2
    """Passes of the exact ascent over all decisions per update, with a Gaussian process."""
    gp_kl_coef: float = 1.5
    """As `kl_coef`, with a Gaussian process; above 0. It is an upper limit: see `entropy_halving`."""
    gp_target_rate: float = 0.0
    """As `target_rate`, per update, with a Gaussian process. At 0 the targets stay uniform: the divergence is then
    what the policies lack in entropy."""
    entropy_halving: int = 120
    """Pipelines after which the policies keep at most half of the entropy of uniform ones, a third after twice as
    many, with a Gaussian process: the weight of the divergence falls as far as that takes. 0 for no limit."""
    policy_step: float = 0.0
    """Longest Fisher length of an update of the policies, per square root of the number of decisions, with a Gaussian
    process; 0 for no limit. Source: natural-gradient methods fix it."""
    step_by_agent: bool = False
    """Limit the step of each agent by itself instead of that of all agents together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "kernel", get_args(KernelName))
        check_choice(self, "standardization", get_args(Rescaling))
        check_range(self, 0, names=["entropy_halving", "policy_step"])
        check_range(self, 0.0, 1.0, names=["gp_target_rate"])
        check_range(self, 1, names=["pool", "policy_scale", "policy_sweeps", "fit_steps"])
        check_range(self, 2, names=["gp_limit"])
        check_range(self, 1e-6, names=["gp_kl_coef"])

    def standardization_for(self, usual: Standardization) -> Standardization:
        """Returns the standardization of the rewards for a critic that usually has another."""
        return usual if self.standardization == "auto" else self.standardization
