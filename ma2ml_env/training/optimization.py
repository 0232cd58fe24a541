"""Optimizers and schedules of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import nn

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_spaces.recipe import Recipe


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe.

    In timm's names `sgd` has Nesterov momentum, `momentum` has not, and `rmsproptf` is TensorFlow's RMSProp.

    Source: timm.
    """
    adam = recipe.optimizer == "adamw"
    momentum: dict[str, Any] = {"betas": (recipe.momentum, 0.999)} if adam else {"momentum": recipe.momentum}
    optimizer = create_optimizer_v2(
        network,
        opt={"rmsprop": "rmsproptf"}.get(recipe.optimizer, recipe.optimizer),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        **momentum,
    )
    for group in optimizer.param_groups:
        group["foreach"] = True  # the same arithmetic to the last bit, in fewer calls; no argument of older RMSpropTF
    return optimizer


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Callable[[int], None]:
    """A function that sets the learning rate of a step, from 0 to `steps` - 1.

    Source: timm.
    """
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched={"linear": "poly", "constant": "step"}.get(recipe.schedule, recipe.schedule),
        num_epochs=steps,
        decay_epochs=steps + 1,
        decay_rate=1.0,
        warmup_epochs=round(recipe.warmup * steps),
        warmup_lr=0.0,
        min_lr=0.0,
    )
    if scheduler is None:
        raise MA2MLError(f"no schedule {recipe.schedule!r}")
    step: Callable[[int], None] = scheduler.step
    return step
