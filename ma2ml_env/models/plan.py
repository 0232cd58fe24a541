"""A network of cells as data: which chain of layers reads which state. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ma2ml_env.models.layers import Chain, Size, chain_cost
from ma2ml_env.types import Cost


class Edge(NamedTuple):
    """A chain of layers and the state that it reads.

    Attributes:
        state: index of the state, as the cell numbers them.
        chain: layers applied to it.
        drops: whether drop-path may remove it; an identity stays.

    Source: NASNet's and DARTS's code.
    """

    state: int
    chain: Chain
    drops: bool = False


class BlockPlan(NamedTuple):
    """Two edges, added or concatenated.

    Source: NASNet, section 3.1.
    """

    first: Edge
    second: Edge
    concat: bool = False


class CellPlan(NamedTuple):
    """A cell, put in its place in a network.

    Attributes:
        inputs: states 0 and 1, made from the cell's arguments; an edge's `state` is 0 for the previous, 1 for
            the current argument.
        blocks: block b makes state 2 + b.
        outputs: the states that are concatenated, each with the chain that brings it to the common size.
        channels: channels of the output.
        previous: index of the earlier output that is the previous argument, -2 for the one before the current.

    Source: NASNet's and DARTS's code.
    """

    inputs: tuple[Edge, Edge]
    blocks: tuple[BlockPlan, ...]
    outputs: tuple[Edge, ...]
    channels: int
    previous: int = -2

    def cost(self, previous: Size, current: Size) -> tuple[int, int, Size]:
        """FLOPs, parameters and the output's size, from the sizes of the two arguments."""
        sizes = [previous, current]
        flops = params = 0

        def add(edges: Sequence[Edge], among: Sequence[Size]) -> Size:
            nonlocal flops, params
            for edge in edges:
                more_flops, more_params, size = chain_cost(edge.chain, among[edge.state])
                flops += more_flops
                params += more_params
            return size

        states = [add([edge], sizes) for edge in self.inputs]
        for block in self.blocks:
            states.append(add([block.first, block.second], states))
        size = add(self.outputs, states)
        return flops, params, size


class Auxiliary(NamedTuple):
    """A second classifier for training, on the output of one cell.

    Source: NASNet's and DARTS's code.
    """

    cell: int
    chain: Chain


class NetworkPlan(NamedTuple):
    """A network of cells.

    Attributes:
        stem: one chain after the other; the outputs of the last two are the first cell's arguments, of a
            single one both.
        cells: in order.
        head: from the last cell's output to logits.
        auxiliary: the auxiliary classifier, if there is one.
        depth_scaled: whether drop-path grows over the cells, or is the same in all.
    """

    stem: tuple[Chain, ...]
    cells: tuple[CellPlan, ...]
    head: Chain
    auxiliary: Auxiliary | None = None
    depth_scaled: bool = True

    def cost(self, image_size: int) -> Cost:
        """FLOPs of one image and trainable parameters, both without the auxiliary classifier.

        Args:
            image_size: rows and columns of the square image.

        Raises:
            ValueError: if the image is too small for the number of reductions.
        """
        size: Size = (image_size, image_size)
        flops = params = 0
        sizes = []
        for chain in self.stem:
            more_flops, more_params, size = chain_cost(chain, size)
            flops, params = flops + more_flops, params + more_params
            sizes.append(size)
        sizes = [sizes[0], *sizes] if len(sizes) == 1 else sizes
        for cell in self.cells:
            more_flops, more_params, size = cell.cost(sizes[cell.previous], sizes[-1])
            flops, params = flops + more_flops, params + more_params
            sizes.append(size)
        head = chain_cost(self.head, size)
        return Cost(flops + head.flops, params + head.params)
