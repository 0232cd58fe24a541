"""Cost of a network, without running data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ma2ml_env.errors import MA2MLError
from ma2ml_env.types import Cost


def cost(model: nn.Module, image_size: int = 224, in_channels: int = 3) -> Cost:
    """Multiply-accumulates of one image and trainable parameters of a network.

    The network is run on the meta device, where tensors have shapes and no values. It stays as it is. Half
    of what `torch.utils.flop_counter.FlopCounterMode` counts; an auxiliary classifier (an attribute `auxiliary`)
    is not counted.

    Args:
        model: network on images (N, C, H, W), on any device.
        image_size: rows and columns of the square image.
        in_channels: number of channels of the image.

    Raises:
        ValueError: if the image is too small for the network.

    Source: the NASNet paper's convention; the counting rules are torch's.
    """
    auxiliary = getattr(model, "auxiliary", None)
    skipped = {id(p) for p in auxiliary.parameters()} if isinstance(auxiliary, nn.Module) else set()
    params = sum(p.numel() for p in model.parameters() if p.requires_grad and id(p) not in skipped)
    tensors = {name: t.to("meta") for named in (model.named_parameters(), model.named_buffers()) for name, t in named}
    image = torch.empty(1, in_channels, image_size, image_size, device="meta")
    training = {module: module.training for module in model.modules()}
    model.eval()
    counter = _Counter()  # type: ignore[no-untyped-call]
    try:
        with torch.no_grad(), counter:
            functional_call(model, tensors, (image,))
    except RuntimeError as error:
        raise MA2MLError(
            f"this network does not accept images of {in_channels}x{image_size}x{image_size}: {error}"
        ) from error
    finally:
        for module, was in training.items():
            module.training = was
    return Cost(counter.flops // 2, params)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own FLOP formulas, as `FlopCounterMode` does, without its bookkeeping by module."""

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.native_batch_norm.default:  # costs nothing, and torch's meta kernel for it is slow
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out
