"""The residual search space: stages of plain, basic, bottleneck or inverted blocks, as practitioners stack them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import product
from typing import Any

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import Decision, SearchSpace

KINDS = ("plain", "basic", "bottleneck", "inverted")
EXPANDING = ("bottleneck", "inverted")
ACTIVATIONS = ("relu", "silu", "hardswish")
FIELDS = ("depth", "kind", "width", "kernel", "expansion", "squeeze")
NUMBERS = ("depth", "width", "kernel", "expansion")
WIDTHS = ((16, 32, 64), (32, 64, 128), (64, 128, 256), (128, 256, 512))


@dataclass(frozen=True)
class Stage:
    """Blocks of one kind and width at one resolution.

    Attributes:
        depth: number of blocks; 0 for a stage that only halves the image, by average pooling.
        kind: one of `KINDS`. `plain` is a convolution without a shortcut, `basic` two convolutions, `bottleneck` a
            convolution between two 1x1 ones of which the first narrows, `inverted` a depthwise convolution between two
            1x1 ones of which the first widens.
        width: channels of every block's output.
        kernel: kernel size of the convolutions that are not 1x1, odd.
        expansion: the width over a bottleneck's inner channels, or an inverted block's inner channels over its
            input's; 1 for the other kinds.
        squeeze: whether the blocks have squeeze-and-excitation.

    Raises:
        ValueError: for an unknown kind, a number out of range, or a field that the stage does not have.

    Source: He et al. (2016); Sandler et al. (2018) for `inverted`; Hu et al. (2018) for `squeeze`.
    """

    depth: int
    kind: str = "plain"
    width: int = 0
    kernel: int = 3
    expansion: int = 1
    squeeze: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise MA2MLError(f"a stage's kind is one of {list(KINDS)}, not {self.kind!r}")
        if self.depth < 0 or self.width < (self.depth > 0):
            raise MA2MLError(f"depth {self.depth} must be at least 0 and width {self.width} at least 1 with blocks")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise MA2MLError(f"a kernel is odd and at least 1, not {self.kernel}")
        if self.expansion < 1 or (self.expansion > 1 and self.kind not in EXPANDING):
            raise MA2MLError(f"expansion {self.expansion} must be at least 1, and 1 unless kind is in {EXPANDING}")
        given = {field.name for field in fields(self) if getattr(self, field.name) != field.default}
        if self.depth == 0 and given != {"depth"}:
            raise MA2MLError(f"a stage of depth 0 has no blocks, so it has no {sorted(given - {'depth'})}")

    def __str__(self) -> str:
        if not self.depth:
            return "no blocks"
        expansion = f", expansion {self.expansion}" if self.kind in EXPANDING else ""
        gate = ", squeeze-excite" if self.squeeze else ""
        blocks = "block" if self.depth == 1 else "blocks"
        return f"{self.depth} {self.kind} {blocks}, {self.kernel}x{self.kernel}, {self.width} channels{expansion}{gate}"


@dataclass(frozen=True)
class Architecture:
    """A network of stages; each but the first begins by halving the image.

    Attributes:
        stem: channels of the first convolution.
        activation: one of `ACTIVATIONS`, in all blocks.
        stages: in order, at least one with blocks.

    Raises:
        ValueError: for a stem below 1, an unknown activation, or no blocks at all.

    Source: He et al. (2016), the CIFAR networks.
    """

    stem: int
    activation: str
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if self.stem < 1 or not any(stage.depth for stage in self.stages):
            raise MA2MLError(f"stem {self.stem} must be at least 1, and a stage must have blocks")
        if self.activation not in ACTIVATIONS:
            raise MA2MLError(f"an activation is one of {list(ACTIVATIONS)}, not {self.activation!r}")

    def __str__(self) -> str:
        lines = [f"stage {number}: {stage}" for number, stage in enumerate(self.stages, start=1)]
        return "\n".join([f"\nstem: {self.stem} channels, activation {self.activation}", *lines])


def residual(
    widths: Sequence[Sequence[int]] = WIDTHS,
    depths: Sequence[int] = (0, 1, 2, 3),
    stems: Sequence[int] = (16, 32, 64),
    kinds: Sequence[str] = KINDS,
    kernels: Sequence[int] = (3, 5),
    expansions: Sequence[int] = (2, 3, 4),
    activations: Sequence[str] = ACTIVATIONS,
) -> SearchSpace:
    """The residual space: stem and activation, and per stage depth, kind, width, kernel, expansion, squeeze-excite.

    A stage of depth 0 has no other decisions, and only bottleneck and inverted blocks have an expansion; such
    decisions are inactive. The last stage always has blocks. The default has basic blocks of middle depth and width.

    Args:
        widths: to choose from, per stage; there are as many stages.
        depths: to choose from, in ascending order; 0 is left out in the last stage.
        stems: channels of the first convolution to choose from.
        kinds: some of `KINDS`.
        kernels: to choose from.
        expansions: to choose from.
        activations: some of `ACTIVATIONS`.

    Returns:
        A space of 2 + 6 decisions per stage that builds an `Architecture`.

    Raises:
        ValueError: if there is nothing to choose from, or a value that no `Architecture` can have.

    Source: residual networks and MobileNetV2, for the blocks, but not for the ranges.
    """
    if not widths or not any(depths):
        raise MA2MLError(f"there must be a stage and a depth above 0, not widths {widths} and depths {depths}")
    for kind, kernel, expansion in product(kinds, kernels, expansions):
        Stage(1, kind, 1, kernel, expansion if kind in EXPANDING else 1)
    shared = {"kind": tuple(kinds), "kernel": tuple(kernels), "expansion": tuple(expansions), "squeeze": (False, True)}
    decisions = [Decision("stem", tuple(stems), ordered=True), Decision("activation", tuple(activations))]
    for number, channels in enumerate(widths, start=1):
        own = tuple(depth for depth in depths if depth or number < len(widths))
        decisions += _stage(number, {"depth": own, **shared, "width": tuple(channels)})
    usual = {"activation": activations[0], "kind": "basic" if "basic" in kinds else kinds[0], "kernel": kernels[0]}
    usual["squeeze"] = False
    middle = {decision.name: decision.choices[len(decision.choices) // 2] for decision in decisions}
    chosen = {name: usual.get(name.rpartition("_")[2], value) for name, value in middle.items()}
    return SearchSpace(
        decisions,
        _architecture,
        values=partial(_values, len(widths)),
        default=[decision.choices.index(chosen[decision.name]) for decision in decisions],
    )


def nearest_values(architecture: Architecture, space: SearchSpace) -> tuple[dict[str, Any], list[str]]:
    """The choices of a residual space that come closest to an architecture, and what had to change.

    Raises:
        ValueError: if it has another number of stages.
    """
    wanted = _values(sum(decision.name.endswith("_depth") for decision in space.decisions), architecture)
    chosen, changes = {}, []
    for decision in space.decisions:
        if decision.name not in wanted:
            continue
        value = wanted[decision.name]
        chosen[decision.name] = value if value in decision.choices else _closest(value, decision.choices)
        if chosen[decision.name] != value:
            changes.append(f"{decision.name} {chosen[decision.name]} instead of {value}")
    return chosen, changes


def _closest(value: Any, choices: Sequence[Any]) -> Any:
    """The choice nearest to a number; the first one if it is not a number."""
    return min(choices, key=lambda choice: abs(choice - value)) if isinstance(value, int) else choices[0]


def _stage(number: int, options: Mapping[str, tuple[Any, ...]]) -> Iterator[Decision]:
    """The decisions of one stage, with their conditions."""
    blocks = (
        {f"stage{number}_depth": tuple(depth for depth in options["depth"] if depth)} if 0 in options["depth"] else {}
    )
    expanding = {f"stage{number}_kind": tuple(kind for kind in options["kind"] if kind in EXPANDING)}
    for name in FIELDS:
        active = {"depth": {}, "expansion": expanding}.get(name, blocks)
        if name != "expansion" or any(expanding.values()):
            yield Decision(f"stage{number}_{name}", options[name], ordered=name in NUMBERS, active=active)


def _architecture(chosen: Mapping[str, Any]) -> Architecture:
    numbers = range(1, 1 + sum(name.endswith("_depth") for name in chosen))
    own = [{name: chosen[key] for name in FIELDS if (key := f"stage{number}_{name}") in chosen} for number in numbers]
    return Architecture(chosen["stem"], chosen["activation"], tuple(Stage(**values) for values in own))


def _values(stages: int, architecture: Architecture) -> dict[str, Any]:
    """The chosen values of an architecture, of active decisions only."""
    if len(architecture.stages) != stages:
        raise MA2MLError(f"this space has {stages} stages, the architecture has {len(architecture.stages)}")
    values: dict[str, Any] = {"stem": architecture.stem, "activation": architecture.activation}
    for number, stage in enumerate(architecture.stages, start=1):
        own = {name: value for name, value in asdict(stage).items() if name != "expansion" or stage.kind in EXPANDING}
        values |= {f"stage{number}_{name}": value for name, value in own.items() if stage.depth or name == "depth"}
    return values
