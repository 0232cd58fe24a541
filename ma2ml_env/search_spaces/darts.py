"""The DARTS search space: two cells of four nodes, 24 decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace
from ma2ml_env.search_spaces import nasnet

WORDS = {
    "max_pool_3x3": "3x3 max pooling",
    "avg_pool_3x3": "3x3 average pooling",
    "skip_connect": "skip connection",
    "sep_conv_3x3": "3x3 separable convolution",
    "sep_conv_5x5": "5x5 separable convolution",
    "dil_conv_3x3": "3x3 dilated separable convolution",
    "dil_conv_5x5": "5x5 dilated separable convolution",
}
OPERATIONS = tuple(WORDS)
CELLS = ("normal", "reduction")
NODES = (2, 3, 4, 5)
DARTS_V2 = (
    "sep_conv_3x3 0 sep_conv_3x3 1, sep_conv_3x3 0 sep_conv_3x3 1, sep_conv_3x3 1 skip_connect 0, "
    "skip_connect 0 dil_conv_3x3 2",
    "max_pool_3x3 0 max_pool_3x3 1, skip_connect 2 max_pool_3x3 1, max_pool_3x3 0 skip_connect 2, "
    "skip_connect 2 max_pool_3x3 1",
)


@dataclass(frozen=True)
class Block(nasnet.Block):
    """A node: the sum of two operations, each on one earlier state.

    Attributes:
        inputs: the two states, by index: 0 is the previous cell but one, 1 the previous cell, 2 + b node b.
        operations: operation applied to each, names in `vocabulary`.

    Raises:
        ValueError: for a wrong count, an unknown operation, or a node that does not add.

    Source: DARTS, section 2.1.
    """

    vocabulary: ClassVar[Mapping[str, str]] = WORDS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.combine != "add":
            raise MA2MLError(f"a node of DARTS adds its two operations; it cannot {self.combine!r} them")


@dataclass(frozen=True)
class Cell(nasnet.Cell):
    """Four nodes, all of them concatenated.

    Attributes:
        blocks: the nodes, in order.
        concat: always (2, 3, 4, 5).

    Raises:
        ValueError: as for NASNet's cells, and for another concatenation.

    Source: DARTS, section 2.1.
    """

    blocks: tuple[Block, ...]
    concat: tuple[int, ...] | None = NODES
    size: ClassVar[int] = 4
    input_names: ClassVar[tuple[str, str]] = ("the previous input", "the current input")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(block, Block) for block in self.blocks):
            raise MA2MLError("a DARTS cell is made of DARTS blocks, which have other operations than NASNet's")
        if self.concat != NODES:
            raise MA2MLError(f"a DARTS cell concatenates its four nodes, states {NODES}, not {self.concat}")


@dataclass(frozen=True)
class Genotype:
    """An architecture of the DARTS space.

    Attributes:
        normal: the cell that keeps the image size.
        reduction: the cell that halves it.

    Source: DARTS, section 2.1.
    """

    normal: Cell
    reduction: Cell

    def __str__(self) -> str:
        return f"\nnormal cell\n{self.normal}\nreduction cell\n{self.reduction}"


def darts() -> SearchSpace:
    """The search space: per cell and node an unordered pair of different inputs, and an operation on each.

    States are numbered as in DARTS's genotypes, the opposite of NASNet's: 0 is the previous input, 1 the current
    one. The default is DARTS V2.

    Returns:
        A space of 24 decisions that builds a `Genotype`.

    Source: DARTS, section 2.4, without its zero operation.
    """
    decisions = tuple(_decisions())
    default = SearchSpace(decisions, _genotype, values=_values).encode(Genotype(*map(parse_cell, DARTS_V2)))
    return SearchSpace(decisions, _genotype, values=_values, default=default)


def parse_cell(text: str) -> Cell:
    """A cell from DARTS's notation, in the compact form "operation input operation input, ...".

    Raises:
        ValueError: as `Block` and `Cell` do.
    """
    nodes = [part.split() for part in text.split(",")]
    return Cell(tuple(Block((int(a), int(b)), (first, second)) for first, a, second, b in nodes))


def _decisions() -> Iterator[Decision]:
    for cell in CELLS:
        for node in range(Cell.size):
            name = f"{cell}_node{node + 1}"
            yield Decision(f"{name}_inputs", tuple(combinations(range(node + 2), 2)))
            yield Decision(f"{name}_operation1", OPERATIONS)
            yield Decision(f"{name}_operation2", OPERATIONS)


def _genotype(chosen: Mapping[str, Any]) -> Genotype:
    cells = {}
    for cell in CELLS:
        nodes = (f"{cell}_node{node + 1}" for node in range(Cell.size))
        rows = [[chosen[f"{node}_{key}"] for key in ("inputs", "operation1", "operation2")] for node in nodes]
        cells[cell] = Cell(tuple(Block(inputs, (first, second)) for inputs, first, second in rows))
    return Genotype(**cells)


def _values(genotype: Genotype) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in CELLS:
        for number, node in enumerate(getattr(genotype, name).blocks):
            (a, first), (b, second) = sorted(zip(node.inputs, node.operations, strict=True))
            if a == b:
                raise MA2MLError(
                    f"{name} node {number + 1} uses state {a} twice; this space requires two different ones"
                )
            key = f"{name}_node{number + 1}"
            values |= {f"{key}_inputs": (a, b), f"{key}_operation1": first, f"{key}_operation2": second}
    return values
