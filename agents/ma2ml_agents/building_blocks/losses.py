"""Every equation of the learners, pure and shape-checked.

Shape suffixes: B transitions or samples, M samples of one agent's action, E critics, N policies. Scalars have none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ma2ml_env.errors import MA2MLError


def _check_shapes(**tensors: tuple[Tensor, tuple[int | None, ...]]) -> None:
    """Raises a ValueError unless every tensor has its shape; None matches any size."""
    for name, (tensor, shape) in tensors.items():
        fits = tensor.ndim == len(shape) and all(w is None or w == g for w, g in zip(shape, tensor.shape, strict=True))
        if not fits:
            wanted = tuple("any" if size is None else size for size in shape)
            raise MA2MLError(f"{name} has shape {tuple(tensor.shape)}, not {wanted}")


def policy_gradient_loss(log_prob_BN: Tensor, advantage_BN: Tensor) -> Tensor:
    """Loss whose negative gradient is the policy gradient of every agent.

        grad_i J = E_{A ~ pi}[ grad log pi_i(A_i | S_i) * Adv_i ]

    Args:
        log_prob_BN: log pi_i(A_i | S_i), in nats, differentiable, shape (B, N).
        advantage_BN: Adv_i, taken as a constant, shape (B, N).

    Returns:
        A scalar: minus the mean over B of the sum over agents.

    Raises:
        ValueError: if the shapes differ.

    Source: MA2ML, the gradient of J for a product of policies.
    """
    _check_shapes(log_prob_BN=(log_prob_BN, (None, None)), advantage_BN=(advantage_BN, tuple(log_prob_BN.shape)))
    return -(log_prob_BN * advantage_BN.detach()).sum(dim=1).mean()


def counterfactual_advantage(q_B: Tensor, q_BM: Tensor) -> Tensor:
    """Advantage of agent i's choice over its own average, the other agents fixed.

        A_i = Q(S, A) - E_{A_i' ~ pi_i} Q(S, A_i', A_-i)

    Args:
        q_B: critic's value of the joint action taken, shape (B,).
        q_BM: its value with agent i's action replaced by M samples of pi_i, shape (B, M).

    Returns:
        Advantage of agent i, shape (B,), in reward units.

    Raises:
        ValueError: if the batch sizes differ.

    Source: MA2ML, credit assignment; the expectation is sampled (ours).
    """
    _check_shapes(q_B=(q_B, (None,)), q_BM=(q_BM, (len(q_B), None)))
    return q_B - q_BM.mean(dim=1)


def shared_advantage(q_B: Tensor, q_M: Tensor) -> Tensor:
    """Advantage of a joint action over the average one, the same for every agent.

        A = Q(S, A) - E_{A' ~ pi} Q(S, A')

    Args:
        q_B: critic's value of the joint action taken, shape (B,).
        q_M: its value of M samples of the joint policy, shape (M,).

    Returns:
        Advantage of all agents, shape (B,), in reward units.

    Raises:
        ValueError: if one of them is not a vector.

    Source: the ordinary state-value baseline, which MA2ML's credit assignment replaces.
    """
    _check_shapes(q_B=(q_B, (None,)), q_M=(q_M, (None,)))
    return q_B - q_M.mean()


def kl_penalty(log_prob_BN: Tensor, target_log_prob_BN: Tensor, kl_N: Tensor) -> Tensor:
    """Penalty on the advantage for divergence from the target policies, per unit of `kl_coef`.

        log pi_i(A_i | S_i) / rho_i(A_i | S_i) - KL(pi_i || rho_i)

    Its mean under pi_i is zero, so the second term changes the variance of the gradient, not its mean.

    Args:
        log_prob_BN: log pi_i(A_i | S_i), in nats, shape (B, N).
        target_log_prob_BN: log rho_i(A_i | S_i), shape (B, N).
        kl_N: KL(pi_i(. | S_i) || rho_i(. | S_i)), shape (N,).

    Returns:
        The penalty, in nats, shape (B, N); no gradient flows through it.

    Raises:
        ValueError: if the shapes do not fit.

    Source: MA2ML's objective E_pi[Q] - lambda KL(pi || rho), differentiated; the mean is subtracted as in DMAC's code.
    """
    shape = tuple(log_prob_BN.shape)
    _check_shapes(
        log_prob_BN=(log_prob_BN, (None, None)),
        target_log_prob_BN=(target_log_prob_BN, shape),
        kl_N=(kl_N, shape[1:]),
    )
    return (log_prob_BN - target_log_prob_BN - kl_N).detach()


def critic_loss(q_EB: Tensor, reward_EB: Tensor) -> Tensor:
    """Squared error of every critic on its own transitions.

        sum_e mean_b (Q_e(S, A) - R)^2

    The game has one step, so the target is R itself: no bootstrap and no target critic.

    Args:
        q_EB: values, differentiable, shape (E, B).
        reward_EB: standardized rewards, shape (E, B).

    Returns:
        A scalar.

    Raises:
        ValueError: if the shapes differ.

    Source: MA2ML's central critic.
    """
    _check_shapes(q_EB=(q_EB, (None, None)), reward_EB=(reward_EB, tuple(q_EB.shape)))
    return (q_EB - reward_EB).square().mean(dim=1).sum()


def moving_average(previous: float | None, value: float, decay: float) -> float:
    """Exponential moving average, REINFORCE's baseline b.

        b <- decay * b + (1 - decay) * R

    Args:
        previous: the average so far, None before the first value.
        value: the newest value.
        decay: weight of the previous average, in [0, 1].

    Returns:
        The new average; the value itself if it is the first.

    Raises:
        ValueError: if the decay is out of range.

    Source: the baseline of NASNet's and AutoAugment's controllers.
    """
    if not 0.0 <= decay <= 1.0:
        raise MA2MLError(f"decay must be in [0, 1], not {decay}")
    return value if previous is None else decay * previous + (1.0 - decay) * value


def polyak_average(target: Tensor, source: Tensor, rate: float) -> Tensor:
    """Polyak average of a target parameter and its source.

        rho <- (1 - tau) * rho + tau * pi

    Args:
        target: a parameter of rho, any shape.
        source: the same parameter of pi.
        rate: tau, in [0, 1]; 1 copies.

    Returns:
        The new parameter, of the same shape.

    Raises:
        ValueError: if the shapes differ or the rate is out of range.

    Source: MA2ML's target policies, updated as in DMAC.
    """
    if not 0.0 <= rate <= 1.0:
        raise MA2MLError(f"rate must be in [0, 1], not {rate}")
    _check_shapes(source=(source, tuple(target.shape)))
    return torch.lerp(target, source, rate)


def clipped_surrogate_loss(log_prob_BN: Tensor, old_log_prob_BN: Tensor, advantage_BN: Tensor, clip: float) -> Tensor:
    """Policy-gradient loss, clipped where a policy has moved far enough from the one that acted.

        ratio_i = pi_i(A_i | S_i) / pi_i_old(A_i | S_i)
        -E[ min(ratio_i * Adv_i, clamp(ratio_i, 1 - clip, 1 + clip) * Adv_i) ]

    Args:
        log_prob_BN: log pi_i(A_i | S_i), in nats, differentiable, shape (B, N).
        old_log_prob_BN: the same for the policies that acted, shape (B, N).
        advantage_BN: taken as a constant, shape (B, N).
        clip: largest distance of a ratio from 1, above 0.

    Returns:
        A scalar: the mean over B of the sum over agents.

    Raises:
        ValueError: if the shapes differ.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms", equation 7.
    """
    shape = tuple(log_prob_BN.shape)
    _check_shapes(
        log_prob_BN=(log_prob_BN, (None, None)),
        old_log_prob_BN=(old_log_prob_BN, shape),
        advantage_BN=(advantage_BN, shape),
    )
    ratio_BN = (log_prob_BN - old_log_prob_BN.detach()).exp()
    clipped_BN = ratio_BN.clamp(1.0 - clip, 1.0 + clip)
    advantage_BN = advantage_BN.detach()
    return -torch.minimum(ratio_BN * advantage_BN, clipped_BN * advantage_BN).sum(dim=1).mean()


def quantile_loss(q_B: Tensor, r_B: Tensor, quantile: float) -> Tensor:
    """Mean quantile regression loss, minimal where q is the quantile of the rewards.

        rho_tau(u) = max(tau u, (tau - 1) u),  u = R - Q

    Args:
        q_B: estimates, shape (B,).
        r_B: rewards, shape (B,).
        quantile: tau in [0, 1].

    Returns:
        Scalar, at least 0.

    Source: Koenker and Bassett, "Regression Quantiles"; L2NAS trains its critic by it.
    """
    error_B = r_B - q_B
    return torch.maximum(quantile * error_B, (quantile - 1.0) * error_B).mean()
