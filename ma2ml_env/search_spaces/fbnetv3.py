"""The FBNetV3-like search space: resolution, and kernel, expansions, width and depth of every stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace

HEAD_WIDTH = 1984
KERNELS = (3, 5)


@dataclass(frozen=True)
class Group:
    """Inverted residual blocks of the same shape, one after the other.

    Attributes:
        kernel: kernel size of the depthwise convolution, odd.
        expansion: channels inside a block, times its input's.
        width: channels out.
        stride: stride of the first block, 1 or 2.
        repeats: number of blocks.
        squeeze: whether they have squeeze-excite.
        padding: padding of the first block's depthwise convolution; None keeps the size, up to the stride.

    Raises:
        ValueError: for an even kernel, another stride, or a number below 1.

    Source: FBNetV3, table 1; the padding is that of the released networks.
    """

    kernel: int
    expansion: float
    width: int
    stride: int = 1
    repeats: int = 1
    squeeze: bool = False
    padding: int | None = None

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise MA2MLError(f"a kernel is odd and at least 1, not {self.kernel}")
        if self.stride not in (1, 2):
            raise MA2MLError(f"a stride is 1 or 2, not {self.stride}")
        for name in ("expansion", "width", "repeats"):
            if getattr(self, name) < 1:
                raise MA2MLError(f"{name} must be at least 1, not {getattr(self, name)}")

    def __str__(self) -> str:
        blocks = "1 block" if self.repeats == 1 else f"{self.repeats} blocks"
        size = " that halves the image" if self.stride == 2 else ""
        gate = ", squeeze-excite" if self.squeeze else ""
        return f"{blocks}{size}: {self.kernel}x{self.kernel}, expansion {self.expansion:g}, {self.width} channels{gate}"


@dataclass(frozen=True)
class Architecture:
    """An architecture of the FBNetV3 family.

    Attributes:
        resolution: rows and columns of the image that the network works on.
        stem: channels of the first, strided convolution.
        groups: the blocks, in order.
        head_expansion: channels before the last pooling, times those of the last block.

    Raises:
        ValueError: for a resolution or a stem below 1, or no blocks.

    Source: FBNetV3, table 1.
    """

    resolution: int
    stem: int
    groups: tuple[Group, ...]
    head_expansion: float = 6

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        if self.resolution < 1 or self.stem < 1 or not self.groups:
            raise MA2MLError(
                f"resolution {self.resolution} and stem {self.stem} must be at least 1, and there must be blocks"
            )

    def __str__(self) -> str:
        lines = [f"\ninput {self.resolution}x{self.resolution}", f"stem: 3x3 convolution, {self.stem} channels"]
        head = f"head: expansion {self.head_expansion:g}, pooling, {HEAD_WIDTH} channels"
        return "\n".join([*lines, *(str(group) for group in self.groups), head])


class Stage(NamedTuple):
    """The choices of one stage.

    Attributes:
        widths: channels.
        depths: number of blocks.
        first: expansions of the first block.
        others: expansions of the other blocks.
        stride: stride of the first block.
        squeeze: whether its blocks have squeeze-excite.

    Source: FBNetV3, table 1, as recalled.
    """

    widths: range
    depths: range
    first: range
    others: range
    stride: int
    squeeze: bool


RESOLUTIONS = range(224, 273, 8)
STEM_WIDTHS = range(16, 25, 2)
STAGES = (
    Stage(range(16, 25, 2), range(1, 5), range(1, 2), range(1, 2), 1, False),
    Stage(range(20, 33, 4), range(4, 8), range(4, 8), range(2, 6), 2, False),
    Stage(range(24, 49, 4), range(4, 8), range(4, 8), range(2, 6), 2, True),
    Stage(range(56, 85, 4), range(4, 9), range(4, 8), range(2, 6), 2, False),
    Stage(range(96, 145, 4), range(6, 11), range(4, 8), range(2, 6), 1, True),
    Stage(range(180, 225, 4), range(5, 10), range(4, 8), range(4, 8), 2, True),
    Stage(range(180, 225, 4), range(1, 2), range(6, 7), range(6, 7), 1, True),
)


def fbnetv3() -> SearchSpace:
    """The search space: input resolution, stem width, and per stage what can be chosen there.

    A stage has one kernel, an expansion for its first block and one for the others, a width and a depth. What has
    a single choice is no decision. The default is the nearest choice to the released
    FBNetV3-A, where the kernel may change within a stage.

    Returns:
        A space of 32 decisions that builds an `Architecture`.

    Source: FBNetV3, table 1, as recalled; "FBNetV3-like", since not every range could be checked.
    """
    decisions = tuple(_decisions())
    values = {
        "resolution": 224,
        "stem_width": 16,
        **_stage_values(1, 3, 1, 1, 16, 2),
        **_stage_values(2, 5, 4, 2, 24, 4),
        **_stage_values(3, 5, 5, 3, 40, 5),
        **_stage_values(4, 3, 5, 3, 72, 5),
        **_stage_values(5, 5, 5, 3, 120, 6),
        **_stage_values(6, 5, 6, 4, 184, 6),
        **_stage_values(7, 5, 6, 6, 224, 1),
    }
    default = SearchSpace(decisions, _architecture).encode({d.name: values[d.name] for d in decisions})
    return SearchSpace(decisions, _architecture, values=_values, default=default)


def nearest_values(architecture: Architecture, space: SearchSpace | None = None) -> tuple[dict[str, Any], list[str]]:
    """Nearest choices of the space to an architecture, and what had to change.

    Args:
        architecture: architecture to represent.
        space: not needed, as this space has one form only.

    Raises:
        ValueError: if the architecture's blocks do not form seven stages.
    """
    wanted: dict[str, Any] = {"resolution": architecture.resolution, "stem_width": architecture.stem}
    changes = []
    for number, groups in enumerate(_split(architecture.groups), start=1):
        kernels = {group.kernel for group in groups}
        main = max(groups, key=lambda group: group.repeats)
        if len(kernels) > 1:
            changes.append(f"stage {number}: kernel {main.kernel} in all its blocks instead of {sorted(kernels)}")
        if any(group.padding is not None for group in groups):
            changes.append(f"stage {number}: usual padding instead of {groups[0].padding}")
        stage = STAGES[number - 1]
        if (groups[0].stride, groups[0].squeeze) != (stage.stride, stage.squeeze):
            changes.append(f"stage {number}: stride {stage.stride} and squeeze-excite {stage.squeeze}, as always there")
        depth = sum(group.repeats for group in groups)
        first, others = groups[0].expansion, groups[-1].expansion
        wanted |= _stage_values(number, main.kernel, first, others, groups[-1].width, depth)
    chosen = {}
    for decision in _decisions():
        value = wanted[decision.name]
        chosen[decision.name] = min(decision.choices, key=lambda choice: abs(choice - value))
        if chosen[decision.name] != value:
            changes.append(f"{decision.name} {chosen[decision.name]:g} instead of {value:g}")
    if architecture.head_expansion != 6:
        changes.append(f"head expansion 6 instead of {architecture.head_expansion:g}")
    return chosen, changes


def _decisions() -> Iterator[Decision]:
    yield Decision("resolution", tuple(RESOLUTIONS), ordered=True)
    yield Decision("stem_width", tuple(STEM_WIDTHS), ordered=True)
    for number, stage in enumerate(STAGES, start=1):
        choices = (KERNELS, stage.first, stage.others, stage.widths, stage.depths)
        for name, values in zip(_stage_values(number, *(0,) * 5), choices, strict=True):
            if len(values) > 1:
                yield Decision(name, tuple(values), ordered=True)


def _stage_values(number: int, kernel: int, first: float, others: float, width: int, depth: int) -> dict[str, Any]:
    keys = ("kernel", "first_expansion", "other_expansion", "width", "depth")
    return {f"stage{number}_{key}": v for key, v in zip(keys, (kernel, first, others, width, depth), strict=True)}


def _architecture(chosen: Mapping[str, Any]) -> Architecture:
    groups: list[Group] = []
    for number, stage in enumerate(STAGES, start=1):
        only = _stage_values(number, 0, stage.first[0], stage.others[0], stage.widths[0], stage.depths[0])
        kernel, first, others, width, depth = ({**only, **chosen}[name] for name in only)
        opening = Group(kernel, first, width, stage.stride, 1, stage.squeeze)
        if depth == 1 or (stage.stride == 1 and first == others):
            groups.append(replace(opening, repeats=depth))
        else:
            groups += [opening, Group(kernel, others, width, 1, depth - 1, stage.squeeze)]
    return Architecture(chosen["resolution"], chosen["stem_width"], tuple(groups))


def _values(architecture: Architecture) -> dict[str, Any]:
    chosen, changes = nearest_values(architecture)
    if changes:
        raise MA2MLError(f"this space cannot represent the architecture; nearest: {'; '.join(changes)}")
    return chosen


def _split(groups: tuple[Group, ...]) -> list[list[Group]]:
    """The groups of each stage: one begins where the stride is 2 or the width or squeeze-excite changes."""
    stages: list[list[Group]] = []
    for group in groups:
        before = stages[-1][-1] if stages else None
        if before is None or group.stride == 2 or (group.width, group.squeeze) != (before.width, before.squeeze):
            stages.append([group])
        else:
            stages[-1].append(group)
    if len(stages) == len(STAGES) - 1 and len(stages[-1]) > 2:
        stages.append([stages[-1].pop()])
    if len(stages) != len(STAGES):
        raise MA2MLError(f"an architecture of this space has {len(STAGES)} stages, not {len(stages)}")
    return stages
