"""NASNet's operations and cells as plans, without torch."""

from __future__ import annotations

from functools import lru_cache, partial

from ma2ml_env.models.layers import (
    RELU,
    Chain,
    Conv,
    FactorizedReduction,
    Linear,
    Norm,
    Pool,
    Size,
    relu_conv,
    separable,
)
from ma2ml_env.models.plan import BlockPlan, CellPlan, Edge
from ma2ml_env.search_spaces.nasnet import Block, Cell

norm = partial(Norm, epsilon=1e-3)
_conv = partial(relu_conv, epsilon=1e-3)
_separable = partial(separable, epsilon=1e-3)


@lru_cache(maxsize=4096)
def operation(name: str, inputs: int, outputs: int, stride: int) -> Chain:
    """The layers of one of the 13 operations.

    Full convolutions are bottlenecked, separable ones applied twice; a strided identity, or one that changes
    the channels, is a 1x1 convolution.

    Args:
        name: name of the operation.
        inputs: channels in.
        outputs: channels out.
        stride: 1 or 2.

    Source: NASNet's and AmoebaNet's code.
    """
    kind, _, window = name.rpartition("_")
    match kind:
        case "identity" | "":
            changes = stride > 1 or inputs != outputs
            return _conv(inputs, outputs, stride=(stride, stride)) if changes else ()
        case "avg_pool" | "max_pool":
            size = int(window[0])
            pool = Pool("avg" if kind == "avg_pool" else "max", size, stride, size // 2)
            return (pool,) if inputs == outputs else (pool, Conv(inputs, outputs), norm(outputs))
        case "sep_conv":
            size = int(window[0])
            return _separable(inputs, outputs, size, stride) + _separable(outputs, outputs, size)
        case "dil_conv":
            return _bottleneck(inputs, outputs, outputs // 4, [((3, 3), (stride, stride))], dilation=2)
        case "conv" if window == "1x1":
            return _conv(inputs, outputs, stride=(stride, stride))
        case "conv":
            return _bottleneck(inputs, outputs, outputs // 4, [((3, 3), (stride, stride))])
        case _:
            size = int(window[0])
            width = 3 * outputs // 8 if size == 3 else outputs // 4
            return _bottleneck(inputs, outputs, width, [((1, size), (1, stride)), ((size, 1), (stride, 1))])


def _bottleneck(inputs: int, outputs: int, width: int, inner: list[tuple[Size, Size]], dilation: int = 1) -> Chain:
    width = max(1, width)
    chain = _conv(inputs, width)
    for kernel, stride in inner:
        chain += _conv(width, width, kernel, stride, dilation)
    return chain + _conv(width, outputs)


@lru_cache(maxsize=4096)
def cell_plan(
    cell: Cell,
    previous: int,
    current: int,
    filters: int,
    reduction: bool,
    halve_previous: bool,
    raw_previous: bool,
    twice: bool,
) -> CellPlan:
    """A cell in its place.

    Args:
        cell: its blocks; state 0 is the current input, state 1 the previous one.
        previous: channels of the previous input.
        current: channels of the current input.
        filters: channels of a block.
        reduction: whether operations on the two inputs have stride 2.
        halve_previous: whether the previous input is twice as large as the current one.
        raw_previous: whether the previous input is used as it is, as the stem is by NASNet's first cell.
        twice: whether there is a second 1x1 convolution on the current input, as in ENAS.

    Source: NASNet's and ENAS's code.
    """
    squeeze = () if raw_previous else _match(previous, filters, halve_previous, activate=True)
    channels = [filters, previous if raw_previous else filters]

    def edge(block: Block, side: int) -> Edge:
        state, name = block.inputs[side], block.operations[side]
        stride = 2 if reduction and state < 2 else 1
        return Edge(state, operation(name, channels[state], filters, stride), drops=name != "identity")

    blocks = []
    for block in cell.blocks:
        concat = block.combine == "concat"
        blocks.append(BlockPlan(edge(block, 0), edge(block, 1), concat))
        channels.append(filters * (1 + concat))
    outputs = []
    for state in cell.outputs:
        if state < 2:
            outputs.append(Edge(state, _match(channels[state], filters, reduction, activate=False)))
            channels[state] = filters
        else:
            outputs.append(Edge(state, ()))
    squeeze_current = _conv(current, filters) + (_conv(filters, filters) if twice else ())
    inputs = (Edge(1, squeeze_current), Edge(0, squeeze))
    return CellPlan(inputs, tuple(blocks), tuple(outputs), sum(channels[state] for state in cell.outputs))


def _match(inputs: int, outputs: int, halve: bool, *, activate: bool) -> Chain:
    """Chain that brings a state to `outputs` channels, and to half its size if `halve`."""
    if halve:
        chain: Chain = (FactorizedReduction(inputs, outputs), norm(outputs))
    elif inputs != outputs:
        chain = (Conv(inputs, outputs), norm(outputs))
    else:
        return ()
    return (RELU, *chain) if activate else chain


def auxiliary_chain(channels: int, size: int, num_classes: int) -> Chain:
    """The auxiliary classifier on an image of `size` x `size` with `channels` channels.

    Source: NASNet's code, but for images smaller than 5 pixels, where the window is the image.
    """
    window = min(5, size)
    pooled = (size - window) // 3 + 1
    whole = Conv(128, 768, (pooled, pooled), padding=(0, 0))
    squeeze = (RELU, Pool("avg", window, 3, 0), Conv(channels, 128), norm(128), RELU)
    return (*squeeze, whole, norm(768), RELU, Linear(768, num_classes))
