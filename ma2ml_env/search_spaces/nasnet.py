"""The NASNet search space: two cells of five blocks, 50 decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ma2ml_env.errors import MA2MLError, require_known
from ma2ml_env.search_space import Decision, SearchSpace

WORDS = {
    "identity": "identity",
    "conv_1x3_3x1": "1x3 then 3x1 convolution",
    "conv_1x7_7x1": "1x7 then 7x1 convolution",
    "dil_conv_3x3": "3x3 dilated convolution",
    "avg_pool_3x3": "3x3 average pooling",
    "max_pool_3x3": "3x3 max pooling",
    "max_pool_5x5": "5x5 max pooling",
    "max_pool_7x7": "7x7 max pooling",
    "conv_1x1": "1x1 convolution",
    "conv_3x3": "3x3 convolution",
    "sep_conv_3x3": "3x3 separable convolution",
    "sep_conv_5x5": "5x5 separable convolution",
    "sep_conv_7x7": "7x7 separable convolution",
}
OPERATIONS = tuple(WORDS)
COMBINERS = ("add", "concat")
CELLS = ("normal", "reduction")
NASNET_A = (
    "0 1 sep_conv_5x5 sep_conv_3x3, 1 1 sep_conv_5x5 sep_conv_3x3, 0 1 avg_pool_3x3 identity, "
    "1 1 avg_pool_3x3 avg_pool_3x3, 0 0 sep_conv_3x3 identity",
    "0 1 sep_conv_5x5 sep_conv_7x7, 0 1 max_pool_3x3 sep_conv_7x7, 0 1 avg_pool_3x3 sep_conv_5x5, "
    "3 2 identity avg_pool_3x3, 2 0 sep_conv_3x3 max_pool_3x3",
)


@dataclass(frozen=True)
class Block:
    """Two operations, each on one earlier state, and how their outputs are combined.

    Attributes:
        inputs: the two states, by index: 0 and 1 are the cell's inputs, 2 + b is block b's output.
        operations: operation applied to each, names in `vocabulary`.
        combine: `"add"` or `"concat"` (along the channels).

    Raises:
        ValueError: for a wrong count, an unknown operation or an unknown combiner.

    Source: NASNet, section 3.1.
    """

    inputs: tuple[int, int]
    operations: tuple[str, str]
    combine: str = "add"
    vocabulary: ClassVar[Mapping[str, str]] = WORDS

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "operations", tuple(self.operations))
        if len(self.inputs) != 2 or len(self.operations) != 2:
            raise MA2MLError(f"a block has 2 inputs and 2 operations, not {self.inputs} and {self.operations}")
        for operation in self.operations:
            require_known(operation, tuple(self.vocabulary), "operation")
        require_known(self.combine, COMBINERS, "combiner")


@dataclass(frozen=True)
class Cell:
    """A directed graph of blocks whose unused states are concatenated.

    Attributes:
        blocks: in order; block b may use the cell's two inputs and blocks before it.
        concat: the states that are concatenated; None is the strict rule "all that no block uses",
            the cell's own inputs included. Published cells that break the rule list them.

    Raises:
        ValueError: for a wrong number of blocks, an input from the future, or a state that is not there.

    Source: NASNet, section 3.1; the explicit list is that of the authors' code.
    """

    blocks: tuple[Block, ...]
    concat: tuple[int, ...] | None = None
    size: ClassVar[int] = 5
    input_names: ClassVar[tuple[str, str]] = ("the current input", "the previous input")

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.blocks) != self.size:
            raise MA2MLError(f"a cell of this space has {self.size} blocks, not {len(self.blocks)}")
        for number, block in enumerate(self.blocks):
            for state in block.inputs:
                if not 0 <= state < number + 2:
                    raise MA2MLError(
                        f"block {number + 1} uses state {state}, but only states 0..{number + 1} exist before it"
                    )
        if self.concat is not None:
            self._check_concat(tuple(self.concat))

    def _check_concat(self, concat: tuple[int, ...]) -> None:
        object.__setattr__(self, "concat", concat)
        last = len(self.blocks) + 1
        if not concat or len(set(concat)) != len(concat) or not all(0 <= state <= last for state in concat):
            raise MA2MLError(f"concat lists different states among 0..{last}, at least one, not {concat}")

    @property
    def unused(self) -> tuple[int, ...]:
        """The states that no block uses: what the strict rule concatenates."""
        used = {state for block in self.blocks for state in block.inputs}
        return tuple(state for state in range(len(self.blocks) + 2) if state not in used)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The states that the cell concatenates."""
        return self.unused if self.concat is None else self.concat

    def state_name(self, state: int) -> str:
        """A state in words: one of the inputs, or a block's number."""
        return self.input_names[state] if state < 2 else f"block {state - 1}"

    def __str__(self) -> str:
        lines = []
        for number, block in enumerate(self.blocks):
            first, second = (
                f"{block.vocabulary[operation]} of {self.state_name(state)}"
                for operation, state in zip(block.operations, block.inputs, strict=True)
            )
            joined = f"{first} plus {second}" if block.combine == "add" else f"{first}, concatenated with {second}"
            lines.append(f"  block {number + 1}: {joined}")
        return "\n".join([*lines, f"  output: {', '.join(self.state_name(state) for state in self.outputs)}"])


@dataclass(frozen=True)
class Genotype:
    """An architecture of the NASNet space.

    Attributes:
        normal: the cell that keeps the image size.
        reduction: the cell that halves it.

    Source: NASNet, section 3.1.
    """

    normal: Cell
    reduction: Cell

    def __str__(self) -> str:
        return f"\nnormal cell\n{self.normal}\nreduction cell\n{self.reduction}"


def nasnet() -> SearchSpace:
    """The search space: per cell and block two inputs, two operations and a combiner.

    Inputs are numbered as in the authors' code: 0 is the cell's current input h_i, 1 the previous one h_{i-1}.
    The default is NASNet-A's blocks under the strict rule of concatenation.

    Returns:
        A space of 50 decisions that builds a `Genotype`, about 5.2e36 different ones.

    Source: NASNet, section 3.1, with B = 5.
    """
    space = SearchSpace(tuple(_decisions()), _genotype, values=_values)
    default = space.encode(Genotype(*map(parse_cell, NASNET_A)))
    return SearchSpace(space.decisions, _genotype, values=_values, default=default)


def parse_cell(text: str, concat: tuple[int, ...] | None = None) -> Cell:
    """A cell whose blocks add, from the compact form "input input operation operation, ...".

    Raises:
        ValueError: as `Block` and `Cell` do.
    """
    blocks = [part.split() for part in text.split(",")]
    return Cell(tuple(Block((int(a), int(b)), (first, second)) for a, b, first, second in blocks), concat)


def _decisions() -> Iterator[Decision]:
    for cell in CELLS:
        for block in range(Cell.size):
            states = tuple(range(block + 2))
            choices = (states, states, OPERATIONS, OPERATIONS, COMBINERS)
            yield from (Decision(name, values) for name, values in zip(_names(cell, block), choices, strict=True))


def _names(cell: str, block: int) -> tuple[str, ...]:
    keys = ("input1", "input2", "operation1", "operation2", "combine")
    return tuple(f"{cell}_block{block + 1}_{key}" for key in keys)


_NAMES = {cell: [_names(cell, block) for block in range(Cell.size)] for cell in CELLS}


def _genotype(chosen: Mapping[str, Any]) -> Genotype:
    cells = {}
    for cell, blocks in _NAMES.items():
        rows = ([chosen[name] for name in names] for names in blocks)
        cells[cell] = Cell(tuple(Block((a, b), (first, second), combine) for a, b, first, second, combine in rows))
    return Genotype(**cells)


def _values(genotype: Genotype) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, blocks in _NAMES.items():
        cell: Cell = getattr(genotype, name)
        if sorted(cell.outputs) != list(cell.unused):
            raise MA2MLError(
                f"the {name} cell concatenates states {cell.outputs}, but this space concatenates the unused "
                f"states, which are {cell.unused}"
            )
        for names, block in zip(blocks, cell.blocks, strict=True):
            values |= zip(names, (*block.inputs, *block.operations, block.combine), strict=True)
    return values


def nearest_genotype(genotype: Genotype, space: SearchSpace) -> tuple[Genotype, list[str]]:
    """Nearest genotype under the strict rule of concatenation: the same blocks, all unused states concatenated.

    Args:
        genotype: genotype to represent.
        space: not needed, as every nasnet space has this rule.

    Returns:
        The genotype, and what had to change.
    """
    changes = [
        f"the {cell} cell concatenates the unused states {part.unused} instead of {part.outputs}"
        for cell, part in (("normal", genotype.normal), ("reduction", genotype.reduction))
        if sorted(part.outputs) != list(part.unused)
    ]
    return Genotype(Cell(genotype.normal.blocks), Cell(genotype.reduction.blocks)), changes
